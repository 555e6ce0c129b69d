"""Trials that go wrong in every way the fake engine knows: what is made of each, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.execution.bench import Bench, How, Ran, is_alive, pid_of, wait_until
from vbench.execution import runner, trial_process, verdict, watch
from vbench.execution.keeper_client import Exit
from vbench.outcome import Outcome
from vbench.spec.types import Deadlines

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])
SIGKILL, SIGSEGV, SIGTERM = signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM


@pytest.fixture
def bench(fake_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The shared keeper, in a hurry to kill; whatever was done on it, it is clean and well afterwards."""
    monkeypatch.setattr(trial_process, "_TERM_GRACE_S", 0.3)
    monkeypatch.setattr(runner, "kernel_oom_kills", lambda: 0)  # a neighbour's misfortune must not decide a test
    yield fake_bench
    assert wait_until(lambda: fake_bench.processes() == [])
    assert fake_bench.temp_folders() == []
    assert is_alive(fake_bench.keeper.pid)


# what to fail with → outcome, class, what the evidence holds, how the process ended
RAISED = Exit(code=1, signal=None)
FAILURES: dict[str, tuple[Outcome, str, str, Exit]] = {
    "oom": (Outcome.OUT_OF_MEMORY, "gpu_out_of_memory", "RuntimeError: CUDA out of memory. Tried to", RAISED),
    "host_oom": (Outcome.OUT_OF_MEMORY, "host_out_of_memory", "DefaultCPUAllocator: can't allocate", RAISED),
    "exception": (Outcome.CRASHED, "exception", "RuntimeError: the fake engine was told to fail", RAISED),
    "segfault": (Outcome.CRASHED, "died", "killed by SIGSEGV", Exit(code=None, signal=SIGSEGV)),
    "kill": (Outcome.CRASHED, "died", "killed by SIGKILL", Exit(code=None, signal=SIGKILL)),
    "exit": (Outcome.CRASHED, "died", "exit code 7", Exit(code=7, signal=None)),
}
# where → the passes that were made until then, and the phase that is named
PLACES = {"load": (0, "load"), "pass": (0, "warmup"), "close": (3, "close")}


@BOTH
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fail", FAILURES)
def test_a_failure_is_told_for_what_it_was(bench: Bench, fail: str, place: str, how: How) -> None:
    ran = bench.run(how=how, engine_args={"fail": f"{fail}@{place}"})

    outcome, failure_class, evidence, ending = FAILURES[fail]
    num_passes, phase = PLACES[place]
    assert (ran.outcome, ran.failure_class) == (outcome, failure_class), ran.log
    assert evidence in ran.why.evidence
    assert ran.why.phase == phase
    assert ran.why.advice
    assert ran.raw.exit == ending
    assert len(ran.passes) == num_passes
    assert ran.raw.keeper_error is None


def test_a_segfault_leaves_its_stack_in_the_log(bench: Bench) -> None:
    ran = bench.run(engine_args={"fail": "segfault"})

    assert "Fatal Python error: Segmentation fault" in ran.log
    assert "fake.py" in ran.log


