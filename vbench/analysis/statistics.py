"""How sure a number is: intervals from a trial's timed passes.

Decides which kind of interval the samples can carry, and names it.
All of them describe pass-to-pass spread within one start of the engine; start-to-start spread is not in them.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vbench.metrics import measure, metric_of, value_of
from vbench.records.record import TrialRecord

MIN_BOOTSTRAP_SAMPLES = 5
NUM_RESAMPLES = 2000
LEVEL = 0.95
_SEED = 0
_MEDIANS = ("output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s")
"""Metrics whose value is the median over timed passes, so that an interval of that median is one of the value."""
_POOLED = ("prefix_cache_hit_rate", "acceptance_rate", "mean_acceptance_length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Two bounds, and what they are worth: a `bootstrap` interval, the `range` of too few samples, or, of a `single`
    sample, no spread at all (both bounds are that sample)."""

    low: float
    high: float
    kind: Literal["bootstrap", "range", "single"]
    num_passes: int
    """Timed passes behind it; of a ratio, of the side that has fewer."""

    def describe(self) -> str:
        """What the bounds are, for people."""
        passes = f"{self.num_passes} timed passes"
        if self.kind == "bootstrap":
            return f"{LEVEL:.0%} bootstrap interval of the median of {passes}"
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
    timed = [one for one in record.passes if one.kind == "timed"]
    values = [value_of(measure([one], [], record.config.get("goodput")), metric) for one in timed]
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

    From 5 samples: percentile bootstrap (Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, §13.3): draw
    n of n with replacement 2000 times, take each draw's median, report the 2.5th and 97.5th percentile of these. The
    draws are seeded: the same samples give the same interval. At n = 5 it is the range itself, whose true coverage of
    the median is 1 − 2 · 0.5⁵ = 93.75 %. Below 5 the range covers it too seldom to be called that (n = 3: 75 %).
    """
    n = len(samples)
    if n < MIN_BOOTSTRAP_SAMPLES:
        return Interval(low=min(samples), high=max(samples), kind="single" if n == 1 else "range", num_passes=n)
    draw = random.Random(_SEED)
    medians = [statistics.median(draw.choices(samples, k=n)) for _ in range(NUM_RESAMPLES)]
    low, high = _central(medians)
    return Interval(low=low, high=high, kind="bootstrap", num_passes=n)


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float]) -> Interval | None:
    """Interval of median(numerator) ÷ median(denominator); None when a side is empty or the denominator reaches 0.

    With 5 samples or more on both sides, a seeded percentile bootstrap that draws each side by itself; otherwise the
    worst cases, min ÷ max and max ÷ min.
    """
    if not numerator or not denominator or min(denominator) <= 0:
        return None
    fewer = min(len(numerator), len(denominator))
    if fewer < MIN_BOOTSTRAP_SAMPLES:
        low, high = min(numerator) / max(denominator), max(numerator) / min(denominator)
        return Interval(low=low, high=high, kind="single" if fewer == 1 else "range", num_passes=fewer)
    draw = random.Random(_SEED)
    ratios = [
        statistics.median(draw.choices(numerator, k=len(numerator)))
        / statistics.median(draw.choices(denominator, k=len(denominator)))
        for _ in range(NUM_RESAMPLES)
    ]
    low, high = _central(ratios)
    return Interval(low=low, high=high, kind="bootstrap", num_passes=fewer)


def _central(values: list[float]) -> tuple[float, float]:
    """The central 95 % of an empirical distribution, by order statistics: no bound that no resample gave."""
    ordered = sorted(values)
    tail = int(len(ordered) * (1 - LEVEL) / 2)
    return ordered[tail], ordered[-1 - tail]
