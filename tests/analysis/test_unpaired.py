from __future__ import annotations

import math
import random

import pytest
from scipy.stats import ttest_ind

from vbench.analysis.unpaired import ratio_of_passes


def test_equal_spreads_have_welch_s_interval() -> None:
    a, b = [100.0, 102.0, 98.0, 101.0], [104.0, 106.0, 103.0]
    found = ratio_of_passes(a, b)
    one, two = [math.log(value) for value in b], [math.log(value) for value in a]
    theirs = ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    assert found.method == "t"
    assert found.num_pairs == 3
    # between whole degrees of freedom it is interpolated, a little too wide
    assert math.log(found.low) <= theirs.low <= math.log(found.low) + 0.001
    assert math.log(found.high) >= theirs.high >= math.log(found.high) - 0.001


def test_a_single_pass_claims_no_spread() -> None:
    found = ratio_of_passes([100.0], [110.0, 112.0])
    assert found.method == "single"
    assert found.low == found.high == pytest.approx(math.sqrt(110 * 112) / 100)
    assert found.detectable is None


def test_equal_passes_have_no_width() -> None:
    found = ratio_of_passes([2.0, 2.0, 2.0], [3.0, 3.0])
    assert (found.low, found.high, found.is_clear) == (found.ratio, found.ratio, True)
    assert found.ratio == pytest.approx(1.5)


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0], []), ([0.0], [1.0]), ([1.0], [math.inf])])
def test_what_has_no_ratio_is_a_value_error(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="values"):
        ratio_of_passes(a, b)


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_two_trials_that_are_the_same_are_called_different_in_one_of_twenty_or_fewer(count: int) -> None:
    """2000 seeded comparisons: 3 standard errors are 1.5 points."""
    draw = random.Random(count)
    alarms = 0
    for _ in range(2000):
        a, b = ([draw.gauss(100, 1) for _ in range(count)] for _ in range(2))
        alarms += ratio_of_passes(a, b).is_clear
    assert 10 <= alarms <= 130
