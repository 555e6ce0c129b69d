"""The mock server of `benchmarks/trust`, what it knows, and what is made of it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.trust.load_clients import Failed, Load, Said, aiperf, guidellm, own_client
from benchmarks.trust.load_errors import GAP_S, TOKENS, TTFT_S, Errors, Mock, Truth, errors_of, quantile, rate_of
from benchmarks.trust.load_generator import Course, Held, Highest, measure, summary
from benchmarks.trust.load_page import page
from benchmarks.trust.mock_server import token_chunks
from vbench.worker.engines.http_control import Control, HttpError
from vbench.worker.engines.http_response import Response
from vbench.worker.engines.http_stream import Answer

CORE = min(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def mock() -> Iterator[Mock]:
    with Mock(CORE) as server:
        yield server


@pytest.mark.parametrize("kind", ["text_completion", "chat.completion.chunk"])
def test_an_answer_is_whole(kind: str) -> None:
    response, answer, came = Response(), Answer(), []
    for chunk in token_chunks(kind, 3):
        events = [json.loads(event) for event in response.feed(chunk) if event != b"[DONE]"]
        came.append([answer.take(event) for event in events])
    answer.check()

    assert came == [[[0]], [[1]], [[2], []]]
    assert response.is_ended


@pytest.mark.parametrize("load", [Load(12, concurrency=4), Load(12, rate=100.0)])
def test_its_truth_is_within_what_the_client_saw(mock: Mock, load: Load, tmp_path: Path) -> None:
    said = own_client(CORE).run(mock.port, load, tmp_path)
    truth = mock.truth()

    assert len(said) == len(truth) == 12
    for one in truth:
        assert one.lateness_s >= 0  # no token before its time
        assert len(one.written_s) == TOKENS
        assert one.itl_s == pytest.approx(sum(one.gaps_s) / len(one.gaps_s))
        assert one.ttft_s >= TTFT_S
        assert one.written_s[-1] - one.read_s >= TTFT_S + (TOKENS - 1) * GAP_S
    # A client has sent before the server reads, and has it after the server wrote.
    assert sum(one.ttft_s for one in said) > sum(one.ttft_s for one in truth)
    assert errors_of(said, truth).gap_p99_s is not None
    assert mock.truth() == []  # told once


def test_a_request_in_pieces_is_one_and_a_client_that_leaves_is_forgotten(mock: Mock, tmp_path: Path) -> None:
    body = b'{"prompt": "a"}'
    request = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", mock.port)) as sock:
        for at in range(len(request)):
            sock.sendall(request[at : at + 1])
        response = Response()
        while not response.is_ended:
            response.feed(sock.recv(65536))
        sock.sendall(request)
    assert len(own_client(CORE).run(mock.port, Load(2, concurrency=2), tmp_path)) == 2  # it still serves

    assert len(mock.truth()) == 3


def test_what_peers_ask_first(mock: Mock) -> None:
    control = Control(mock.port)

    assert control.health_problem() is None
    assert control.find("/v1/models")["data"][0]["id"] == "mock"
    with pytest.raises(HttpError, match="HTTP 404: no such page"):
        control.call("GET", "/metrics")


def test_bare_sockets_are_answered_as_often_as_they_ask(mock: Mock, tmp_path: Path) -> None:
    assert own_client(CORE, "bare").run(mock.port, Load(9, concurrency=4), tmp_path) == []
    assert len(mock.truth()) == 9


def test_errors_are_the_clients_less_the_servers() -> None:
    truth = [Truth(float(index), (index + 0.05, index + 0.06, index + 0.08)) for index in range(20)]
    said = [Said(index, 0.051, 0.0155, (0.01, 0.021)) for index in range(20)]
    said[19] = Said(19, 9.0, 9.0, (9.0, 9.0))  # of the last tenth
    found = errors_of(said, truth)

    errors = [found.ttft_p50_s, found.ttft_p99_s, found.itl_p99_s, found.gap_p99_s]
    assert errors == pytest.approx([0.001, 0.001, 0.0005, 0.001])
    assert errors_of([Said(0, 0.05, 0.015)] * 20, truth).gap_p99_s is None
    with pytest.raises(Failed, match="19 requests where the server had 20"):
        errors_of(said[1:], truth)


def test_a_rate_counts_neither_the_start_nor_the_end() -> None:
    steady = [index / 50 for index in range(100)]

    assert rate_of(steady) == pytest.approx(50)
    assert rate_of([one - 100 for one in steady[:10]] + steady[10:95] + [999.0] * 5) == pytest.approx(50)
    assert quantile([1, 2, 3, 4], 0.99) == 4


def test_levels_are_shares_of_ones_own_and_of_the_slowest() -> None:
    course = Course([], CORE, 1.0)
    course.highest = {"fast": Highest(100.0, 8, 1), "slow": Highest(10.0, 8, 2)}

    assert course.levels() == {"fast": [1.0, 5.0, 9.0, 10.0, 50.0, 90.0], "slow": [1.0, 5.0, 9.0]}


def test_the_course_from_start_to_table() -> None:
    def lost(port: int, load: Load, folder: Path) -> list[Said]:
        raise Failed("it fell over\nat once")

    quick = own_client(CORE)
    small = type(quick)("vbench", quick.run, concurrencies=(16,))
    bare = type(quick)("bare sockets", own_client(CORE, "bare").run, concurrencies=(16,))
    course = measure(
        [small, type(quick)("lost", lost, concurrencies=(16,))], bare, CORE, rounds=1, run_s=0.1, fewest=10
    )
    text = "\n".join(page(course.highest, course.held, course.failures, {"vbench": "this one"}, "the command"))

    assert course.highest["vbench"].rate > 0
    assert len(course.held) == 3
    assert "* failed: lost, 16 in flight: it fell over" in text
    assert text.count("| vbench |") == 1 + 3
    assert json.loads(json.dumps(summary(course)))["highest"]["vbench"]["concurrency"] == 16


def test_a_rate_that_is_not_held_is_said() -> None:
    errors = Errors(1e-4, 2e-4, 3e-5, None)
    held = {("vbench", 100.0): [Held(100.0, 80.0, errors, 0.0), Held(100.0, 90.0, errors, 0.0)]}
    text = "\n".join(page({"vbench": Highest(200.0, 8, 1)}, held, [], {}, "c"))

    assert (
        "| 100 (held 85) | vbench | 50% | 100 (100 to 100) | 200 (200 to 200) | 30 (30 to 30) | – | 0 (0 to 0) |"
        in text
    )


@pytest.mark.parametrize(("rate", "whose"), [(95.0, "the server's limit"), (50.0, "its own limit")])
def test_whose_limit_was_met_is_said(rate: float, whose: str) -> None:
    highest = {"vbench": Highest(rate, 8, 1), "slow": Highest(9.0, 8, 1), "bare sockets": Highest(100.0, 8, 1)}

    assert f"vbench reached {rate:.0f}% of what bare sockets do: {whose}" in "\n".join(page(highest, {}, [], {}, "c"))


def peer(folder: Path, name: str, script: str) -> Path:
    """A `bin/python` beside which lies this program."""
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport json, os, pathlib, sys\narguments = sys.argv[1:]\n{script}\n")
    program.chmod(0o755)
    return folder / "python"


def test_what_guidellm_says_is_read(tmp_path: Path) -> None:
    python = peer(tmp_path, "guidellm", """