def test_a_kill_while_the_kernel_ran_out_of_memory_is_memorys(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([4, 5])
    monkeypatch.setattr(runner, "kernel_oom_kills", lambda: next(counts))

    ran = bench.run(engine_args={"fail": "kill"})

    assert ran.raw.kernel_oom_kills == 1
    assert (ran.outcome, ran.failure_class) == (Outcome.OUT_OF_MEMORY, "host_out_of_memory")
    assert "killed by SIGKILL in load" in ran.why.evidence


class TestDeadlines:
    # A cold start is an interpreter's; on a busy machine it may take a while to get as far as `load`.
    LIMITS = {  # noqa: RUF012
        "load": Deadlines(load_s=3, pass_s=60, close_s=60),
        "pass": Deadlines(load_s=60, pass_s=0.4, close_s=60),
        "close": Deadlines(load_s=60, pass_s=60, close_s=0.4),
    }

    @BOTH
    @pytest.mark.parametrize("place", ["load", "pass", "close"])
    def test_a_hang_ends_at_its_deadline(self, bench: Bench, place: str, how: How) -> None:
        ran = self.hang(bench, "hang", place, how)

        assert ran.raw.exit == Exit(code=None, signal=SIGTERM)

    @BOTH
    def test_one_that_ignores_sigterm_is_killed(self, bench: Bench, how: How) -> None:
        ran = self.hang(bench, "hang_deaf", "pass", how)

        assert ran.raw.exit == Exit(code=None, signal=SIGKILL)

    def hang(self, bench: Bench, fail: str, place: str, how: How) -> Ran:
        limits = self.LIMITS[place]
        ran = bench.run(how=how, engine_args={"fail": f"{fail}@{place}"}, deadlines=limits)

        limit_s = {"load": limits.load_s, "pass": limits.pass_s, "close": limits.close_s}[place]
        assert (ran.outcome, ran.failure_class) == (Outcome.TIMED_OUT, f"{place}_deadline"), ran.log
        assert ran.why.evidence == f"{place} took over {limit_s:g} s"
        assert ran.why.advice == f"raise `deadlines: {{{place}: …}}` if it was only slow"
        assert ran.why.phase == PLACES[place][1]
        assert len(ran.passes) == PLACES[place][0]
        assert ran.raw.ended_t - ran.raw.started_t >= limit_s
        return ran

    def test_load_has_one_deadline_from_the_start_to_a_ready_engine(self, bench: Bench) -> None:
        # The phases before `load` don't begin it anew: what is waited for is a trial's first measurement.
        ran = bench.run(engine_args={"load_seconds": 30.0}, deadlines=Deadlines(load_s=1, pass_s=60, close_s=60))

        waited_s = ran.raw.ended_t - ran.raw.started_t
        assert ran.failure_class == "load_deadline"
        assert waited_s < 20

    def test_each_pass_has_the_deadline_anew(self, bench: Bench) -> None:
        # 3 passes of about 0.046 s × 24 = 1.1 s: over 3 s in all, none of them alone.
        ran = bench.run(engine_args={"sleep_scale": 24.0}, deadlines=Deadlines(load_s=60, pass_s=3.0, close_s=60))

        assert ran.outcome is Outcome.COMPLETED, ran.failure


@BOTH
def test_a_child_in_a_session_of_its_own_is_found_and_ended(bench: Bench, how: How) -> None:
    ran = bench.run(how=how, engine_args={"fail": "leave_child"})

    assert ran.outcome is Outcome.COMPLETED, ran.log
    (child,) = ran.raw.leftovers
    assert not is_alive(child)
    assert verdict.warnings_of(ran.raw, ran.passes, [4, 4, 4]) == ["1 process(es) outlived the trial and were ended"]


@BOTH
def test_a_flood_of_output_goes_to_the_log_and_disturbs_nothing(bench: Bench, how: How) -> None:
    ran = bench.run(how=how, engine_args={"fail": "flood@pass"}, passes=1)

    assert ran.outcome is Outcome.COMPLETED, ran.failure
    assert ran.raw.garbage == []
    # 2 passes × 20,000 lines × 201 bytes are 8,040,000: read are the first 512 KiB and the last 2 MiB.
    assert f"[... {8_040_000 - 512 * 1024 - 2 * 1024**2} bytes left out ...]" in ran.log


class TestInterrupt:
    @BOTH
    @pytest.mark.parametrize("fail", ["hang@pass", "hang_deaf@pass"])
    def test_what_the_listener_raises_ends_the_trial_first(self, bench: Bench, fail: str, how: How) -> None:
        pids: list[int] = []

        def stop(message: dict[str, Any]) -> None:
            if message["event"] == "hello":
                pids.append(pid_of(message))
            if message.get("name") == "warmup":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.run(how=how, engine_args={"fail": fail}, on_event=stop)

        assert wait_until(lambda: not is_alive(pids[0]))

    def test_the_next_trial_is_well(self, bench: Bench) -> None:
        def stop(message: dict[str, Any]) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.run(on_event=stop)

        assert bench.run().outcome is Outcome.COMPLETED


def test_memory_is_read_in_every_phase_that_lasts(bench: Bench) -> None:
    ran = bench.run(engine_args={"load_seconds": 0.5, "sleep_scale": 8.0})

    peaks = {(one.name, one.index): one.peak_memory_bytes for one in verdict.phases_of(ran.raw)}
    for phase in (("load", 0), ("warmup", 0), ("pass", 0), ("pass", 1)):
        assert (peaks[phase] or 0) > 1024**2, peaks


def test_phases_join_without_a_gap(bench: Bench) -> None:
    ran = bench.run()

    phases = verdict.phases_of(ran.raw)
    assert [one.name for one in phases] == ["start", "import", "load", "warmup", "pass", "pass", "close"]
    assert phases[0].start_s == 0
    assert [one.end_s for one in phases[:-1]] == [one.start_s for one in phases[1:]]
    assert phases[-1].end_s == pytest.approx(ran.raw.ended_t - ran.raw.started_t, abs=1e-6)


def test_no_descriptor_is_left_open(bench: Bench) -> None:
    bench.run()
    before = os.listdir("/proc/self/fd")

    for how in ("fork", "cold"):
        bench.run(how=how, engine_args={"fail": "exception"})

    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_memory_is_passed_on_while_it_runs_and_is_no_message_of_the_trial(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_TELL_MEMORY_S", 0.02)
    heard: list[dict[str, Any]] = []

    ran = bench.run(engine_args={"load_seconds": 0.5}, on_event=heard.append)

    said = [message for message in heard if message["event"] == "memory"]
    assert said
    assert all(0 < message["used_bytes"] <= message["peak_bytes"] for message in said)
    read = {one.used_bytes for one in ran.raw.samples}
    assert all(message["used_bytes"] in read for message in said)  # nothing is read for it
    assert ran.raw.of("memory") == []
    assert ran.outcome is Outcome.COMPLETED
