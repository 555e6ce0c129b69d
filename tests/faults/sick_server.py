"""A server that does what a vLLM server shouldn't: the `api_server.entry` of the stand-in that `sick_vllm` makes.

It runs in an interpreter of its own, with nothing but the standard library, through the worker's real code: the real
Namespace, the real middleware, a real port. The engine argument `sickness` says what is wrong with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]
JSON = [(b"content-type", b"application/json")]
BREATH_S = 0.001
FOREVER = 10**9


def event(value: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def token(*ids: Any, index: Any = 0) -> bytes:
    """An event that brings tokens."""
    return event({"choices": [{"index": index, "token_ids": list(ids)}]})


def usage(prompt: Any, completion: Any) -> bytes:
    """The event with the counts."""
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


class Turn:
    """One request, and the ways to answer it."""

    def __init__(self, send: Send, headers: dict[bytes, bytes], body: dict[str, Any]) -> None:
        self._send, self.headers, self.body = send, headers, body
        self.asked = int(body.get("max_tokens") or 1)
        self.given = len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1

    async def start(self, status: int = 200, headers: list[tuple[bytes, bytes]] = EVENTS) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def more(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def raw(self, data: bytes) -> None:
        await self._send({"type": "raw", "data": data})

    async def drop(self) -> None:
        await self._send({"type": "drop"})

    async def whole(self, status: int, text: str, headers: list[tuple[bytes, bytes]] = JSON) -> None:
        await self.start(status, headers)
        await self.more(text.encode())
        await self.end()

    async def stream(self, *events: bytes) -> None:
        """A stream of these events, with a sound end."""
        await self.start()
        for one in events:
            await self.more(one)
        await self.more(event(b"[DONE]"))
        await self.end()

    async def forever(self, data: bytes, most: int = FOREVER) -> None:
        for _ in range(most):
            await self.more(data)

    async def sound(self) -> None:
        """As it should be."""
        await self.stream(*[token(7) for _ in range(self.asked)], usage(self.given, self.asked))

    async def silence(self) -> None:
        await asyncio.sleep(FOREVER)


async def _cut(turn: Turn) -> None:
    await turn.start()
    await turn.more(token(7))
    await turn.drop()


async def _unending_stream(turn: Turn, data: bytes) -> None:
    await turn.start()
    await turn.forever(data)


async def _unending_error(turn: Turn) -> None:
    await turn.start(500, JSON)
    await turn.forever(b"x" * 65536)


async def _unending_head(turn: Turn) -> None:
    for _ in range(FOREVER):
        await turn.raw(b"HTTP/1.1 200 OK\r\nX-Head: " + b"x" * 65536)


async def _comments(turn: Turn) -> None:
    await turn.start()
    while True:
        await turn.more(b": ping\n\n")
        await asyncio.sleep(0.01)


async def _die(_: Turn) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _told_key(turn: Turn) -> dict[str, Any]:
    """An error that says what it was asked with; noted where the test will look for what it was."""
    words = turn.headers[b"authorization"].decode()
    with contextlib.suppress(FileExistsError), open(os.environ["SICK_SERVER_KEY"], "x", encoding="utf-8") as file:
        file.write(words.split()[1])
    return {"error": {"message": f"you asked with {words}", "code": 500}}


async def _tell_key(turn: Turn) -> None:
    await turn.whole(500, json.dumps(_told_key(turn)))


async def _tell_key_amid(turn: Turn) -> None:
    await turn.stream(token(7), event(_told_key(turn)))


ANSWERS: dict[str, Callable[[Turn], Awaitable[None]]] = {
    "none": Turn.sound,
    "500": lambda turn: turn.whole(500, '{"error": {"message": "the engine is dead", "code": 500}}'),
    "500 without a word": lambda turn: turn.whole(500, ""),
    "500 in the stream": lambda turn: turn.stream(token(7), event({"error": {"message": "it broke", "code": 500}})),
    "302": lambda turn: turn.whole(302, "", [(b"location", b"http://192.0.2.1/elsewhere")]),
    "closes before": Turn.drop,
    "closes mid-stream": _cut,
    "no JSON": lambda turn: turn.stream(event(b"{nonsense")),
    "binary": lambda turn: turn.stream(event(bytes(range(128, 256)))),
    "no object": lambda turn: turn.stream(event([1, 2])),
    "deep": lambda turn: turn.stream(event(b"[" * 100_000)),
    "no HTTP": lambda turn: turn.raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "choices of words": lambda turn: turn.stream(event({"choices": "many"})),
    "choice of words": lambda turn: turn.stream(event({"choices": ["one"]})),
    "index of words": lambda turn: turn.stream(token(7, index="first")),
    "tokens of words": lambda turn: turn.stream(token("seven")),
    "tokens of NaN": lambda turn: turn.stream(event(b'{"choices": [{"index": 0, "token_ids": [NaN]}]}')),
    "usage of words": lambda turn: turn.stream(token(7), event({"choices": [], "usage": "some"})),
    "usage below 0": lambda turn: turn.stream(token(7), usage(turn.given, -1)),
    "usage of 10**12": lambda turn: turn.stream(token(7), usage(turn.given, 10**12)),
    "prompt of 10**12": lambda turn: turn.stream(*[token(7)] * turn.asked, usage(10**12, turn.asked)),
    "tokens of 10**12": lambda turn: turn.stream(
        event({"choices": [{"index": 0}], "usage": {"prompt_tokens": 1, "completion_tokens": 10**12}})
    ),
    "no usage": lambda turn: turn.stream(token(7)),
    "too many": lambda turn: turn.stream(*[token(7)] * (turn.asked + 1), usage(turn.given, turn.asked + 1)),
    "tokens without end": lambda turn: _unending_stream(turn, token(7)),
    "an event without end": lambda turn: _unending_stream(turn, b"data: " + b"x" * 2**20),
    "an error without end": _unending_error,
    "a head without end": _unending_head,
    "comments without end": _comments,
    "silence": Turn.silence,
    "dies": _die,
    "tells the key": _tell_key,
    "tells the key in the stream": _tell_key_amid,
}


class Pages:
    """The ASGI application: every page that the client asks for."""

    def __init__(self, sickness: str) -> None:
        self._sickness = sickness

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        turn = Turn(send, dict(scope["headers"]), scope["body"])
        path = scope["path"]
        if path == "/health":
            await self._health(turn)
        elif path == "/v1/completions":
            await ANSWERS.get(self._sickness, Turn.sound)(turn)
        elif path == "/metrics":
            wrong = self._sickness == "metrics of nonsense"
            await turn.whole(200, "a 1\nb{ 1e999\nvllm:prompt_tokens_total NaN x\n" if wrong else "", JSON)
        elif path == "/reset_prefix_cache":
            await turn.whole(200, '"lately"' if self._sickness == "reset of nonsense" else '{"success": true}')
        elif path.startswith(("/server_info", "/version")):
            await turn.whole(200, "[1]" if self._sickness == "facts of nonsense" else "{}")
        else:
            await turn.whole(404, "{}")

    async def _health(self, turn: Turn) -> None:
        if self._sickness == "never healthy":
            await turn.whole(503, "the engine is ill")
        elif self._sickness == "health without an answer":
            await turn.silence()
        elif self._sickness == "health elsewhere":
            await turn.whole(302, "", [(b"location", b"/")])
        else:
            await turn.whole(200, "")


class Connection:
    """HTTP/1.1, as far as the client speaks it, around an ASGI application."""

    def __init__(self, app: Any, writer: asyncio.StreamWriter) -> None:
        self._app, self._writer = app, writer

    async def serve(self, reader: asyncio.StreamReader) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").rstrip().split("\r\n")
                pairs = [line.encode().partition(b":") for line in lines]
                headers = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
                length = int(dict(headers).get(b"content-length", b"0"))
                body = json.loads(await reader.readexactly(length)) if length else {}
                path = first.split()[1]
                scope = {"type": "http", "path": path, "headers": headers, "body": body}
                await self._app(scope, None, self._send)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writer.close()

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "drop":
            self._writer.close()
            raise ConnectionAbortedError
        if message["type"] == "http.response.start":
            lines = [b"%s: %s\r\n" % pair for pair in message["headers"]]
            data = b"HTTP/1.1 %d OK\r\n%sTransfer-Encoding: chunked\r\n\r\n" % (message["status"], b"".join(lines))
        elif message["type"] == "raw":
            data = message["data"]
        else:
            body = message["body"]
            data = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            data += b"" if message.get("more_body") else b"0\r\n\r\n"
        self._writer.write(data)
        await self._writer.drain()


async def run_server(args: Any) -> None:
    """Serve, as vLLM's function of that name does."""
    if args.sickness == "exits at load":
        os._exit(3)
    if args.sickness == "raises at load":
        raise RuntimeError("the engine can't be made")
    if args.sickness == "never listens":
        await asyncio.sleep(FOREVER)
    if args.sickness.startswith("port in use") and (args.sickness.endswith("always") or _is_first_start()):
        _occupy(args.port)
    app: Any = Pages(args.sickness)
    for name in args.middleware:
        module, _, attribute = name.rpartition(".")
        app = getattr(importlib.import_module(module), attribute)(app)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((args.host, args.port))
    time.sleep(0.3 if args.sickness == "port in use" else 0)  # as loading takes: the port may be taken meanwhile
    server = await asyncio.start_server(lambda reader, writer: Connection(app, writer).serve(reader), sock=listener)
    sys.stdout.write("ready\n")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


def _is_first_start() -> bool:
    note = Path(os.environ["TMPDIR"], "started")
    if note.exists():
        return False
    note.touch()
    return True


def _occupy(port: int) -> None:
    """Another process listens on the port, as SO_REUSEADDR lets it, and says yes to everything."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    if os.fork():
        listener.close()
        return
    while True:
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.close()
