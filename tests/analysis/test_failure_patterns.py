from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_failure, make_record
from vbench.analysis.failure_patterns import MISSING, Ran, common_settings, nearest_that_ran
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord


def failed(trial: int, **parameters: Any) -> TrialRecord:
    return make_record(trial, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(), parameters=parameters)


def ran(trial: int, **parameters: Any) -> TrialRecord:
    return make_record(trial, 100.0, parameters=parameters)


def test_what_all_failed_trials_share_and_few_others_have_comes_first() -> None:
    broken = [failed(trial, length=8192, seqs=9, dtype="half") for trial in range(4)]
    working = [
        ran(4 + one, length=8192 if one == 0 else 4096, seqs=1, dtype="half" if one < 4 else "f32") for one in range(10)
    ]
    found = common_settings(broken, Ran(working))
    # Half precision had 4 of the 10 that ran, too: that 4 trials share it may be chance (8 over 4 / 14 over 4 = 7 %).
    assert [(one.name, one.value, one.num_ran_alike) for one in found] == [("seqs", 9, 0), ("length", 8192, 1)]
    assert all((one.num_failed, one.num_ran) == (4, 10) for one in found)


def test_what_every_trial_has_says_nothing() -> None:
    assert common_settings([failed(0, a=1), failed(1, a=1)], Ran([ran(2, a=1), ran(3, a=1)])) == []


@pytest.mark.parametrize(("broken", "working", "bound", "value"), [
    ((64, 128), (8, 32), ">=", 64),
    ((1, 2), (8, 32), "<=", 2),
])  # fmt: skip
def test_a_bound_between_failed_and_working_values_is_found(
    broken: tuple[int, int], working: tuple[int, int], bound: str, value: int
) -> None:
    bad = [failed(index, seqs=one) for index, one in enumerate(broken)]
    (found,) = common_settings(bad, Ran([ran(9 + index, seqs=one) for index, one in enumerate(working)]))
    assert (found.bound, found.value, found.num_ran_alike) == (bound, value, 0)


def test_values_that_overlap_or_are_no_numbers_have_no_bound() -> None:
    bad = [failed(0, seqs=64, mode="a"), failed(1, seqs=8, mode="b")]
    assert common_settings(bad, Ran([ran(2, seqs=32, mode="c")])) == []
    assert common_settings([failed(0, x=True), failed(1, x=2)], Ran([ran(2, x=0)])) == []  # a switch is no number


def test_true_is_not_1_and_nested_values_compare() -> None:
    working = Ran([ran(2, flag=1, spec={"method": "ngram"})])
    (found,) = common_settings([failed(0, flag=True), failed(1, flag=True)], working)
    assert (found.name, found.num_ran_alike) == ("flag", 0)
    spec = {"method": "ngram"}
    assert common_settings([failed(0, spec=spec), failed(1, spec=dict(spec))], working) == []


def test_one_failed_trial_has_nothing_in_common_with_itself() -> None:
    assert common_settings([failed(0, a=1)], Ran([ran(1, a=2)])) == []


def test_the_nearest_that_ran_differs_in_the_fewest_settings() -> None:
    far, near, same = ran(1, a=1, b=2, c=3), ran(2, a=1, b=9, c=9), ran(3, a=1, b=9, c=9)
    found = nearest_that_ran([failed(0, a=0, b=9, c=9)], Ran([far, same, near]))
    assert found is not None
    assert (found.failed, found.trial, found.differences) == (0, 2, (("a", 0, 1),))


def test_a_setting_that_only_one_of_them_has_is_a_difference() -> None:
    found = nearest_that_ran([failed(0, a=1, b=2)], Ran([ran(1, a=1)]))
    assert found is not None
    assert found.differences == (("b", 2, MISSING),)


def test_no_nearest_where_nothing_ran_or_nothing_differs() -> None:
    assert nearest_that_ran([failed(0, a=1)], Ran([failed(1, a=2)])) is None
    assert nearest_that_ran([failed(0, a=1)], Ran([ran(1, a=1)])) is None
    assert nearest_that_ran([failed(0)], Ran([ran(1, a=1)])) is None
