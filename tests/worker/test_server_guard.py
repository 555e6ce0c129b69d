"""The door of a server's process, and what its client asks of who answers on its port. No engine runs."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vbench.worker.engines.http_control import Control, without_key
from vbench.worker.engines.vllm_server_guard import NONCE, PROOF, Guard, proof_of

KEY = "k" * 32


class Door:
    """A guarded application that keeps what got through, and what was sent back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> None:
        monkeypatch.setattr(Guard, "key", key)
        self.entered: list[str] = []
        self.sent: list[dict[str, Any]] = []

    def knock(self, kind: str = "http", **headers: str) -> None:
        async def inside(scope: dict[str, Any], receive: Any, send: Any) -> None:
            self.entered.append(scope["type"])

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        asyncio.run(Guard(inside)({"type": kind, "path": "/", "headers": pairs}, None, send))  # type: ignore[arg-type]


class TestGuard:
    def test_who_has_the_key_enters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        door = Door(monkeypatch)
        door.knock(authorization="Bearer " + KEY)

        assert (door.entered, door.sent) == (["http"], [])

    @pytest.mark.parametrize("said", ["", "Bearer ", "Bearer x", KEY, "bearer " + KEY, "Bearer " + KEY + " "])
    def test_nobody_else_does(self, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
        door = Door(monkeypatch)
        door.knock(authorization=said)

        assert (door.entered, door.sent[0]["status"]) == ([], 401)

    def test_a_websocket_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        door = Door(monkeypatch)
        door.knock("websocket")

        assert (door.entered, door.sent) == ([], [{"type": "websocket.close", "code": 1008}])

    def test_without_a_key_nobody_enters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        door = Door(monkeypatch, key="")
        door.knock(authorization="Bearer ")

        assert door.entered == []

    def test_the_servers_own_start_and_end_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        door = Door(monkeypatch)
        door.knock("lifespan")

        assert door.entered == ["lifespan"]

    def test_it_shows_whose_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        door = Door(monkeypatch)
        door.knock(**{NONCE: "abc"})

        assert dict(door.sent[0]["headers"])[PROOF.encode()] == proof_of(KEY, "abc").encode()

    @pytest.mark.parametrize("nonce", ["", "x" * 65])
    def test_it_proves_nothing_to_an_odd_nonce(self, monkeypatch: pytest.MonkeyPatch, nonce: str) -> None:
        door = Door(monkeypatch)
        door.knock(**{NONCE: nonce})

        assert PROOF.encode() not in dict(door.sent[0]["headers"])


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A port at which everything is answered with these bytes; and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    asked.append(sock.recv(65536))
                    sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class TestWhoAnswers:
    @pytest.mark.parametrize(
        "answer", [OK, b"SSH-2.0-x\r\n", OK.replace(b"\r\n\r\n", b"\r\nx-vbench-proof: 00\r\n\r\n")]
    )
    def test_a_stranger_is_known_and_not_told_the_key(self, answer: bytes) -> None:
        with answering(answer) as (port, asked):
            assert Control(port, KEY).is_ours() is False
        assert asked
        assert KEY.encode() not in b"".join(asked)

    def test_nobody_is_no_stranger(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert Control(port, KEY).is_ours() is None

    def test_an_unhealthy_servers_words_are_told(self) -> None:
        ill = b"HTTP/1.1 503 x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nill"
        with answering(ill) as (port, _):
            assert Control(port, KEY).health_problem() == "HTTP 503: ill"
        with answering(OK) as (port, _):
            assert Control(port, KEY).health_problem() is None


class TestControl:
    def test_an_answer_cut_off_is_no_answer(self) -> None:
        with (
            answering(OK.replace(b"th: 2", b"th: 20")) as (port, _),
            pytest.raises(ConnectionError, match="before its answer's end"),
        ):
            Control(port).call("GET", "/metrics")

    @pytest.mark.parametrize("body", [b"[1]", b"no", b"[" * 100_000])
    def test_a_page_of_nonsense_is_an_empty_one(self, body: bytes) -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with answering(answer) as (port, _):
            assert Control(port).find("/version") == {}

    def test_the_key_is_taken_out_of_words(self) -> None:
        assert without_key(f"Bearer {KEY}!", KEY) == "Bearer [key]!"
        assert without_key("as it is", "") == "as it is"
