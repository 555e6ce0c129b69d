from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from scipy.stats import ttest_1samp, wilcoxon

from vbench.analysis.paired import FEWEST_PAIRS, MIN_RANKED, Ratio, first_of_pair, is_enough, ratio_of_pairs

Noise = Callable[[random.Random, int], float]
MOST = 24


def pairs_of(logs: list[float]) -> list[tuple[float, float]]:
    """Pairs whose log ratios are these."""
    return [(100.0, 100.0 * math.exp(one)) for one in logs]


def test_the_order_is_abba() -> None:
    assert [first_of_pair(index) for index in range(4)] == ["A", "B", "A", "B"]


def test_one_pair_has_a_ratio_and_no_spread() -> None:
    found = ratio_of_pairs([(200.0, 250.0)])
    assert found == Ratio(
        ratio=math.exp(math.log(1.25)), low=found.ratio, high=found.ratio, num_pairs=1, method="single", detectable=None
    )
    assert not found.is_clear


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_pairs_have_student_s_interval(count: int) -> None:
    draw = random.Random(count)
    logs = [draw.gauss(0.02, 0.01) for _ in range(count)]
    found = ratio_of_pairs(pairs_of(logs))
    theirs = ttest_1samp(logs, 0.0).confidence_interval(0.95)
    assert found.method == "t"
    assert math.log(found.low) == pytest.approx(theirs.low)
    assert math.log(found.high) == pytest.approx(theirs.high)


@pytest.mark.parametrize("count", [6, 7, 8, 12, 19, 24])
def test_the_ranked_interval_holds_just_what_the_signed_rank_test_does_not_reject(count: int) -> None:
    draw = random.Random(count)
    logs = [draw.gauss(0.0, 0.01) for _ in range(count)]
    found = ratio_of_pairs(pairs_of(logs))
    assert found.method == "signed_rank"
    for bound in (math.log(found.low), math.log(found.high)):
        p_values = [
            wilcoxon([one - shift for one in logs], method="exact").pvalue for shift in (bound - 1e-9, bound + 1e-9)
        ]
        assert min(p_values) <= 0.05 < max(p_values)


def test_the_bounds_beyond_the_exact_sums_go_on_smoothly() -> None:
    draw = random.Random(1)
    logs = [draw.gauss(0.0, 0.01) for _ in range(61)]
    wide, narrow = ratio_of_pairs(pairs_of(logs[:60])), ratio_of_pairs(pairs_of(logs))
    assert math.log(narrow.high / narrow.low) == pytest.approx(math.log(wide.high / wide.low), rel=0.1)


def test_a_drift_that_is_linear_leaves_the_ratio_of_an_even_number_of_pairs_alone() -> None:
    speed = [100 * math.exp(-0.01 * turn) for turn in range(16)]
    pairs = []
    for index in range(8):
        one, two = speed[2 * index], speed[2 * index + 1] * 1.0
        pairs.append((one, two * 1.03) if first_of_pair(index) == "A" else (two, one * 1.03))
    found = ratio_of_pairs(pairs)
    assert found.ratio == pytest.approx(1.03)
    assert found.low < 1.03 < found.high


def test_a_wild_pair_hardly_moves_it() -> None:
    logs = [0.030, 0.029, 0.031, 0.0305, 0.0295, 0.0302, 0.0298, 0.0301, 0.0299, 0.5]
    found = ratio_of_pairs(pairs_of(logs))
    assert found.ratio == pytest.approx(math.exp(0.03), rel=0.002)
    assert found.is_clear


def test_equal_pairs_are_told_from_no_change_exactly() -> None:
    assert ratio_of_pairs([(2.0, 2.0)] * 6).detectable == 0
    assert not ratio_of_pairs([(2.0, 2.0)] * 6).is_clear
    assert ratio_of_pairs([(2.0, 3.0)] * 6).is_clear


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, -1.0)], [(1.0, math.inf)], [(math.nan, 1.0)]])
def test_what_has_no_ratio_is_a_value_error(pairs: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="pair"):
        ratio_of_pairs(pairs)


def test_it_is_never_enough_before_ranks_can_tell_and_always_at_the_most() -> None:
    same = [(1.0, 1.0)] * MOST
    assert [is_enough(same[:count], 0.03, 0, MOST) for count in (0, 1, MIN_RANKED - 1, MIN_RANKED)] == [
        False, False, False, True,
    ]  # fmt: skip
    assert not is_enough(same[: FEWEST_PAIRS - 1], 0.03, FEWEST_PAIRS, MOST)
    wild = pairs_of([0.5, -0.5] * 12)
    assert [is_enough(wild[:count], 0.03, FEWEST_PAIRS, MOST) for count in (12, 23, 24)] == [False, False, True]


def test_when_to_stop_does_not_depend_on_the_ratio() -> None:
    draw = random.Random(4)
    logs = [draw.gauss(0, 0.02) for _ in range(MOST)]
    for change in (0.0, 0.03, -0.2):
        moved = pairs_of([one + change for one in logs])
        assert [is_enough(moved[:n], 0.03, FEWEST_PAIRS, MOST) for n in range(1, MOST)] == [
            is_enough(pairs_of(logs[:n]), 0.03, FEWEST_PAIRS, MOST) for n in range(1, MOST)
        ]


def test_no_change_to_look_for_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="share"):
        is_enough([(1.0, 1.0)], 0.0, 6, 12)


def normal(draw: random.Random, _turn: int) -> float:
    return draw.gauss(0, 0.02)


def heavy(draw: random.Random, _turn: int) -> float:
    """Now and then (one measurement in twenty) 10 % less."""
    return draw.gauss(0, 0.02) - (0.1 if draw.random() < 0.05 else 0)


def drifting(draw: random.Random, turn: int) -> float:
    return draw.gauss(0, 0.02) - 0.002 * turn


def compared(draw: random.Random, noise: Noise, change: float, detect: float) -> Ratio:
    """A comparison under the rule, with a true change."""
    pairs: list[tuple[float, float]] = []
    while not (pairs and is_enough(pairs, detect, FEWEST_PAIRS, MOST)):
        turn = 2 * len(pairs)
        one, two = 100 * math.exp(noise(draw, turn)), 100 * math.exp(noise(draw, turn + 1))
        a, b = (one, two) if first_of_pair(len(pairs)) == "A" else (two, one)
        pairs.append((a, b * (1 + change)))
    return ratio_of_pairs(pairs)


@pytest.mark.parametrize("noise", [normal, heavy, drifting])
def test_false_alarms_and_power_are_what_the_docs_say(noise: Noise) -> None:
    """Coarsely: 1000 seeded comparisons each, so that 3 standard errors are 2 points of 5 % and 3 of 90 %."""
    draw = random.Random(11)
    alarms = sum(compared(draw, noise, 0.0, 0.05).is_clear for _ in range(1000))
    found = sum(compared(draw, noise, 0.05, 0.05).low > 1 for _ in range(1000))
    assert 20 <= alarms <= 80
    assert found >= 800


def test_what_differs_in_the_last_bits_is_the_same() -> None:
    found = ratio_of_pairs([(3.0, 3.0 * (1 + 2e-16 * place)) for place in range(1, 9)])
    assert not found.is_clear
    assert found.detectable == 0
