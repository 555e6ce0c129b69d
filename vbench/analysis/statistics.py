"""How sure a number is: intervals from a trial's timed passes.

Decides which kind of interval the samples can carry, and names it.
All of them describe pass-to-pass spread within one start of the engine; start-to-start spread is not in them.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vbench.metrics import Samples, metric_of, value_of
from vbench.records.plain import KEPT_VALUES
from vbench.records.record import TrialRecord

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

MIN_BOOTSTRAP_SAMPLES = 5
NUM_RESAMPLES = 2000
LEVEL = 0.95
_SEED = 0
_KEPT = 8192
"""Intervals kept: reports and rankings ask for the same ones over and over, and each costs milliseconds."""
_MEDIANS = (
    "output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s", "request_goodput_req_s",
)  # fmt: skip
"""Metrics whose value is the median over timed passes, so that an interval of that median is one of the value."""
_POOLED = ("prefix_cache_hit_rate", "acceptance_rate", "mean_acceptance_length")


Kind = Literal["bootstrap", "percentile", "range", "single"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two bounds, and what they are worth: a `bootstrap` interval (BCa), the plain `percentile` bootstrap where BCa
    can't be computed, the `range` of too few samples, or, of a `single` sample, no spread at all (both bounds are that
    sample)."""

    low: float
    high: float
    kind: Kind
    num_passes: int
    """Timed passes behind it; of a ratio, of the side that has fewer."""

    @property
    def is_confidence(self) -> bool:
        """Whether the bounds claim a confidence."""
        return self.kind in ("bootstrap", "percentile")

    def describe(self) -> str:
        """What the bounds are, for people."""
        passes = f"{self.num_passes} timed passes"
        if self.kind == "bootstrap":
            return f"{LEVEL:.0%} bootstrap interval (BCa) of the median of {passes}"
        if self.kind == "percentile":
            return f"{LEVEL:.0%} bootstrap interval (percentile) of the median of {passes}"
        if self.kind == "range":
            return f"smallest to largest of {passes}, too few for a confidence interval"
        return "a single timed pass: its spread is not known"


def pass_values(record: TrialRecord, metric: str) -> list[float]:
    """The metric of each timed pass by itself (`p95_ttft_s` of a pass is over its own requests).

    Empty for what belongs to the whole trial (peak memory, start-up, sums). Raises KeyError for an unknown metric.
    """
    declared = metric_of(metric)
    if declared.name not in _MEDIANS and declared.name not in _POOLED and not declared.is_distribution:
        return []
    kept = (record.model_extra or {}).get(KEPT_VALUES)
    if isinstance(kept, dict) and metric in kept:
        return list(kept[metric])
    bounds = record.config.get("goodput") or {}
    samples = (Samples([one], [], bounds) for one in record.passes if one.kind == "timed")
    values = [value_of({declared.name: declared.compute(one)}, metric) for one in samples]
    return [value for value in values if value is not None]


def interval_of(record: TrialRecord, metric: str) -> Interval | None:
    """The interval of a trial's value; None when no pass has one.

    Bootstrap from 5 passes on, and only for medians over passes (the throughputs): a percentile over pooled requests is
    not the median of the passes' percentiles, so for the others the range is all that is claimed.
    """
    values = pass_values(record, metric)
    if not values:
        return None
    if metric in _MEDIANS:
        return median_interval(values)
    kind: Literal["range", "single"] = "range" if len(values) > 1 else "single"
    return Interval(low=min(values), high=max(values), kind=kind, num_passes=len(values))


