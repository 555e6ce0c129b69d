"""How many times B is A, from pairs measured next to each other in ABBA order, and when there are enough pairs.

Everything is computed on log(b ÷ a), one number a pair, so that a slow minute hits both sides of it. A drift that is
linear in time adds to one pair what it takes from the next (`first_of_pair`). `docs/comparing.md` has the simulations
that the choices here rest on, and `tests/analysis/test_paired.py` repeats them coarsely.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vbench.analysis.student_t import student_quantile

LEVEL = 0.95
POWER = 0.80
MIN_RANKED = 6
"""Pairs from which on 95 % can be had from ranks: of 5, even the range has 1 − 2 · 0.5⁵ = 93.75 %."""
FEWEST_PAIRS = 8
"""Pairs to begin with before `is_enough` is asked: from 6 on its answers leave more false alarms than 5 %."""
_SAFETY = 1.1
"""By how much `detectable` is larger than the spread at hand says. A spread that is small by chance ends the measuring
early, so what is left at the end is too small a spread on average; found by simulation."""
_ROUNDING = 1e-9
"""What values that are the same by their formula may differ by in the last bits."""
_MOST_SUMMED = 60
"""Pairs up to which the signed-rank distribution is summed exactly; beyond, its normal limit is off by less than one
rank in a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """B ÷ A, with a 95 % interval. `single`: one value of a side, no spread is known, both bounds are the ratio;
    `range`: smallest to largest, nothing claimed."""

    ratio: float
    low: float
    high: float
    num_pairs: int
    """Of unpaired values, how many the side with fewer has."""
    method: Literal["signed_rank", "t", "range", "single"]
    detectable: float | None
    """Smallest true change that as many pairs with such a spread show with 80 % power, as a share (0.024); None where
    the spread isn't known."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes that nothing changed."""
        return self.method in ("signed_rank", "t") and not self.low - _ROUNDING <= 1 <= self.high + _ROUNDING


def first_of_pair(index: int) -> Literal["A", "B"]:
    """Which side of pair `index` (from 0) is measured first. The measurements then come as A B, B A, A B, B A, …"""
    return "B" if index % 2 else "A"


def ratio_of_pairs(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """B ÷ A from the values (a, b) of pairs, in the order in which they were measured.

    From 6 pairs on the median of the Walsh averages (Hodges & Lehmann, *Annals of Mathematical Statistics* 34, 1963),
    between the two of them that the exact signed-rank distribution names: where A is B, it is wrong at its nominal rate
    whatever the noise looks like, so long as neither side is the likelier to be disturbed, and a pair in ten that is
    spoiled costs little. Of 2 to 5 pairs the mean and Student's t. Raises ValueError for no pairs, or a value that
    isn't finite and above 0.
    """
    logs = _logs(pairs)
    if len(logs) == 1:
        ratio = math.exp(logs[0])
        return Ratio(ratio=ratio, low=ratio, high=ratio, num_pairs=1, method="single", detectable=None)
    middle, low, high = _bounds(logs)
    return Ratio(
        ratio=math.exp(middle),
        low=math.exp(low),
        high=math.exp(high),
        num_pairs=len(logs),
        method="signed_rank" if len(logs) >= MIN_RANKED else "t",
        detectable=detectable_of((high - low) / 2, len(logs) - 1),
    )


def is_enough(pairs: Sequence[tuple[float, float]], detect: float, fewest: int, most: int) -> bool:
    """Whether to stop measuring pairs: at `most`, or from `fewest` on (6 at least) once a true change of `detect`
    (a share, 0.03) would be seen with 80 % power.

    It looks at the spread alone, never at the ratio: to go on until a difference shows would find one always. Give
    `FEWEST_PAIRS` where there is no reason for another. Raises ValueError as `ratio_of_pairs`, and for `detect` ≤ 0.
    """
    if not detect > 0:
        raise ValueError(f"a change of {detect} can't be looked for: give a share above 0, such as 0.03")
    if len(pairs) >= most:
        return True
    if len(pairs) < max(fewest, MIN_RANKED):
        return False
    seen = ratio_of_pairs(pairs).detectable
    return seen is not None and seen <= detect


def detectable_of(half_width: float, dof: int) -> float:
    """The smallest true change (a share) that shows with 80 % power, by half the width of a 95 % interval of
    log(b ÷ a): the interval must lie beyond 0, so the change must exceed half its width by the 80 % quantile's worth
    of standard errors."""
    beyond, within = student_quantile(POWER, dof), student_quantile((1 + LEVEL) / 2, dof)
    detectable = math.expm1(_SAFETY * half_width * (within + beyond) / within)
    return detectable if detectable > _ROUNDING else 0.0


def _logs(pairs: Sequence[tuple[float, float]]) -> list[float]:
    if not pairs:
        raise ValueError("there are no pairs to compare")
    for a, b in pairs:
        if not (a > 0 and b > 0 and math.isfinite(a) and math.isfinite(b)):
            raise ValueError(f"the pair ({a}, {b}) has no ratio: both values must be finite and above 0")
    return [math.log(b / a) for a, b in pairs]


def _bounds(logs: Sequence[float]) -> tuple[float, float, float]:
    """Estimate, lower and upper bound."""
    n = len(logs)
    if n < MIN_RANKED:
        mean = statistics.fmean(logs)
        half = student_quantile((1 + LEVEL) / 2, n - 1) * statistics.stdev(logs) / math.sqrt(n)
        return mean, mean - half, mean + half
    averages = sorted((logs[i] + logs[j]) / 2 for i in range(n) for j in range(i, n))
    rank = _rank(n)
    return statistics.median(averages), averages[rank], averages[-1 - rank]


@functools.lru_cache(maxsize=256)
def _rank(n: int) -> int:
    """Which of the sorted Walsh averages of n pairs (from 0) is the lower bound: the largest value that the signed-rank
    statistic doesn't exceed with a probability of more than 2.5 % (Hollander, Wolfe & Chicken, *Nonparametric
    Statistical Methods*, 3rd ed. 2014, §3.3)."""
    total = n * (n + 1) // 2
    if n > _MOST_SUMMED:
        spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return int(total / 2 - statistics.NormalDist().inv_cdf((1 + LEVEL) / 2) * spread)
    ways = [1] + [0] * total  # subsets of the ranks 1..n, by their sum
    for rank in range(1, n + 1):
        for value in range(total, rank - 1, -1):
            ways[value] += ways[value - rank]
    below = 0
    for value, count in enumerate(ways):
        below += count
        if 2 * below > (1 - LEVEL) * 2**n:
            return value - 1
    raise AssertionError("a distribution sums to 1")
