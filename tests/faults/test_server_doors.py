"""Nobody gets in: who can reach the processes of a real vLLM, and what they are told."""

from __future__ import annotations

import http.client
import ipaddress
import itertools
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import Bench, Ran, pid_of
from tests.faults.matrix import Counts, fault
from vbench.outcome import Outcome

PAGES = ("/health", "/ping", "/metrics", "/version", "/load", "/openapi.json", "/docs", "/v1/models", "/v1/completions",
         "/invocations", "/tokenize", "/detokenize", "/pooling", "/score", "/server_info", "/collective_rpc", "/sleep",
         "/reset_prefix_cache", "/reset_mm_cache", "/update_weights", "/pause", "/v1/load_lora_adapter", "/", "//v1",
         "/nowhere")  # fmt: skip
METHODS = ("GET", "POST", "OPTIONS", "PUT", "DELETE")
LISTENING = "0A"  # proc(5), `/proc/net/tcp`


def in_first_pass(bench: Bench, look: Callable[[list[int]], None], **request: Any) -> Ran:
    """A trial of the real vLLM; `look` is called once, with all its processes, as its first pass begins. There are some
    more of these, should this process be late; the trial stands still meanwhile, so that its engine isn't closed before
    everything was looked at."""
    pids: list[int] = []
    looked: list[int] = []

    def on_event(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            pids.append(pid_of(message))
        if message["event"] == "phase" and message["name"] in ("warmup", "pass") and not looked:
            looked.extend(bench.processes())
            os.kill(pids[0], signal.SIGSTOP)
            try:
                look(looked)
            finally:
                os.kill(pids[0], signal.SIGCONT)

    ran = bench.run(on_event=on_event, passes=10, **request)
    assert ran.outcome is Outcome.COMPLETED, ran.log
    assert looked
    return ran


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Address and port of every TCP socket on which one of them listens; by nothing of vbench."""
    sockets: dict[str, tuple[str, int]] = {}
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net", table)
        for line in path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else ():
            fields = line.split()
            digits, _, port = fields[1].partition(":")
            words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
            if fields[3] == LISTENING:
                sockets[f"socket:[{fields[9]}]"] = str(ipaddress.ip_address(b"".join(words))), int(port, 16)
    return {sockets[name] for pid in pids for name in _descriptors(pid) if name in sockets}


def _descriptors(pid: int) -> list[str]:
    try:
        return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it ended meanwhile
        return []


def refused(port: int, method: str, page: str, headers: dict[str, str]) -> bool:
    """Whether it says 401 and no more."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, page, None, headers)  # a body might be on its way as it is refused
        answer = connection.getresponse()
        return answer.status == 401 and (method == "HEAD" or b"wants the key" in answer.read())
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


@pytest.mark.engine
@fault("security", "somebody else on the machine asks vLLM's server, at any page", "401 without the trial's random "
       "key, also at pages that vLLM's own key leaves open: `/invocations`, `/metrics`, those of its development "
       "mode")  # fmt: skip
def test_no_page_without_the_key(vllm_bench: Bench, counts: Counts) -> None:
    open_pages: list[str] = []

    def look(pids: list[int]) -> None:
        asked = itertools.product(PAGES, METHODS, ({}, {"Authorization": "Bearer EMPTY"}))
        port = _port_of_server(pids)
        open_pages.extend(f"{how} {page}" for page, how, headers in asked if not refused(port, how, page, headers))

    in_first_pass(vllm_bench, look, mode="server")
    counts.tried(len(PAGES) * len(METHODS) * 2 - 1)

    assert open_pages == []


def _port_of_server(pids: list[int]) -> int:
    """That of the trial's child: the trial itself, its parent being the keeper, listens nowhere."""
    (trial,) = [pid for pid in pids if _parent(pid) not in pids]
    (server,) = [pid for pid in pids if _parent(pid) == trial]
    ((address, port),) = listening([server])
    assert address == "127.0.0.1"
    return port


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])


@pytest.mark.engine
@fault("security", "a look for the server's key", "it is in no argument, variable or log, and a `VLLM_API_KEY` of the "
       "user's doesn't disturb")  # fmt: skip
def test_the_key_is_nowhere(vllm_bench: Bench, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def look(pids: list[int]) -> None:
        seen.extend(Path(f"/proc/{pid}/{name}").read_bytes() for pid in pids for name in ("environ", "cmdline"))

    ran = in_first_pass(vllm_bench, look, mode="server", environment={"VLLM_API_KEY": "the-users-own"})

    assert seen
    for text in [*seen, ran.log.encode()]:
        assert re.search(rb"vbench-key-[0-9a-f]{32}|Bearer ", text) is None


@pytest.mark.engine
@fault("security", "a look at every socket on which vLLM's processes listen", "loopback alone, in each way of calling")
@pytest.mark.parametrize(
    "request_", [{}, {"engine_args": {"tensor_parallel_size": 2}}, {"mode": "async"}, {"mode": "server"}],
    ids=["offline", "two ranks", "async", "server"],
)  # fmt: skip
def test_loopback_alone(vllm_bench: Bench, request_: dict[str, Any]) -> None:
    found: set[tuple[str, int]] = set()
    ran = in_first_pass(vllm_bench, lambda pids: found.update(listening(pids)), **request_)

    assert {address for address, _ in found if not ipaddress.ip_address(address).is_loopback} == set()
    (engine,) = ran.raw.of("engine")
    assert not [note for note in engine["facts"]["notes"] if "beyond loopback" in note]
