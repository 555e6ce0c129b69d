"""An engine that fails in every way that we know: each trial is taken for what it was, and nothing stays of it."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.process import BASE, Vbench, records_of
from tests.execution.bench import Bench, How, is_alive, wait_until
from tests.faults.matrix import Counts, fault
from vbench.execution import runner, trial_process
from vbench.execution.keeper_client import Exit
from vbench.outcome import Outcome
from vbench.spec.types import Deadlines

CRASHED, OOM, TIMED_OUT = Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT
BOTH = pytest.mark.parametrize("how", ["fork", "cold"])


@pytest.fixture
def bench(fake_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The shared keeper, in a hurry to kill; it is well afterwards, and nothing runs below it."""
    monkeypatch.setattr(trial_process, "_TERM_GRACE_S", 0.3)
    monkeypatch.setattr(runner, "kernel_oom_kills", lambda: 0)
    yield fake_bench
    assert wait_until(lambda: fake_bench.processes() == [])
    assert is_alive(fake_bench.keeper.pid)


class Case(NamedTuple):
    name: str
    fail: str
    outcome: Outcome
    failure_class: str
    evidence: str
    promise: str


RAISED = "`crashed`, with the exception's first line as evidence; the sweep goes on"
ENDED = "`crashed`, with the signal or exit code and the phase named; the sweep goes on"
MEMORY = "`out_of_memory`, with the engine's own line and what to lower; the search learns it, the sweep goes on"
FAILURES = [
    Case("Python exception at load", "raise=no such layer@load", CRASHED, "exception", "Error: no such layer", RAISED),
    Case("Python exception in a pass", "raise=no such layer@pass", CRASHED, "exception", "no such layer", RAISED),
    Case("Python exception at close", "raise=no such layer@close", CRASHED, "exception", "no such layer", RAISED),
    Case("recursion without end", "recursion@pass", CRASHED, "exception", "RecursionError: maximum recursion", RAISED),
    Case("the engine calls sys.exit", "sys_exit=5@load", CRASHED, "exception", "SystemExit: 5", RAISED),
    Case("the engine raises KeyboardInterrupt", "interrupt@pass", CRASHED, "exception", "KeyboardInterrupt", RAISED),
    Case("segfault at load", "segfault@load", CRASHED, "died", "ended in load, killed by SIGSEGV", ENDED),
    Case("segfault in a pass", "segfault@pass", CRASHED, "died", "ended in warmup, killed by SIGSEGV", ENDED),
    Case("segfault at close", "segfault@close", CRASHED, "died", "ended in close, killed by SIGSEGV", ENDED),
    Case("abort", "abort@pass", CRASHED, "died", "ended in warmup, killed by SIGABRT", ENDED),
    Case("`os._exit(7)`", "exit=7@load", CRASHED, "died", "ended in load with exit code 7", ENDED),
    Case("`os._exit(0)`, as if it were well", "exit=0@pass", CRASHED, "died", "ended in warmup with exit code", ENDED),
    Case("kill -9 of the worker", "kill@pass", CRASHED, "died", "ended in warmup, killed by SIGKILL", ENDED),
    Case("SIGTERM from elsewhere", "term@pass", CRASHED, "died", "ended in warmup, killed by SIGTERM", ENDED),
    Case("CUDA out of memory at load", "oom@load", OOM, "gpu_out_of_memory", "CUDA out of memory. Tried to", MEMORY),
    Case("CUDA out of memory in a pass", "oom@pass", OOM, "gpu_out_of_memory", "CUDA out of memory. Tried to", MEMORY),
    Case("host memory refused", "host_oom@pass", OOM, "host_out_of_memory", "DefaultCPUAllocator: can't", MEMORY),
    Case("an engine core that dies", "engine_dead@pass", CRASHED, "engine_died", "EngineDeadError", RAISED),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=fault("engine", case.name, case.promise)) for case in FAILURES]
)
def test_a_failure_is_told_for_what_it_was(bench: Bench, case: Case, how: How) -> None:
    ran = bench.run(how=how, engine_args={"fail": case.fail})

    assert (ran.outcome, ran.failure_class) == (case.outcome, case.failure_class), ran.log
    assert case.evidence in ran.why.evidence
    assert ran.why.advice
    assert ran.raw.keeper_error is None


@fault("engine", "the kernel kills the worker for memory", MEMORY)
def test_an_oom_kill_of_the_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([4, 5])
    monkeypatch.setattr(runner, "kernel_oom_kills", lambda: next(counts))

    ran = bench.run(engine_args={"fail": "kill@pass"})

    assert (ran.outcome, ran.failure_class) == (OOM, "host_out_of_memory")
    assert ran.why.evidence == "killed by SIGKILL in warmup; the kernel's out-of-memory killer struck meanwhile"


