"""An engine that is kept alive, and all that may end it, or should."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import Bench, How, is_alive, temp_folders, wait_until
from tests.execution.live import SLOW, Live, Make, making
from tests.execution.test_keeper import ROOT, Parent
from tests.execution.test_trials import RUN_UID, failure_class, notes, trials
from vbench.execution import leftovers, verdict
from vbench.execution.live_engine import wait_for_memory
from vbench.hardware import gpu_trial
from vbench.hardware.gpu_samples import GpuSample, GpuSource, GpuUse
from vbench.hardware.gpu_types import GpuReading
from vbench.outcome import Outcome
from vbench.records.record import Stopped
from vbench.units import GIB


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Make]:
    with making(tmp_path) as make:
        yield make


class TestFailure:
    @pytest.mark.parametrize("fail", ["segfault", "exception", "exit", "oom", "errno=EMFILE", "errno=EADDRINUSE"])
    def test_that_reuse_may_be_to_blame_for_is_tried_on_a_fresh_engine(self, live: Make, fail: str) -> None:
        t = live()
        t.run(0)
        record = t.run(1, sampling__fail=f"{fail}@reused")

        assert record.outcome is Outcome.COMPLETED, record.failure
        assert record.environment["worker_start"] == "fork"
        (note,) = notes(record)
        assert note.startswith("started anew after a reused engine ended as ")
        assert t.is_reused(t.run(2))  # what was started anew is kept

    def test_of_the_fresh_engine_too_is_the_trials(self, live: Make) -> None:
        t = live()
        t.run(0)
        record = t.run(1, sampling__fail="exception")
        following = t.run(2)

        assert (record.outcome, failure_class(record)) == (Outcome.CRASHED, "exception")
        assert len(notes(record)) == 1
        assert not is_alive(t.pids[1])
        assert (following.outcome, t.is_reused(following)) == (Outcome.COMPLETED, False)

    def test_of_the_disk_is_not_the_engines(self, live: Make) -> None:
        t = live()
        t.run(0)
        record = t.run(1, sampling__fail="errno=ENOSPC@reused")

        assert (record.outcome, failure_class(record)) == (Outcome.INTERRUPTED, "disk_full")
        assert notes(record) == ["the engine was started by trial 0"]

    def test_a_hang_meets_its_deadline(self, live: Make) -> None:
        t = live("deadlines: {load: 60s, pass: 1.5s, close: 60s}\n")
        t.run(0)
        record = t.run(1, sampling__fail="hang@reused")

        assert record.outcome is Outcome.COMPLETED
        assert notes(record) == ["started anew after a reused engine ended as timed_out (pass_deadline)"]

    def test_one_that_ended_between_trials_is_replaced(self, live: Make) -> None:
        t = live()
        t.run(0)
        os.kill(t.pids[0], signal.SIGKILL)
        assert wait_until(lambda: not is_alive(t.pids[0]))
        record = t.run(1)

        assert (record.outcome, t.is_reused(record)) == (Outcome.COMPLETED, False)
        assert "the engine that trial 0 left alive ended by itself" in record.warnings

    def test_a_keeper_that_ended_between_trials_is_replaced(self, live: Make) -> None:
        t = live()
        t.run(0)
        (keeper,) = t.t.runner._keepers.pids
        os.kill(keeper, signal.SIGKILL)
        assert wait_until(lambda: not is_alive(t.pids[0]))
        record = t.run(1)

        assert (record.outcome, t.is_reused(record)) == (Outcome.COMPLETED, False)
        assert notes(record) == []

    def test_a_keeper_that_ends_in_a_reused_trial_is_replaced(self, live: Make) -> None:
        t = live(SLOW)
        t.run(0)
        pids = list(t.t.runner._keepers.pids)

        def kill_once(message: dict[str, Any]) -> None:
            if message.get("name") == "warmup" and pids:
                os.kill(pids.pop(), signal.SIGKILL)

        record = t.run(1, on_event=kill_once)

        assert record.outcome is Outcome.COMPLETED
        assert notes(record) == ["started anew after a reused engine ended as crashed (keeper_gone)"]

    def test_an_unsound_result_leaves_no_engine(self, live: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        t = live()
        unsound: tuple[Any, ...] = (
            Outcome.CRASHED,
            verdict._failed(Outcome.CRASHED, "bad_result", "x", "y", "pass")[1],
            [],
        )
        with monkeypatch.context() as patch:
            patch.setattr(verdict, "judge", lambda *_, **__: unsound)
            t.run(0)

        assert t.t.runner.live_key is None
        assert not is_alive(t.pids[0])


def test_one_that_was_started_over_the_budget_serves_no_other_trial(tmp_path: Path) -> None:
    with trials(tmp_path, limit_bytes=1024**2) as opened:
        t = Live(opened)
        for number in range(2):
            record = t.run(number, load_seconds=0.3)

            assert (record.outcome, t.is_reused(record)) == (Outcome.OVER_BUDGET, False)


class StopAt:
    """Stops a trial in a phase at once."""

    def __init__(self, phase: str) -> None:
        self.phase = phase

    def limit_s(self, phase: str, index: int) -> float | None:
        return 0.0 if phase == self.phase else None

    def passed(self, message: dict[str, Any]) -> None: ...

    def stopped(self, phase: str, index: int, after_s: float) -> Stopped:
        return Stopped(
            phase=phase, index=index, after_s=after_s, bound=1.0, incumbent_trial=0, incumbent_value=2.0,
            error_rate=0.05,
        )  # fmt: skip


def test_a_stopper_stops_a_reused_trial_and_its_engine_goes(live: Make) -> None:
    t = live("engine_args: {sleep_scale: 20.0}\n")
    t.run(0)
    record = t.run(1, stopper=StopAt("pass"))

    assert (record.outcome, record.environment["worker_start"]) == (Outcome.PRUNED, "reused")
    assert record.stopped is not None
    assert record.stopped.phase == "pass"
    assert not is_alive(t.pids[1])
    assert t.t.runner.live_key is None


class TestEnding:
    @pytest.mark.parametrize("number", [0, 1])
    def test_an_interrupt_ends_the_engine(self, live: Make, number: int) -> None:
        t = live(SLOW)

        def interrupt(message: dict[str, Any]) -> None:
            if message["event"] == "done":
                raise KeyboardInterrupt

        for earlier in range(number):
            t.run(earlier)
        with pytest.raises(KeyboardInterrupt):
            t.run(number, on_event=interrupt)

        assert wait_until(lambda: not is_alive(t.pids[number]))
        assert t.t.runner.live_key is None
        assert t.run(number + 1).outcome is Outcome.COMPLETED

    def test_an_error_of_vbench_takes_it_along(self, tmp_path: Path) -> None:
        with trials(tmp_path) as opened:
            t = Live(opened)
            t.run(0)
            opened.runner.__exit__(KeyboardInterrupt)

            assert wait_until(lambda: leftovers.marked_processes(RUN_UID) == [])
            assert not is_alive(t.pids[0])
            assert temp_folders(RUN_UID) == []


# A vbench of its own, waiting between two trials.
PARENT = """
import json, sys, time
from pathlib import Path
from tests.execution.bench import open_bench

