from __future__ import annotations

import pytest

from tests.records.builders import MIB, make_failure, make_record
from vbench.analysis.answer import differences, find_answer
from vbench.analysis.ranking import (
    Incumbent,
    baseline_of,
    best,
    contenders,
    gain_over_baseline,
    incumbents,
    ranked,
)
from vbench.outcome import Outcome
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
SMALLEST = Objective(metric="peak_memory_bytes", direction="minimize")


def test_only_completed_trials_with_a_value_that_keep_the_constraints_are_ranked() -> None:
    records = [
        make_record(0, 100.0),
        make_record(1, 900.0, outcome=Outcome.OVER_BUDGET),
        make_record(2, 800.0, constraint_violations={"peak_memory_mib <= 1": 0.5}),
        make_record(3, None, outcome=Outcome.CRASHED, failure=make_failure()),
        make_record(4, None),
        make_record(5, 200.0, constraint_violations={"peak_memory_mib <= 2000": -0.5, "x <= 1": 0.0}),
        make_record(6, 700.0, outcome=Outcome.TIMED_OUT),
    ]
    assert [record.trial for record in ranked(records, FASTEST)] == [5, 0]
    assert best(records, FASTEST) == records[5]
    assert best(records[1:5], FASTEST) is None
    assert ranked([], FASTEST) == []


def test_ties_go_to_less_memory_then_to_the_earlier_trial() -> None:
    records = [
        make_record(3, 100.0, peak_mib=None),
        make_record(2, 100.0, peak_mib=900),
        make_record(1, 100.0, peak_mib=800),
        make_record(0, 100.0, peak_mib=900),
    ]
    assert [record.trial for record in ranked(records, FASTEST)] == [1, 0, 2, 3]


def test_minimizing_ranks_the_smallest_first() -> None:
    records = [make_record(0, peak_mib=900), make_record(1, peak_mib=700), make_record(2, peak_mib=800)]
    assert [record.trial for record in ranked(records, SMALLEST)] == [1, 2, 0]
    assert [step.value for step in incumbents(records, SMALLEST)] == [900 * MIB, 700 * MIB, 700 * MIB]


def test_incumbents_are_the_best_so_far_in_trial_order() -> None:
    records = [
        make_record(3, 300.0),
        make_record(0, None, outcome=Outcome.CRASHED),
        make_record(1, 200.0),
        make_record(2, 200.0),
        make_record(4, 250.0),
    ]
    assert incumbents(records, FASTEST) == [
        Incumbent(trial=0, best_trial=None, value=None),
        Incumbent(trial=1, best_trial=1, value=200.0),
        Incumbent(trial=2, best_trial=1, value=200.0),  # a tie moves nothing
        Incumbent(trial=3, best_trial=3, value=300.0),
        Incumbent(trial=4, best_trial=3, value=300.0),
    ]


def test_the_baseline_is_known_by_its_origin() -> None:
    records = [make_record(0), make_record(1, origin="baseline")]
    assert baseline_of(records) == records[1]
    assert baseline_of(records[:1]) is None


def test_gain_is_a_ratio_with_an_interval() -> None:
    record, base = make_record(1, [300.0, 330.0, 360.0]), make_record(0, [200.0, 220.0, 240.0], origin="baseline")
    gain = gain_over_baseline(record, base, FASTEST)
    assert gain is not None
    assert gain.ratio == pytest.approx(1.5)  # 330 ÷ 220
    assert gain.interval is not None
    assert (gain.interval.low, gain.interval.high) == pytest.approx((1.25, 1.8))  # 300 ÷ 240, 360 ÷ 200
    assert gain.is_clear


def test_a_gain_within_the_spread_is_not_clear() -> None:
    gain = gain_over_baseline(make_record(1, [210.0, 230.0]), make_record(0, [200.0, 220.0]), FASTEST)
    assert gain is not None
    assert not gain.is_clear  # 210 ÷ 220 < 1 < 230 ÷ 200
    single = gain_over_baseline(make_record(1, 900.0), make_record(0, 100.0), FASTEST)
    assert single is not None
    assert not single.is_clear  # one pass can't tell


def test_gain_when_minimizing_is_turned_round() -> None:
    gain = gain_over_baseline(make_record(1, peak_mib=500), make_record(0, peak_mib=1000), SMALLEST)
    assert gain is not None
    assert gain.ratio == 2.0  # 1000 ÷ 500: half the memory is twice as good
    assert gain.interval is None
    assert not gain.is_clear


@pytest.mark.parametrize("outcome", [Outcome.OUT_OF_MEMORY, Outcome.OVER_BUDGET])
def test_no_gain_over_a_baseline_that_did_not_complete(outcome: Outcome) -> None:
    assert gain_over_baseline(make_record(1, 200.0), make_record(0, 100.0, outcome=outcome), FASTEST) is None


def test_contenders_are_those_whose_interval_overlaps() -> None:
    records = [make_record(0, [300.0, 320.0]), make_record(1, [290.0, 300.0]), make_record(2, [200.0, 210.0])]
    order = ranked(records, FASTEST)
    assert [record.trial for record in contenders(order, FASTEST)] == [1]
    assert contenders([], FASTEST) == []
    assert contenders(ranked(records, SMALLEST), SMALLEST) == []


def test_the_answer_states_what_differs_from_the_baseline() -> None:
    base = make_record(0, 100.0, origin="baseline", parameters={"max_num_seqs": 8})
    fast = make_record(1, 200.0, parameters={"max_num_seqs": 64, "enforce_eager": True})
    answer = find_answer([base, fast], FASTEST)
    assert answer.best == fast
    assert answer.gain is not None
    assert answer.gain.ratio == 2.0
    assert (answer.num_trials, answer.num_completed, answer.num_ranked) == (2, 2, 2)
    assert [(one.name, one.best, one.baseline) for one in answer.differences] == [
        ("max_num_seqs", 64, 8),
        ("enforce_eager", True, None),
    ]
    assert not answer.differences[1].is_set_in_baseline
    assert not answer.is_fake


def test_true_is_not_one_and_none_is_not_unset() -> None:
    best, baseline = make_record(1, config={"a": True, "b": None}), make_record(0, config={"a": 1})
    assert [one.name for one in differences(best, baseline)] == ["a", "b"]
    assert differences(make_record(1, config={"a": 1.0}), make_record(0, config={"a": 1})) == []


def test_a_default_that_the_engine_reported_is_compared_by_its_value() -> None:
    best = make_record(1, config={"block_size": 32, "max_model_len": 512})
    facts = {"block_size": 128, "max_model_len": 512}
    baseline = make_record(0, config={}, engine_facts=facts)
    found = differences(best, baseline)
    assert [(one.name, one.best, one.baseline, one.is_set_in_baseline) for one in found] == [
        ("block_size", 32, 128, False)
    ]


def test_the_answer_to_nothing_is_empty() -> None:
    answer = find_answer([], FASTEST)
    assert (answer.best, answer.value, answer.interval, answer.gain, answer.contenders) == (None, None, None, None, ())


def test_the_baseline_as_the_best_has_no_gain() -> None:
    answer = find_answer([make_record(0, 300.0, origin="baseline"), make_record(1, 100.0)], FASTEST)
    assert answer.gain is None
    assert answer.differences == ()


def test_the_fake_engine_is_known_by_record_or_config() -> None:
    assert find_answer([make_record(0, engine="fake")], FASTEST).is_fake
