"""The client of a server over real sockets: what it sends, when, and what becomes of answers, good and bad."""

from __future__ import annotations

import errno
import gc
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.execution.bench import wait_until
from vbench.worker import telling
from vbench.worker.engines.base import PassResult, Work
from vbench.worker.engines.http_connections import Connections
from vbench.worker.engines.http_control import HttpError
from vbench.worker.engines.http_load import drive
from vbench.worker.engines.http_stream import Answer
from vbench.worker.load import RequestError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 3}}
PATIENCE_S = 30.0


def event(value: Any) -> bytes:
    data = b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def token(*ids: int) -> bytes:
    return event({"choices": [{"index": 0, "token_ids": list(ids)}]})


END = event(USAGE) + event(b"[DONE]") + b"0\r\n\r\n"
GOOD = HEAD + token() + token(5, 6) + token(7) + END


class Script:
    """A server that says to each request what it is told, and keeps what it was asked.

    A float among the parts of an answer is a pause in seconds, None closes the connection. `by_number`: request n (as
    `driven` numbers them) gets answer n, whichever comes first; else they are given out as requests come.
    """

    def __init__(self, *answers: list[bytes | float | None], by_number: bool = False) -> None:
        self._answers, self._by_number = list(answers), by_number
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[tuple[int, bytes]] = []  # of each request: the number of its connection, its bytes
        self.closed: list[int] = []  # those that were closed here
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()
            number += 1

    def _serve(self, sock: socket.socket, number: int) -> None:
        with sock:
            self._answer(sock, number)
        self.closed.append(number)

    def _answer(self, sock: socket.socket, number: int) -> None:
        while request := _request(sock):
            with self._lock:
                self.asked.append((number, request))
                turn = json.loads(_body(request))["n"] if self._by_number else len(self.asked) - 1
            for part in self._answers[turn % len(self._answers)]:
                if part is None:
                    return
                time.sleep(part) if isinstance(part, float) else sock.sendall(part)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _request(sock: socket.socket) -> bytes:
    """The next request on this connection; nothing where there is none."""
    came, length = bytearray(), -1
    try:
        while length < 0 or len(came) < length:
            data = sock.recv(1 << 20)
            if not data:
                return b""
            came += data
            if length < 0 and b"\r\n\r\n" in came:
                head = came.partition(b"\r\n\r\n")[0]
                length = len(head) + 4 + int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    except ConnectionResetError:
        return b""
    return bytes(came)


def _body(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


@contextmanager
def script(*answers: list[bytes | float | None], by_number: bool = False) -> Iterator[tuple[Script, Connections]]:
    server = Script(*answers, by_number=by_number)
    connections = Connections(server.port, "secret")
    try:
        yield server, connections
    finally:
        connections.close()
        server.close()


def driven(
    connections: Connections, count: int, is_streamed: bool = True, **work: Any
) -> tuple[PassResult, list[Answer]]:
    answers = [Answer() for _ in range(count)]
    requests = [("/v1/completions", b'{"n": %d}' % index) for index in range(count)]
    return drive(connections, requests, Work(work), answers, is_streamed), answers


def test_it_tells_what_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "TELL_S", 0.02)
    monkeypatch.setattr(telling, "MAX_DUTY", 1.0)
    told: list[tuple[int, float]] = []
    answers = [Answer(), Answer()]
    with script([HEAD, token(5), 0.05, token(6), 0.05, token(7), 0.05, END]) as (_, connections):
        requests = [("/v1/completions", b"{}")] * 2
        result = drive(connections, requests, Work({}), answers, on_tokens=lambda *one: told.append(one))

    assert result.token_ids == [[5, 6, 7]] * 2
    counts = [count for count, _ in told]
    assert counts
    assert counts == sorted(counts)
    assert counts[-1] in range(2, 7)
    assert [elapsed_s for _, elapsed_s in told] == sorted(elapsed_s for _, elapsed_s in told)


def test_tokens_and_counts_are_the_answers() -> None:
    with script([GOOD]) as (server, connections):
        result, answers = driven(connections, 3)

    assert result.token_ids == [[5, 6, 7]] * 3
    assert [(answer.token_ids, answer.input_tokens) for answer in answers] == [([5, 6, 7], 3)] * 3
    assert len(server.asked) == 3
    first = next(request for _, request in server.asked if request.endswith(b'{"n": 0}'))
    head = first.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head[0] == b"POST /v1/completions HTTP/1.1"
    assert {b"Authorization: Bearer secret", b"Content-Type: application/json", b"Content-Length: 8"} < set(head)


def test_times_are_of_the_chunks_with_tokens() -> None:
    # Half of each pause is left for what a busy machine does to who reads.
    with script([HEAD + token(), 0.1, token(5), 0.6, token(6, 7), 0.6, END]) as (_, connections):
        start = time.monotonic()
        result, _ = driven(connections, 1)
        wall_s = time.monotonic() - start

    assert result.ttft_s is not None
    assert result.e2e_latency_s is not None
    assert result.itl_s is not None
    assert result.send_s is not None
    assert result.ttft_s[0] is not None
    assert result.e2e_latency_s[0] is not None
    assert result.ttft_s[0] >= 0.095
    assert len(result.itl_s[0]) == 1
    assert result.itl_s[0][0] >= 0.3
    assert result.send_s[0] + result.e2e_latency_s[0] <= wall_s - 0.3  # the usage, without tokens, came later
    assert result.e2e_latency_s[0] == pytest.approx(result.ttft_s[0] + result.itl_s[0][0])