with open_bench("fake", Path(sys.argv[1])) as bench:
    ran = bench.run(how=sys.argv[2], engine_args={"fail": "leave_child@load"}, keep_engine=True)
    assert ran.raw.is_kept
    print(json.dumps({"run_uid": bench.run_uid}), flush=True)
    time.sleep(3600)
"""


@pytest.fixture(params=["fork", "cold"])
def parent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Parent]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), request.param],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        run_uid = json.loads(process.stdout.readline())["run_uid"]
        wait_until(lambda: len(leftovers.marked_processes(run_uid)) == 3)  # a new process has no variables at first
        yield Parent(process, run_uid, leftovers.marked_processes(run_uid))
        process.kill()
        leftovers.kill_marked(run_uid)
        leftovers.remove_temp_folders(run_uid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_waiting_engine_does_not_outlive_vbench(parent: Parent, number: signal.Signals) -> None:
    assert len(parent.pids) == 3  # keeper, trial, and the child that it left
    parent.process.send_signal(number)

    assert wait_until(lambda: not any(map(is_alive, parent.pids)))
    assert leftovers.marked_processes(parent.run_uid) == []


@pytest.mark.parametrize("how", ["fork", "cold"])
def test_no_descriptor_is_left_open(fake_bench: Bench, how: How) -> None:
    fake_bench.run()
    before = len(descriptors(os.getpid()))
    engine = fake_bench.run(how=how, keep_engine=True).raw.engine
    assert engine is not None
    try:
        held = descriptors(engine.process.pid)
        for temperature in (0.1, 0.2, 0.3):
            again = fake_bench.run(engine=engine, keep_engine=True, sampling={"temperature": temperature})
            assert again.raw.is_kept, (again.outcome, again.failure, again.log)
        # The worker may be about to close one, or have had one more of what it has collected since.
        is_back = wait_until(lambda: len(descriptors(engine.process.pid)) <= len(held), 5)
        assert is_back, (held, descriptors(engine.process.pid))
    finally:
        fake_bench.close(engine)  # or every later test on this keeper would find it
    assert not is_alive(engine.process.pid)
    assert wait_until(lambda: len(descriptors(os.getpid())) <= before, 5), (before, descriptors(os.getpid()))
    assert fake_bench.temp_folders() == []


def descriptors(pid: int) -> dict[str, str]:
    """What each open descriptor of a process leads to."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile, as the one that lists them is
            found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


def test_a_gpus_memory_is_waited_for_by_what_it_held_before_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_trial, "RELEASE_TIMEOUT_S", 0.2)
    before, loaded = gpu_sample(1 * GIB), gpu_sample(3 * GIB)
    source = GpuSource([], lambda: [])
    source.samples = [loaded, loaded]  # all that a source which was made while the engine was there has seen

    assert wait_for_memory(source, None) == []
    (warning,) = wait_for_memory(source, before)
    assert warning.startswith("GPU 0: 2,048 MiB more are in use")
    assert source.samples == [loaded, loaded]


def gpu_sample(used_bytes: int) -> GpuSample:
    use = GpuUse(
        reading=GpuReading(index=0, used_bytes=used_bytes), used_bytes=used_bytes, tree_bytes=None, foreign_bytes=0,
        foreign_pids=(),
    )  # fmt: skip
    return GpuSample(t=float("inf"), used_bytes=used_bytes, num_processes=1, host_bytes=None, gpus=(use,))
