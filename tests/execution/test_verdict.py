"""What a trial's end means, decided from what was seen of it; no process is needed for that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.execution.test_pipe import pass_message
from vbench.execution import verdict
from vbench.execution.host_load import HostCounters, HostReading
from vbench.execution.keeper_client import Exit
from vbench.execution.memory import MemorySample
from vbench.execution.runner import RawTrial
from vbench.outcome import Outcome
from vbench.records.record import Failure, Pass, Stopped
from vbench.spec.types import Deadlines

LIMITS = Deadlines(load_s=900, pass_s=600, close_s=60)
CLEAN = Exit(code=0, signal=None)
START = 100.0
DONE = {"event": "done", "t": 120.0}


def make_raw(*messages: dict[str, Any], exit: Exit | None = CLEAN, **changes: Any) -> RawTrial:
    return RawTrial(started_t=START, how="fork", ended_t=130.0, messages=list(messages), exit=exit, **changes)


def phase(name: str, t: float, index: int = 0) -> dict[str, Any]:
    return {"event": "phase", "name": name, "index": index, "t": t}


def requests(**changes: Any) -> dict[str, Any]:
    return {"input_tokens": [6, 6], "output_tokens": [4, 4], **changes}


def judge(raw: RawTrial, log: str = "") -> tuple[Outcome, Failure | None, list[Pass]]:
    return verdict.judge(raw, log, LIMITS, num_prompts=2)


def why(raw: RawTrial, log: str = "") -> tuple[Outcome, str, str]:
    outcome, failure, _ = judge(raw, log)
    assert failure is not None
    return outcome, failure.failure_class, failure.evidence


def test_a_sound_trial_completed() -> None:
    outcome, failure, passes = judge(make_raw(pass_message(t=110.0), DONE))

    assert (outcome, failure) == (Outcome.COMPLETED, None)
    assert [one.start_s for one in passes] == [10.0]  # 110 − 100


def test_a_sound_trial_whose_engine_is_kept_completed() -> None:
    outcome, failure, _ = judge(make_raw(pass_message(t=110.0), DONE, exit=None, is_kept=True))

    assert (outcome, failure) == (Outcome.COMPLETED, None)


def test_one_that_was_done_as_it_was_being_stopped_completed() -> None:
    stopped = Stopped(
        phase="pass", index=0, after_s=1.0, bound=1.0, incumbent_trial=0, incumbent_value=2.0, error_rate=0.05
    )
    ended = Exit(code=None, signal=15)

    assert judge(make_raw(pass_message(t=110.0), exit=ended, stopped=stopped))[0] is Outcome.PRUNED
    assert judge(make_raw(pass_message(t=110.0), DONE, exit=ended, stopped=stopped))[0] is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"duration_s": 0.0}, "pass 0 claims a duration of 0.0 s"),
        ({"duration_s": -1.0}, "pass 0 claims a duration of -1.0 s"),
        # JSON has no infinity, but a number too large for a float becomes one.
        ({"duration_s": float("inf")}, "pass 0 claims a duration of inf s"),
        ({"requests": requests(output_tokens=[4, -1])}, "pass 0 claims a negative number of tokens"),
        ({"requests": requests(input_tokens=[-6, 6])}, "pass 0 claims a negative number of tokens"),
        ({"requests": requests(output_tokens=[4])}, "pass 0 doesn't answer each of the 2 prompts once"),
        ({"requests": requests(output_tokens=[4, 4, 4])}, "pass 0 doesn't answer each of the 2 prompts once"),
        ({"requests": requests(ttft_s=[0.1])}, "pass 0 doesn't answer each of the 2 prompts once"),
        ({"requests": requests(ttft_s=[0.1, float("inf")])}, "pass 0 has a number that isn't finite"),
        ({"engine_metrics": {"num_preemptions": float("inf")}}, "pass 0 has a number that isn't finite"),
        ({"requests": requests(itl_s=[[0.1], [float("inf")]])}, "pass 0 has a number that isn't finite"),
        ({"requests": requests(itl_s=[[0.1]])}, "pass 0 doesn't answer each of the 2 prompts once"),
        ({"requests": requests(finish_reasons=["stop"])}, "pass 0 doesn't answer each of the 2 prompts once"),
        ({"requests": requests(send_s=[0.1])}, "pass 0 doesn't answer each of the 2 prompts once"),
        ({"requests": requests(ttft_s=[0.1, -0.2])}, "pass 0 claims a latency of -0.2 s"),
        ({"requests": requests(itl_s=[[0.1], [-0.3]])}, "pass 0 claims a latency of -0.3 s"),
        ({"duration_s": 1e-12}, "pass 0 claims a duration of 1e-12 s"),
        # The trial ran from 100 to 130.
        ({"t": 132.0}, "pass 0 claims to have begun 32.0 s into a trial of 30.0 s"),
        ({"t": 98.0}, "pass 0 claims to have begun -2.0 s into a trial of 30.0 s"),
    ],
)
def test_an_unsound_pass_is_no_result(changes: dict[str, Any], evidence: str) -> None:
    raw = make_raw(pass_message(**changes), DONE)

    assert why(raw) == (Outcome.CRASHED, "bad_result", evidence)
    assert judge(raw)[2] == []


def test_a_pass_that_outlasts_its_trial_is_none_where_both_have_one_clock() -> None:
    raw = make_raw(pass_message(duration_s=25.0), DONE)  # from 110 to 135, where the trial ended at 130

    _, failure, passes = verdict.judge(raw, "", LIMITS, num_prompts=2, is_timed_here=True)
    assert failure is not None
    assert (failure.evidence, passes) == ("pass 0 claims a duration of 25.0 s, in a trial of 30.0 s", [])
    assert verdict.judge(raw, "", LIMITS, num_prompts=2)[0] is Outcome.COMPLETED  # the fake engine's clock is another


def test_so_is_a_latency_that_outlasts_its_pass() -> None:
    raw = make_raw(pass_message(requests=requests(ttft_s=[0.1, 3600.0])), DONE)

    _, failure, _ = verdict.judge(raw, "", LIMITS, num_prompts=2, is_timed_here=True)
    assert failure is not None
    assert failure.evidence == "pass 0 claims a latency of 3600.0 s, and took 0.5 s"


def test_a_pass_is_told_once() -> None:
    raw = make_raw(pass_message(kind="warmup"), pass_message(), pass_message(), DONE)

    assert why(raw)[2] == "the timed pass 0 was told twice"
    assert len(judge(raw)[2]) == 2


def test_nothing_comes_after_done() -> None:
    assert why(make_raw(pass_message(), DONE, pass_message(index=1)))[2] == "said `pass` after `done`"


def test_another_protocols_worker_is_not_understood() -> None:
    hello = {"event": "hello", "protocol": 2}

    assert why(make_raw(hello, pass_message(), DONE))[2].startswith("the worker speaks protocol 2, and vbench 1")


def test_a_flooded_pipe_is_no_result() -> None:
    raw = make_raw(pass_message(), DONE, flood="20 lines on the result pipe aren't ours", garbage=["junk"])

    assert why(raw)[1:] == ("bad_result", "20 lines on the result pipe aren't ours, the first: 'junk'")


def test_an_engine_whose_child_the_kernel_killed_for_memory() -> None:
    error = {"event": "error", "type": "RuntimeError", "message": "Engine core initialization failed.", "t": 1.0}
    raw = make_raw(error, exit=Exit(code=1, signal=None), kernel_oom_kills=1)

    assert why(raw)[:2] == (Outcome.OUT_OF_MEMORY, "host_out_of_memory")
    # One that says what it failed for isn't memory's, whatever else happened.
    said = {**error, "message": "User-specified max_model_len (9) is greater than the derived max_model_len"}
    assert why(make_raw(said, exit=Exit(code=1, signal=None), kernel_oom_kills=1))[0] is Outcome.INFEASIBLE


def test_a_phase_lies_within_its_trial_whatever_it_says() -> None:
    raw = make_raw(phase("load", 50.0), phase("pass", 120.0), phase("close", 1e12))

    assert [(one.name, one.start_s, one.end_s) for one in verdict.phases_of(raw)] == [
        ("start", 0.0, 0.0), ("load", 0.0, 20.0), ("pass", 20.0, 30.0), ("close", 30.0, 30.0)
    ]  # fmt: skip


def test_latencies_that_are_missing_for_the_clocks_sake_are_told() -> None:
    raw = make_raw(pass_message(requests=requests(tpot_s=[0.1, 0.1])), pass_message(index=1), DONE)
    (warning,) = verdict.warnings_of(raw, judge(raw)[2], None)

    assert warning.startswith("1 of 2 timed passes have no time to first token: the machine's clock was set")


def test_what_was_left_out_of_a_log_is_told() -> None:
    (warning,) = verdict.warnings_of(make_raw(DONE, log_left_out=3 * 1024**2), [], None)

    assert "3 MiB of it were left out of the log" in warning


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "lukewarm"},
        {"requests": None},
        {"requests": requests(output_tokens=["many", 4])},
        {"index": None},
        {"t": "noon"},
        {"duration_s": "long"},
        {"engine_metrics": [1]},
    ],
    ids=json.dumps,
)
def test_a_malformed_pass_is_no_result(changes: dict[str, Any]) -> None:
    outcome, failure_class, evidence = why(make_raw(pass_message(**changes), DONE))

    assert (outcome, failure_class) == (Outcome.CRASHED, "bad_result")
    assert evidence.startswith("a pass is malformed: ")


def test_passes_before_an_unsound_one_are_kept() -> None:
    raw = make_raw(pass_message(), pass_message(index=1, duration_s=0.0), DONE)

    assert [one.index for one in judge(raw)[2]] == [0]


def test_warm_up_alone_is_no_result() -> None:
    assert why(make_raw(pass_message(kind="warmup"), DONE))[2] == "said it was done without a timed pass"


def test_what_was_raised_stands_beside_the_log() -> None:
    error = {"event": "error", "type": "ValueError", "message": "No available memory for the cache blocks.", "t": 1.0}
    raw = make_raw(phase("load", 101.0), error, exit=Exit(code=1, signal=None))

    assert why(raw) == (
        Outcome.OUT_OF_MEMORY,
        "kv_cache_too_small",
        "ValueError: No available memory for the cache blocks.",
    )


def test_an_unknown_error_shows_its_first_line() -> None:
    error = {"event": "error", "type": "KeyError", "message": "'wheel'\nsecond line", "t": 1.0}

    assert why(make_raw(error, exit=Exit(code=1, signal=None))) == (Outcome.CRASHED, "exception", "KeyError: 'wheel'")


def test_an_error_of_half_a_character_can_be_stored() -> None:
    # A file name that isn't UTF-8 is read with lone surrogates, which no UTF-8 file can hold.
    error = {"event": "error", "type": "OSError", "message": "no file \udcff.json", "t": 1.0}
    _, failure, _ = judge(make_raw(error, exit=Exit(code=1, signal=None)))

    assert failure is not None
    assert failure.model_dump_json()
    assert failure.evidence == "OSError: no file ?.json"


def test_a_silent_death_is_explained_by_the_log() -> None:
    log = "(EngineCore pid=7) ERROR 11-03 09:30:00 [core.py:12] torch.OutOfMemoryError: CUDA out of memory. Tried"

    assert why(make_raw(exit=Exit(code=None, signal=6)), log) == (
        Outcome.OUT_OF_MEMORY,
        "gpu_out_of_memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried",
    )


def test_a_timeout_is_one_even_if_the_log_has_an_error_of_old() -> None:
    raw = make_raw(phase("pass", 110.0), exit=Exit(code=None, signal=15), timed_out="pass")

    assert why(raw, "CUDA out of memory") == (Outcome.TIMED_OUT, "pass_deadline", "pass took over 600 s")


@pytest.mark.parametrize(
    ("log", "is_said"), [("pp=1, tensor_parallel_size=2, x=1", True), ("tensor_parallel_size=1,", False)]
)
def test_ranks_that_hang_get_what_helps_against_it(log: str, is_said: bool) -> None:
    raw = make_raw(phase("load", 101.0), exit=Exit(code=None, signal=15), timed_out="load")
    _, failure, _ = judge(raw, f"INFO 11-03 09:30:00 [core.py:12] Initializing a V1 LLM engine with config: {log}")

    assert failure is not None
    assert ("NCCL_P2P_DISABLE=1 and disable_custom_all_reduce: true" in failure.advice) is is_said
    assert "raise `deadlines: {load: …}`" in failure.advice


@pytest.mark.parametrize(
    ("changes", "failure_class", "evidence"),
    [
        ({"exit": None}, "unkillable", "process load could not be ended, not even by SIGKILL"),
        (
            {"keeper_error": "the keeper process is gone: killed by SIGKILL"},
            "keeper_gone",
            "the keeper process is gone",
        ),
    ],
)
def test_what_is_wrong_with_the_machine_comes_first(changes: dict[str, Any], failure_class: str, evidence: str) -> None:
    raw = make_raw(phase("load", 101.0), pass_message(), DONE, **changes)

    outcome, found, shown = why(raw)

    assert (outcome, found) == (Outcome.CRASHED, failure_class)
    assert shown.startswith(evidence)


def test_peaks_are_those_of_their_phase() -> None:
    def sample(t: float, used: int | None) -> MemorySample:
        return MemorySample(t=t, used_bytes=used, num_processes=1)

    samples = [sample(100.5, 10), sample(104.0, 700), sample(106.0, 300), sample(111.0, None), sample(125.0, 200)]
    raw = make_raw(phase("load", 103.0), phase("warmup", 110.0), phase("pass", 112.0, 0), samples=samples)

    peaks = [(one.name, one.start_s, one.end_s, one.peak_memory_bytes) for one in verdict.phases_of(raw)]

    assert peaks == [
        ("start", 0.0, 3.0, 10),
        ("load", 3.0, 10.0, 700),
        ("warmup", 10.0, 12.0, None),
        ("pass", 12.0, 30.0, 200),
    ]


class TestWarnings:
    def passes(self, *durations: float, **changes: Any) -> list[Pass]:
        messages = [pass_message(index=i, duration_s=one, **changes) for i, one in enumerate(durations)]
        return judge(make_raw(*messages, DONE))[2]

    def test_a_quiet_trial_has_none(self) -> None:
        assert verdict.warnings_of(make_raw(), self.passes(1.0, 1.1), [4, 4]) == []

    def test_short_answers_are_counted(self) -> None:
        passes = self.passes(1.0, 1.0, requests=requests(output_tokens=[4, 3]))

        (warning,) = verdict.warnings_of(make_raw(), passes, [4, 4])

        assert warning.startswith("2 of 4 requests didn't generate the 4 tokens asked for")
        assert verdict.warnings_of(make_raw(), passes, None) == []  # until stop: any length is as asked

    def test_passes_that_differ_are_told(self) -> None:
        (warning,) = verdict.warnings_of(make_raw(), self.passes(1.0, 1.25), [4, 4])

        assert warning == "timed passes differ by 25%: something else is running, or it hadn't warmed up"

    def hosted(self, foreign_s: float) -> RawTrial:
        """Two passes of ten seconds, in which others took so much of each second of one core of four."""
        raw = make_raw(phase("pass", 110.0, 0), phase("pass", 120.0, 1), phase("close", 130.0))
        raw.host = HostCounters(1, cpus=range(4))
        raw.host_readings = [
            HostReading(t=t, busy_s=(1 + foreign_s) * t, steal_s=0.0, trial_s=t, vbench_s=0.0)
            for t in (100.0, 110.0, 120.0, 130.0)
        ]
        return raw

    def test_why_passes_differ_is_said_where_it_is_known(self) -> None:
        differ, busy = verdict.warnings_of(self.hosted(1.5), self.passes(1.0, 1.25), [4, 4])

        assert differ == "timed passes differ by 25%, likely as other processes took 1.5 of 4 cores"
        assert busy.startswith("other processes took 1.5 of 4 cores during timed passes (1.5 were free)")

    def test_others_are_told_where_passes_agree(self) -> None:
        (busy,) = verdict.warnings_of(self.hosted(1.5), self.passes(1.0, 1.0), [4, 4])

        assert busy.startswith("other processes took 1.5 of 4 cores")

    def test_a_quiet_machine_isnt_to_blame(self) -> None:
        (warning,) = verdict.warnings_of(self.hosted(0.0), self.passes(1.0, 1.25), [4, 4])

        assert warning.startswith("timed passes differ by 25%: nothing else ran here, so it hadn't warmed up")

    def test_each_phase_has_its_host(self) -> None:
        hosts = {(one.name, one.index): one.host for one in verdict.phases_of(self.hosted(1.5))}

        timed = hosts["pass", 1]
        assert timed is not None
        assert (timed["seconds"], timed["trial_cores"], timed["foreign_cores"]) == (10.0, 1.0, 1.5)
        assert hosts["close", 0] is None  # it took no time
