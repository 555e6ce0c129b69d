"""A server that streams at a known pace and knows when it did: what a load generator's clock is checked against.

    .venv/bin/python benchmarks/trust/mock_server.py [--ttft-s 0.05] [--gap-s 0.01] [--tokens 16] [--port 0]

OpenAI-compatible on 127.0.0.1: `/v1/completions`, `/v1/chat/completions` (always streamed, always `--tokens` tokens),
`/v1/models`, `/health`. One loop over sockets, bytes made beforehand, each token due at its own moment (the request's
arrival + TTFT + index × gap), so that lateness never adds up. The last millisecond before a due moment is waited for
awake. The first line printed is `{"port": N}`.

`GET /truth` gives what happened since the last time it was asked, and forgets it: for each finished request when it was
read and when each token was handed to the kernel, in seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import re
import select
import socket
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AWAKE_S = 0.001
# Between two looks for requests. However late its tokens are, the server knows to some 50 µs when a request came.
_MOST_WRITTEN = 4
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_PATHS = {b"/v1/completions": "text_completion", b"/v1/chat/completions": "chat.completion.chunk"}
_MODELS = {"object": "list", "data": [{"id": "mock", "object": "model", "owned_by": "vbench", "max_model_len": 4096}]}


def chunk(data: str) -> bytes:
    """One event, as one HTTP chunk."""
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def token_chunks(kind: str, count: int) -> list[bytes]:
    """What is written for each token: the first brings the headers, the last the usage and the end."""
    common = {"id": "cmpl-1", "object": kind, "created": 1, "model": "mock"}
    written = []
    for index in range(count):
        text = {"text": f" t{index}"} if kind == "text_completion" else {"delta": {"content": f" t{index}"}}
        finish = "length" if index == count - 1 else None
        choice = {"index": 0, **text, "logprobs": None, "finish_reason": finish, "token_ids": [index]}
        written.append(chunk(json.dumps({**common, "choices": [choice]})))
    usage = {"prompt_tokens": 4, "completion_tokens": count, "total_tokens": 4 + count}
    written[-1] += chunk(json.dumps({**common, "choices": [], "usage": usage})) + chunk("[DONE]") + b"0\r\n\r\n"
    written[0] = _HEAD + written[0]
    return written


class Connection:
    """A client's connection: what of a request has come, and the answer under way."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.pending = b""
        self.chunks: list[bytes] = []
        self.read_s = 0.0
        self.written_s: list[float] = []


class MockServer:
    """The loop. `port` is known once it is made; `serve` never returns by itself."""

    def __init__(self, ttft_s: float, gap_s: float, tokens: int, port: int = 0) -> None:
        self.ttft_s, self.gap_s = ttft_s, gap_s
        self._chunks = {path: token_chunks(kind, tokens) for path, kind in _PATHS.items()}
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[float, int, Connection]] = []
        self._num_requests = 0
        self._finished: list[tuple[float, list[float]]] = []

    def serve(self) -> None:
        """Answer for ever."""
        while True:
            wait_s = self._due[0][0] - time.monotonic() if self._due else None
            # An epoll's timeout counts whole milliseconds, rounded up.
            timeout_s = -1.0 if wait_s is None else 0.0 if wait_s < 2 * _AWAKE_S else wait_s - _AWAKE_S
            for descriptor, _ in self._epoll.poll(timeout_s):
                connection = self._connections.get(descriptor)
                if connection is None:
                    self._accept()
                else:
                    self._read(connection)
            for _ in range(_MOST_WRITTEN):
                if not self._due or self._due[0][0] > time.monotonic():
                    break
                self._write()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[sock.fileno()] = Connection(sock)
                self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.pending += data
        head, end, body = connection.pending.partition(b"\r\n\r\n")
        if end:
            length = _LENGTH.search(head)
            if len(body) >= (int(length[1]) if length else 0):
                connection.pending = b""
                self._answer(connection, head.split(b" ", 2)[1].partition(b"?")[0])

    def _answer(self, connection: Connection, path: bytes) -> None:
        chunks = self._chunks.get(path)
        if chunks is None:
            connection.sock.setblocking(True)  # the truth may be long
            connection.sock.sendall(self._page(path))
            connection.sock.setblocking(False)
            return
        connection.chunks = chunks
        connection.read_s, connection.written_s = time.monotonic(), []
        self._num_requests += 1
        heapq.heappush(self._due, (connection.read_s + self.ttft_s, self._num_requests, connection))

    def _page(self, path: bytes) -> bytes:
        pages = {b"/v1/models": lambda: _MODELS, b"/health": dict, b"/truth": self._truth}
        page = pages.get(path)
        status = b"404 Not Found" if page is None else b"200 OK"
        body = json.dumps({"error": {"message": "no such page", "code": 404}} if page is None else page()).encode()
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        return head + body

    def _truth(self) -> dict[str, object]:
        finished, self._finished = self._finished, []
        return {"requests": [{"read_s": read_s, "written_s": written_s} for read_s, written_s in finished]}

    def _write(self) -> None:
        """Write the token that is due first. Its moment is that before the call: within it the client may have it."""
        due, number, connection = self._due[0]
        index = len(connection.written_s)
        connection.written_s.append(time.monotonic())
        try:
            sent = connection.sock.send(connection.chunks[index])
        except OSError:
            sent = 0
        if sent < len(connection.chunks[index]):  # gone, or it no longer reads
            heapq.heappop(self._due)
            self._close(connection)
        elif index + 1 < len(connection.chunks):
            heapq.heapreplace(self._due, (due + self.gap_s, number, connection))
        else:
            heapq.heappop(self._due)
            self._finished.append((connection.read_s, connection.written_s))

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            self._epoll.unregister(connection.sock.fileno())
            connection.sock.close()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ttft-s", type=float, default=0.05)
    parser.add_argument("--gap-s", type=float, default=0.01)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    server = MockServer(asked.ttft_s, asked.gap_s, asked.tokens, asked.port)
    print(json.dumps({"port": server.port}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()


if __name__ == "__main__":
    main()