def median_interval(samples: Sequence[float]) -> Interval:
    """Interval of the median of `samples` (at least one).

    From 5 samples: the BCa bootstrap (Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, §14.3), by
    `scipy.stats.bootstrap` with 2000 resamples. The draws are seeded: the same samples give the same interval. Where it
    can't be computed (the median stays the same whichever sample is left out) the percentile bootstrap stands in, and
    the range where that fails too; `kind` says which.

    What is called 95 % covers the median of normal noise in 93 % of cases at n = 5 (where it is the range: 1 − 2 · 0.5⁵
    = 93.75 %), 88 % at 7, 95 % at 9 and 93 % at 12 (`docs/comparing.md` has the table; the percentile bootstrap covers
    as often to a point). Below 5 samples even the range covers too seldom to be called that (n = 3: 75 %).
    """
    return _median_interval(tuple(samples))


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float]) -> Interval | None:
    """Interval of median(numerator) ÷ median(denominator); None when a side is empty or the denominator reaches 0.

    With 5 samples or more on both sides, a seeded BCa bootstrap that draws each side by itself (with the fallbacks of
    `median_interval`); otherwise the worst cases, min ÷ max and max ÷ min.
    """
    if not numerator or not denominator or min(denominator) <= 0:
        return None
    return _ratio_interval(tuple(numerator), tuple(denominator))


@functools.lru_cache(maxsize=_KEPT)
def _median_interval(samples: tuple[float, ...]) -> Interval:
    n = len(samples)
    bounds = _bootstrap(samples) if n >= MIN_BOOTSTRAP_SAMPLES else None
    if bounds is not None:
        return Interval(low=bounds[0], high=bounds[1], kind=bounds[2], num_passes=n)
    return Interval(low=min(samples), high=max(samples), kind="single" if n == 1 else "range", num_passes=n)


@functools.lru_cache(maxsize=_KEPT)
def _ratio_interval(above: tuple[float, ...], below: tuple[float, ...]) -> Interval:
    fewer = min(len(above), len(below))
    bounds = _bootstrap(above, below) if fewer >= MIN_BOOTSTRAP_SAMPLES else None
    if bounds is not None:
        return Interval(low=bounds[0], high=bounds[1], kind=bounds[2], num_passes=fewer)
    low, high = min(above) / max(below), max(above) / min(below)
    return Interval(low=low, high=high, kind="single" if fewer == 1 else "range", num_passes=fewer)


def _bootstrap(*sides: tuple[float, ...]) -> tuple[float, float, Literal["bootstrap", "percentile"]] | None:
    """95 % bounds of the median of one side, or of the ratio of two sides' medians; None where a sample isn't finite.

    SciPy is imported here: no command that needs no interval has to wait for it.
    """
    if not all(math.isfinite(value) for side in sides for value in side):
        return None
    if all(min(side) == max(side) for side in sides):  # every resample is the same
        value = sides[0][0] if len(sides) == 1 else sides[0][0] / sides[1][0]
        return value, value, "percentile"
    import numpy as np
    from scipy.stats import bootstrap

    def statistic(*arrays: NDArray[floating], axis: int = -1) -> NDArray[floating]:
        medians: list[NDArray[floating]] = [np.median(array, axis=axis) for array in arrays]
        return medians[0] if len(medians) == 1 else medians[0] / medians[1]

    method: Literal["BCa", "percentile"]
    for method in ("BCa", "percentile") if any(_has_jackknife(side) for side in sides) else ("percentile",):
        found = bootstrap(
            sides,
            statistic,
            n_resamples=NUM_RESAMPLES,
            confidence_level=LEVEL,
            method=method,
            vectorized=True,
            rng=np.random.default_rng(_SEED),
        ).confidence_interval
        low, high = float(found.low), float(found.high)
        if math.isfinite(low) and math.isfinite(high):
            return low, high, "bootstrap" if method == "BCa" else "percentile"
    return None


def _has_jackknife(samples: tuple[float, ...]) -> bool:
    """Whether leaving one sample out ever changes the median: BCa's acceleration is 0 ÷ 0 otherwise."""
    ordered = sorted(samples)
    medians = {statistics.median(ordered[:index] + ordered[index + 1 :]) for index in range(len(ordered))}
    return len(medians) > 1
