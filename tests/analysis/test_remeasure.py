from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.records.builders import MIB, make_failure, make_record
from vbench.analysis.answer import find_answer
from vbench.analysis.ranking import baseline_of, best, contenders, incumbents, is_rankable, ranked, remeasured
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")


def final(trial: int, of: int, rates: float | Sequence[float] | None, **changes: Any) -> TrialRecord:
    return make_record(trial, rates, **{"origin": "final", "repeat_of": of, **changes})


def value(record: TrialRecord) -> float | None:
    return value_of(record.measurements, FASTEST.metric)


def extra(record: TrialRecord) -> Any:
    return (record.model_extra or {}).get("remeasured")


def test_a_finalist_stands_with_the_timed_passes_of_its_finals_alone() -> None:
    records = [
        make_record(0, [500.0, 510.0, 520.0], peak_mib=1000),
        make_record(1, 300.0),
        final(2, 0, [400.0, 410.0], peak_mib=1200),
        final(3, 0, [420.0, 430.0], peak_mib=900),
    ]
    first, second = remeasured(records)
    assert [(one.kind, one.index, round(1000 / one.duration_s)) for one in first.passes] == [
        ("timed", 0, 400),
        ("timed", 1, 410),
        ("timed", 2, 420),
        ("timed", 3, 430),
    ]
    assert value(first) == pytest.approx(415.0)  # the median of the four; the original's passes count for nothing
    assert first.measurements["peak_memory_bytes"] == 1200 * MIB  # the largest of its three runs
    assert max(phase.peak_memory_bytes or 0 for phase in first.phases) == 1200 * MIB
    assert extra(first) == [2, 3]
    assert second == records[1]
    assert records[0].passes[0].kind == "warmup"  # what was given is left as it was


def test_the_memory_of_the_original_counts_too() -> None:
    (record,) = remeasured([make_record(0, 500.0, peak_mib=2000), final(1, 0, 400.0, peak_mib=900)])
    assert record.measurements["peak_memory_bytes"] == 2000 * MIB


def test_without_finals_nothing_changes_and_checks_are_left_out() -> None:
    records = [make_record(0), make_record(1, origin="interference", repeat_of=0)]
    assert remeasured(records) == records[:1]
    assert best(records, FASTEST) == records[0]
    assert remeasured([]) == []


def test_only_finalists_may_be_best_once_all_were_measured_again() -> None:
    records = [
        make_record(0, 500.0),
        make_record(1, 490.0),
        make_record(2, 480.0),
        final(3, 0, 400.0),
        final(4, 1, 450.0),
    ]
    assert [(one.trial, value(one)) for one in ranked(records, FASTEST)] == [(1, 450.0), (0, 400.0)]
    assert ranked(remeasured(records), FASTEST) == ranked(records, FASTEST)
    assert [one.value for one in incumbents(records, FASTEST)] == [500.0, 500.0, 500.0]  # as it was known then


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.INTERRUPTED, Outcome.OUT_OF_MEMORY])
def test_a_finalist_that_could_not_be_measured_again_leaves_the_ranking_as_it_was(outcome: Outcome) -> None:
    records = [
        make_record(0, 500.0),
        make_record(1, 490.0),
        final(2, 0, 400.0),
        final(3, 1, None, outcome=outcome, failure=make_failure()),
    ]
    assert [(one.trial, value(one)) for one in ranked(records, FASTEST)] == [(0, 500.0), (1, 490.0)]
    assert [extra(one) for one in remeasured(records)] == [[2], []]
    assert find_answer(records, FASTEST).not_remeasured == (1,)


def test_a_final_over_the_memory_budget_takes_its_trial_out() -> None:
    over = final(3, 0, 410.0, outcome=Outcome.OVER_BUDGET, failure=make_failure("over_budget"))
    records = [make_record(0, 500.0), make_record(1, 300.0), final(2, 0, 400.0), over, final(4, 1, 290.0)]
    first = remeasured(records)[0]
    assert (first.outcome, first.failure) == (Outcome.OVER_BUDGET, over.failure)
    assert not is_rankable(first, FASTEST)
    winner = best(records, FASTEST)
    assert winner is not None
    assert winner.trial == 1


@pytest.mark.parametrize(
    ("text", "finals_value", "is_kept"),
    [
        ("output_throughput_tok_s >= 450", 400.0, False),
        ("output_throughput_tok_s >= 350", 400.0, True),
        ("peak_memory_mib <= 1100", 400.0, False),  # a final took 1,200
        ("max_num_seqs >= 8", 400.0, True),
        ("block_size >= 32", 400.0, True),  # the engine said 64
        ("not a constraint", 400.0, True),
    ],
)
def test_constraints_are_judged_anew(text: str, finals_value: float, is_kept: bool) -> None:
    settings: dict[str, Any] = {
        "parameters": {"max_num_seqs": 16},
        "engine_facts": {"block_size": 64},
        "constraint_violations": {text: 0.0},
    }
    records = [
        make_record(0, 500.0, peak_mib=1000, **settings),
        final(1, 0, finals_value, peak_mib=1200, **settings),
    ]
    assert is_rankable(remeasured(records)[0], FASTEST) is is_kept


def test_a_constraint_that_cannot_be_read_stands_as_the_worst_of_its_runs() -> None:
    records = [
        make_record(0, 500.0, constraint_violations={"??": -0.5}),
        final(1, 0, 400.0, constraint_violations={"??": 0.25}),
    ]
    assert remeasured(records)[0].constraint_violations == {"??": 0.25}


def test_goodput_is_counted_by_the_bounds_given_or_those_of_the_record() -> None:
    # Ten requests whose first tokens come after 0.1, 0.2, … 1.0 s; a pass at 500 tok/s takes 2 s.
    records = [make_record(0, 500.0, config={"goodput": {"ttft": 500}}), final(1, 0, 500.0)]
    assert remeasured(records)[0].measurements["request_goodput_req_s"] == pytest.approx(2.5)
    assert remeasured(records, {"ttft": 200})[0].measurements["request_goodput_req_s"] == pytest.approx(1.0)


def test_finals_of_the_baseline_count_for_the_gain() -> None:
    records = [
        make_record(0, [200.0, 200.0], origin="baseline"),
        make_record(1, [400.0, 400.0]),
        make_record(2, [390.0, 390.0]),
        final(3, 1, [300.0, 300.0]),
        final(4, 2, [290.0, 290.0]),
    ]
    answer = find_answer(records, FASTEST)
    assert answer.gain is not None
    assert answer.gain.ratio == pytest.approx(1.5)  # 300 ÷ 200, not 400 ÷ 200
    assert not answer.is_baseline_remeasured
    again = find_answer([*records, final(5, 0, [250.0, 250.0])], FASTEST)
    assert again.gain is not None
    assert again.gain.ratio == pytest.approx(1.2)  # 300 ÷ 250
    assert again.is_baseline_remeasured
    baseline = baseline_of([*records, final(5, 0, [250.0, 250.0])])
    assert baseline is not None
    assert value(baseline) == 250.0


def test_contenders_after_finals_are_told_apart_by_the_finals() -> None:
    records = [
        make_record(0, [500.0, 510.0]),
        make_record(1, [505.0, 507.0]),
        final(2, 0, [400.0, 410.0]),
        final(3, 1, [480.0, 490.0]),
    ]
    assert [one.trial for one in ranked(records, FASTEST)] == [1, 0]
    assert contenders(ranked(records, FASTEST), FASTEST) == []
