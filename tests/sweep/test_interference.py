"""The rule by which trials are said to disturb each other, on records made by hand; and what the loop makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.sweep.conftest import Sweeps
from tests.sweep.test_phases import of_origin
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.records.record import EngineFacts, Pass, Phase, PromptSetFacts, Requests, TrialRecord
from vbench.spec.types import Objective
from vbench.sweep import check_phase, interference
from vbench.sweep.interference import BESIDE, judge, known, overlap

THROUGHPUT = Objective(metric="output_throughput_tok_s", direction="maximize")
TTFT = Objective(metric="p50_ttft_s", direction="minimize")
ALONE = (1.0, 1.01, 0.99)


def trial(
    number: int, seconds: Sequence[float], *, slot: int = 0, begin_s: float = 0.0, round_: int = 0, places: int = 2,
    ttft_s: float = 0.1, outcome: Outcome = Outcome.COMPLETED, **changes: Any,
) -> TrialRecord:  # fmt: skip
    """Passes of 100 tokens, each of so many seconds; `slot` 0: alone."""
    passes, phases, end_s = [], [], 5.0
    for index, duration_s in enumerate(seconds):
        requests = Requests(
            input_tokens=[10], output_tokens=[100], ttft_s=[ttft_s], e2e_latency_s=[duration_s], tpot_s=[0.01]
        )
        passes.append(Pass(index=index, kind="timed", start_s=end_s, duration_s=duration_s, requests=requests))
        phases.append(Phase(name="pass", index=index, start_s=end_s, end_s=end_s + duration_s))
        end_s += duration_s
    beside = {"slot": slot, "of": places, "place": f"GPU {slot}", "began_s": begin_s, "round": round_}
    facts: dict[str, Any] = {
        "origin": "interference" if slot else "baseline", "repeat_of": 0 if slot else None,
        "environment": {BESIDE: beside} if slot else {}, **changes,
    }  # fmt: skip
    return TrialRecord(
        trial=number, config={}, parameters={}, outcome=outcome, passes=passes, phases=phases,
        measurements=measure(passes, phases, None), engine=EngineFacts(name="fake"),
        prompt_set=PromptSetFacts(sha256="", num_prompts=1, output_tokens=100, source=""), started_at="", **facts,
    )  # fmt: skip


def both(first: Sequence[float], second: Sequence[float], **changes: Any) -> list[TrialRecord]:
    return [trial(1, first, slot=1, **changes), trial(2, second, slot=2, **changes)]


@pytest.mark.parametrize(
    ("first", "second", "decision"),
    [
        (ALONE, ALONE, "undisturbed"),
        ((1.02, 1.03, 1.01), ALONE, "undisturbed"),  # 2 % is within what is let pass
        ((1.08, 1.10, 1.09), ALONE, "disturbed"),
        (ALONE, (1.08, 1.10, 1.09), "disturbed"),
        ((0.95, 1.05, 1.04), ALONE, "undisturbed"),  # worse than 3 %, but its passes scatter about as much
        ((1.64,) * 3, (1.64,) * 3, "disturbed"),
        ((0.9, 0.91, 0.9), (0.9, 0.91, 0.9), "undisturbed"),  # the one alone was slower, for whatever reason
        ((0.9, 0.91, 0.9), (1.0, 0.99, 1.0), "disturbed"),  # but two places unlike each other can't be compared
    ],
)
def test_more_than_three_percent_beyond_the_noise(
    first: Sequence[float], second: Sequence[float], decision: str
) -> None:
    finding = judge(trial(0, ALONE), both(first, second), THROUGHPUT)
    assert finding.decision == decision


def test_one_pass_each_has_no_noise_to_hide_behind() -> None:
    assert judge(trial(0, (1.0,)), both((1.02,), (1.0,)), THROUGHPUT).decision == "undisturbed"
    assert judge(trial(0, (1.0,)), both((1.05,), (1.05,)), THROUGHPUT).decision == "disturbed"


def test_the_note_says_how_much_is_left() -> None:
    finding = judge(trial(0, (1.0, 1.0, 1.0)), both((1.6, 1.64, 1.7), (1.5, 1.6, 1.6)), THROUGHPUT)
    assert finding.note == "side by side each reached 0.61 (0.59–0.62) of alone: trials run one at a time"


def test_the_objective_counts_beside_the_throughput() -> None:
    slow = both(ALONE, ALONE, ttft_s=0.2)
    assert judge(trial(0, ALONE), slow, TTFT).decision == "disturbed"
    assert judge(trial(0, ALONE), slow, THROUGHPUT).decision == "undisturbed"
    assert judge(trial(0, ALONE, ttft_s=0.2), both(ALONE, ALONE), TTFT).decision == "undisturbed"


def test_a_trial_that_fails_beside_another_is_disturbed() -> None:
    finding = judge(trial(0, ALONE), [trial(1, ALONE, slot=1), trial(2, (), slot=2, outcome=Outcome.CRASHED)], TTFT)
    assert finding.decision == "disturbed"
    assert "trial 2 ended as crashed" in finding.note


def test_passes_made_one_after_another_show_nothing() -> None:
    apart = [trial(1, ALONE, slot=1), trial(2, ALONE, slot=2, begin_s=1.2)]
    assert overlap(apart) == pytest.approx(0.6)
    assert judge(trial(0, ALONE), apart, THROUGHPUT).decision == "unsure"
    assert overlap([trial(1, ALONE, slot=1), trial(2, ALONE, slot=2, begin_s=9.0)]) == 0.0
    assert overlap([trial(1, ALONE, slot=1), trial(2, (), slot=2)]) == 0.0
    slow = [trial(1, (2.0,) * 3, slot=1), trial(2, (2.0,) * 3, slot=2, begin_s=3.0)]
    assert judge(trial(0, ALONE), slow, THROUGHPUT).decision == "disturbed"  # half at the same time was bad enough


def test_what_records_say_is_remembered() -> None:
    alone = trial(0, ALONE)
    assert known([alone], THROUGHPUT, 2).finding is None
    cut = known([alone, trial(1, ALONE, slot=1)], THROUGHPUT, 2)
    assert (cut.finding, cut.rounds, cut.is_again) == (None, 1, False)
    whole = known([alone, trial(1, ALONE, slot=1), *both(ALONE, ALONE, round_=1)], THROUGHPUT, 2)
    assert whole.finding is not None
    assert (whole.finding.decision, whole.rounds) == ("undisturbed", 2)
    assert known([alone, *both(ALONE, ALONE)], THROUGHPUT, 3).finding is None  # two places say nothing of three


def test_unsure_is_asked_once_more() -> None:
    apart = [trial(1, ALONE, slot=1), trial(2, ALONE, slot=2, begin_s=2.0)]
    once = known([trial(0, ALONE), *apart], THROUGHPUT, 2)
    assert (once.finding, once.is_again) == (None, True)
    again = [trial(3, ALONE, slot=1, round_=1), trial(4, ALONE, slot=2, begin_s=2.0, round_=1)]
    twice = known([trial(0, ALONE), *apart, *again], THROUGHPUT, 2)
    assert twice.finding is not None
    assert twice.finding.decision == "disturbed"
    assert "only 33% of the timed passes" in twice.finding.note


SEARCH = """\
engine_args: {sleep_scale: 0.5}
parameters: {max_num_seqs: [1, 2, 4], block_size: [16, 32, 64]}
baseline: {}
search: {method: random, trials: 4, parallel_trials: 2, seed: 3}
"""


def test_disturbed_trials_run_one_at_a_time_and_it_is_remembered(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interference, "MOST_WORSE", -0.5)  # nothing is as good as half as good again
    monkeypatch.setattr(interference._Ratio, "is_worse", property(lambda self: self.value < 1.5))
    result = sweep(SEARCH)
    assert sweep.heard.summary is not None
    note = "side by side each reached 1.00 (1.00–1.00) of alone: trials run one at a time"
    assert list(sweep.heard.summary.notes) == [note]
    checks = of_origin(result, "interference")
    assert [one.warnings[-1:] for one in checks][-1] == [note]
    assert all(BESIDE not in one.environment for one in result.records if one.origin != "interference")
    assert len(of_origin(result, "search")) == 3

    again = sweep(SEARCH.replace("trials: 4", "trials: 5"))
    assert len(of_origin(again, "interference")) == 2
    assert note in sweep.heard.notes
    assert all(BESIDE not in one.environment for one in again.records if one.origin != "interference")


def test_passes_that_hardly_met_are_made_again_and_more_of_them(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interference, "LEAST_OVERLAP", 1.1)
    result = sweep(SEARCH)
    checks = of_origin(result, "interference")
    assert [len(one.passes) for one in checks] == [2, 2, 8, 8]
    assert [one.environment[BESIDE]["round"] for one in checks] == [0, 0, 1, 1]
    assert sweep.heard.summary is not None
    assert "whether trials disturb each other isn't known: trials run one at a time" in sweep.heard.summary.notes[0]


def test_no_check_where_too_little_is_left(sweep: Sweeps) -> None:
    result = sweep(SEARCH.replace("trials: 4", f"trials: {check_phase._WORTH_TRIALS}"))
    assert [one.origin for one in result.records] == ["baseline", "search"]
