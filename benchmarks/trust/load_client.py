"""One run of vbench's client, or of bare sockets, against the mock server; `load_generator.py` starts it on a core.

Its argument is a JSON object: `port`, `kind` (`vbench` or `bare`), `count` and `concurrency` or `rate`. It prints one
object: of each request when it was sent, its TTFT and its gaps, in seconds. Bare sockets read and discard: they show
what the server can do.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from typing import Any

from vbench.worker.engines.base import Work
from vbench.worker.engines.http_connections import Connections
from vbench.worker.engines.http_load import drive
from vbench.worker.engines.http_stream import Answer, allow_connections

BODY = {
    "model": "mock", "prompt": "one two three", "max_tokens": 16, "temperature": 0.0, "ignore_eos": True,
    "stream": True, "stream_options": {"include_usage": True}, "return_token_ids": True,
}  # fmt: skip


def vbench(port: int, count: int, concurrency: int | None = None, rate: float | None = None) -> dict[str, Any]:
    """The requests through the client that measures vLLM's server."""
    work = Work({"max_concurrency": concurrency})
    if rate is not None:
        work.arrivals_s = [index / rate for index in range(count)]
    answers = [Answer() for _ in range(count)]
    body = json.dumps(BODY).encode()
    connections = Connections(port, "none")
    try:
        result = drive(connections, [("/v1/completions", body)] * count, work, answers)
    finally:
        connections.close()
    return {"sent_s": result.send_s, "ttft_s": result.ttft_s, "gaps_s": result.itl_s}


def bare(port: int, count: int, concurrency: int) -> dict[str, Any]:
    """The requests through sockets that look for the end of each answer and for nothing else."""
    body = json.dumps(BODY).encode()
    message = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    epoll, sockets = select.epoll(), {}
    for _ in range(min(concurrency, count)):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(message)
        sockets[sock.fileno()] = sock
        epoll.register(sock.fileno(), select.EPOLLIN)
    to_send, unanswered = count - len(sockets), count
    while unanswered:
        for descriptor, _ in epoll.poll():
            if sockets[descriptor].recv(65536).endswith(b"0\r\n\r\n"):
                unanswered -= 1
                if to_send:
                    to_send -= 1
                    sockets[descriptor].sendall(message)
    for sock in sockets.values():
        sock.close()
    return {"sent_s": [], "ttft_s": [], "gaps_s": []}


def main() -> None:
    """Run what the argument says."""
    asked = json.loads(sys.argv[1])
    allow_connections()
    run = {"vbench": vbench, "bare": bare}[asked.pop("kind")]
    json.dump(run(**asked), sys.stdout)


if __name__ == "__main__":
    main()