said = dict(request_start_time=2.0, time_to_first_token_ms=51.0, inter_token_latency_ms=10.5)
requests = dict(successful=[said, dict(said, request_start_time=1.0)], errored=[])
assert "kind=constant,rate=8.0" in arguments and "kind=max_requests,count=2" in arguments
assert os.environ["GUIDELLM__MAX_WORKER_PROCESSES"] == "2"
path = arguments[arguments.index("--output") + 1].partition("path=")[2]
pathlib.Path(path).write_text(json.dumps(dict(benchmarks=[dict(requests=requests)])))
""")  # fmt: skip
    said = guidellm(python, CORE, tmp_path).run(1, Load(2, rate=8.0, workers=2), tmp_path)

    assert said == [Said(1.0, 0.051, 0.0105), Said(2.0, 0.051, 0.0105)]


def test_what_aiperf_says_is_read(tmp_path: Path) -> None:
    python = peer(tmp_path, "aiperf", """
values = dict(time_to_first_token=51.0, inter_token_latency=10.5, inter_chunk_latency=[10.0, 11.0])
metadata = dict(request_start_ns=3_000_000_000)
record = dict(metadata=metadata, metrics={name: dict(value=values[name]) for name in values})
assert arguments[arguments.index("--concurrency") + 1] == "4"
folder = pathlib.Path(arguments[arguments.index("--artifact-dir") + 1])
folder.mkdir()
(folder / "profile_export.jsonl").write_text(json.dumps(record))
""")  # fmt: skip
    (tmp_path / "run").mkdir()
    said = aiperf(python, CORE, tmp_path).run(1, Load(1, concurrency=4), tmp_path / "run")

    assert said == [Said(3.0, 0.051, 0.0105, (0.01, 0.011))]


def test_a_peer_that_ends_badly_is_heard(tmp_path: Path) -> None:
    python = peer(tmp_path, "aiperf", "sys.exit('no such endpoint')")

    with pytest.raises(Failed, match="no such endpoint"):
        aiperf(python, CORE, tmp_path).run(1, Load(1, concurrency=4), tmp_path)