def test_connections_are_used_again_within_the_concurrency_and_by_the_next_pass() -> None:
    with script([0.02, GOOD]) as (server, connections):
        driven(connections, 6, max_concurrency=2)
        driven(connections, 2)

    assert len(server.asked) == 8
    assert {number for number, _ in server.asked} == {0, 1}


def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    closing = GOOD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    with script([closing, None], [GOOD, None], [GOOD]) as (server, connections):
        driven(connections, 1)  # it said so
        driven(connections, 1)  # it didn't
        assert wait_until(lambda: sorted(server.closed) == [0, 1])
        driven(connections, 1)

    assert [number for number, _ in server.asked] == [0, 1, 2]


def test_a_stale_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.worker.engines.http_connections._KEEP_ALIVE_S", 0.0)
    with script([GOOD]) as (server, connections):
        driven(connections, 1)
        driven(connections, 1)

    assert [number for number, _ in server.asked] == [0, 1]


def test_one_that_went_stale_within_a_pass_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.worker.engines.http_connections._KEEP_ALIVE_S", 0.0)
    with script([GOOD]) as (server, connections):
        driven(connections, 3, max_concurrency=1)
        left = list(connections.by_descriptor)

    assert [number for number, _ in server.asked] == [0, 1, 2]
    assert len(left) == 1  # the others were closed


def test_too_few_descriptors_are_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with script([GOOD]) as (_, connections):
        monkeypatch.setattr("vbench.worker.engines.http_connections.socket.socket", none_left)
        with pytest.raises(RequestError, match=r"request 0: .*Too many open files; .*load\.max_concurrency"):
            driven(connections, 1)
        monkeypatch.undo()


def test_each_is_sent_at_its_time() -> None:
    planned = [0.0, 0.0005, 0.05, 0.1]
    with script([GOOD]) as (_, connections):
        result, _ = driven(connections, 4, arrivals_s=planned)

    assert result.send_s is not None
    for sent, due in zip(result.send_s, planned, strict=True):
        assert sent >= due - 1e-4


def test_a_body_larger_than_the_kernel_takes_is_sent_whole() -> None:
    body = b'{"prompt": "%s"}' % (b"x" * 20_000_000)
    with script([GOOD]) as (server, connections):
        result = drive(connections, [("/v1/completions", body)], Work({}), [Answer()])

    assert result.token_ids == [[5, 6, 7]]
    assert server.asked[0][1].endswith(body)


def test_what_is_not_streamed_comes_in_one_piece() -> None:
    whole = {
        "choices": [{"index": 1, "token_ids": [9]}, {"index": 0, "token_ids": [1, 2]}],
        **{"usage": USAGE["usage"]},
    }
    body = json.dumps(whole).encode()
    with script([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body]) as (_, connections):
        result, answers = driven(connections, 1, is_streamed=False)

    assert answers[0].token_ids == result.token_ids[0] == [1, 2, 9]
    assert answers[0].longest == 2


@pytest.mark.parametrize(
    ("answer", "cause", "said"),
    [
        ([b'HTTP/1.1 400 Bad\r\nContent-Length: 38\r\n\r\n{"error": {"message": "far too long"}}'],
         HttpError, "HTTP 400: far too long"),
        ([HEAD + token(1) + event({"error": {"message": "engine died", "code": 500}})], HttpError, "HTTP 500: engine"),
        ([HEAD + token(1) + event({"error": {"message": "no", "code": "odd"}})], HttpError, "HTTP 500: no"),
        ([HEAD + token(1) + event({"error": "just words"})], HttpError, "HTTP 500: just words"),
        ([HEAD + token(1), None], ConnectionError, "before its answer's end"),
        ([None], ConnectionError, None),
        ([HEAD + token(1) + END], RuntimeError, "counts 3 tokens where 1 came"),
        ([HEAD + token(1) + b"0\r\n\r\n"], RuntimeError, "without its usage"),
        ([HEAD + event(b"{nonsense") + END], RuntimeError, "is no JSON: b'{nonsense'"),
        ([b"SSH-2.0\r\n"], RuntimeError, "not an HTTP answer"),
    ],
)  # fmt: skip
def test_a_failure_is_raised_with_its_request_and_ends_the_others(
    answer: list[bytes | float | None], cause: type[Exception], said: str | None
) -> None:
    with script([HEAD + token(1), PATIENCE_S], answer, by_number=True) as (_, connections):
        with pytest.raises(RequestError, match=said) as raised:
            driven(connections, 2, arrivals_s=[0.0, 0.1])
        assert isinstance(raised.value.__cause__, cause)
        assert raised.value.index == 1
        assert not [one for one in connections.by_descriptor.values() if one.index is not None]
    assert gc.isenabled()


def test_a_server_that_isnt_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connections = Connections(port, "")
    with pytest.raises(RequestError, match="request 0") as raised:
        driven(connections, 1)
    connections.close()

    assert isinstance(raised.value.__cause__, OSError)


def test_understanding_is_put_off_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.worker.engines.http_load._MOST_PENDING", 1)
    with script([HEAD + token(1) * 3 + END]) as (_, connections):
        result, _ = driven(connections, 20)

    assert result.token_ids == [[1, 1, 1]] * 20


def test_a_pass_ends_with_its_last_bytes_not_when_they_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Answer.check

    def slow(answer: Answer) -> None:
        time.sleep(0.2)
        whole(answer)

    monkeypatch.setattr(Answer, "check", slow)
    with script([GOOD]) as (_, connections):
        start = time.monotonic()
        result, _ = driven(connections, 1)

    assert result.ended_t is not None
    assert start < result.ended_t
    assert result.late_s() >= 0.2


def test_no_requests() -> None:
    with script([GOOD]) as (server, connections):
        assert driven(connections, 0)[0].token_ids == []
    assert server.asked == []