@fault("engine", "the kernel kills a child of the worker for memory", MEMORY)
def test_an_oom_kill_of_its_child_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([4, 5])
    monkeypatch.setattr(runner, "kernel_oom_kills", lambda: next(counts))

    ran = bench.run(engine_args={"fail": "kill_child@load"})

    assert (ran.outcome, ran.failure_class) == (OOM, "host_out_of_memory")
    assert ran.why.evidence.startswith("RuntimeError: Engine core initialization failed.")
    assert ran.why.evidence.endswith("(the kernel's out-of-memory killer struck meanwhile)")


HUNG = "ended at its deadline, by SIGTERM and then SIGKILL: `timed_out`, with the deadline to raise; the sweep goes on"
LIMITS = {
    "load": Deadlines(load_s=3, pass_s=60, close_s=60),
    "pass": Deadlines(load_s=60, pass_s=0.4, close_s=60),
    "close": Deadlines(load_s=60, pass_s=60, close_s=0.4),
}
HANGS = [
    ("hang at load", "hang", "load", signal.SIGTERM),
    ("hang in a pass", "hang", "pass", signal.SIGTERM),
    ("hang at close", "hang", "close", signal.SIGTERM),
    ("hang that computes", "spin", "pass", signal.SIGTERM),
    ("hang that ignores SIGTERM", "hang_deaf", "pass", signal.SIGKILL),
    ("the engine stops itself (SIGSTOP)", "stop", "pass", signal.SIGKILL),
]


@BOTH
@pytest.mark.parametrize(
    ("kind", "place", "ending"),
    [pytest.param(*values, id=name, marks=fault("engine", name, HUNG)) for name, *values in HANGS],
)
def test_a_hang_ends_at_its_deadline(bench: Bench, kind: str, place: str, ending: int, how: How) -> None:
    ran = bench.run(how=how, engine_args={"fail": f"{kind}@{place}"}, deadlines=LIMITS[place])

    assert (ran.outcome, ran.failure_class) == (TIMED_OUT, f"{place}_deadline"), ran.log
    assert ran.why.advice == f"raise `deadlines: {{{place}: …}}` if it was only slow"
    assert ran.raw.exit == Exit(code=None, signal=ending)
    assert len(ran.passes) == (3 if place == "close" else 0)


@fault(
    "engine",
    "a crash would leave a core dump",
    "none is written, unless `VBENCH_CORES=1` is set; the stack is in the log",
)
def test_a_crash_leaves_no_core(bench: Bench, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = tmp_path / "limit"
    try:
        resource.prlimit(bench.keeper.pid, resource.RLIMIT_CORE, (hard, hard))
        ran = bench.run(engine_args={"fail": "segfault@load"}, on_event=lambda message: _note_limit(message, limit))
    finally:
        resource.prlimit(bench.keeper.pid, resource.RLIMIT_CORE, (soft, hard))

    assert "Fatal Python error: Segmentation fault" in ran.log
    assert limit.read_text() == "0"


def _note_limit(message: dict[str, Any], path: Path) -> None:
    if message["event"] == "hello":
        path.write_text(str(resource.prlimit(message["pid"], resource.RLIMIT_CORE)[0]))


ALL = [*[case.fail for case in FAILURES[::2]], "binary@pass", "flood=40@pass", "leave_child@pass"]


@fault(
    "engine", "a sweep over configurations that fail in all these ways",
    "each has its one record, the sound one wins, and the exit code is 0",
)  # fmt: skip
def test_a_sweep_goes_on(vbench: Vbench, counts: Counts) -> None:
    options = ", ".join(f'"{fail}"' for fail in ALL)
    vbench.write(f"{BASE}parameters: {{fail: [{options}]}}\nsearch: {{method: grid}}\nbaseline: {{}}\n")
    counts.tried(len(ALL) - 1)

    done = vbench("sweep", "small.yaml", check=0)

    run = vbench.run()
    counts.records(run, len(ALL) + 1)
    for record in records_of(run)[1:]:
        fail = record["config"]["fail"]
        expected = next((case.outcome for case in FAILURES if case.fail == fail), Outcome.COMPLETED)
        assert record["outcome"] == expected, record["failure"]
        assert record["failure"] is None or "\n" not in record["failure"]["evidence"]
    (flooded,) = [record for record in records_of(run) if record["config"].get("fail") == "flood=40@pass"]
    assert any("left out of the log" in warning for warning in flooded["warnings"])
    assert "bytes of output were left out here" in read_text(run / "logs" / f"{flooded['trial']:04d}.log")
    (junk,) = [record for record in records_of(run) if record["config"].get("fail") == "binary@pass"]
    shown = vbench("show", run.name, str(junk["trial"]), check=0)
    for output in (done, shown):
        assert "\x1b]0;title" not in output.stdout + output.stderr
    assert vbench("show", run.name, str(flooded["trial"]), check=0).stdout


def read_text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
