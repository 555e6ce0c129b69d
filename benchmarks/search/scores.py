"""What a method's searches come to: shares of the grid's engine-seconds, regret, and how sure of it these seeds are.

Intervals are percentile bootstraps over seeds (Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, §13.3),
2000 draws; of two methods the same seeds are drawn for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.search.simulate import Trace

CLOSE = 0.98
"""Within 2 % of the true best."""
NEVER = 1.0
"""The share of a search that ended without getting there: as if the rest of the grid had to be run."""
SHARES = tuple(step / 200 for step in range(51))
"""Where the curve is looked at: 0 to 25 % by half a per cent; searches go on to its end, or until they got there."""
NUM_DRAWS = 2000
_SEED = 0


class Interval(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Searched(NamedTuple):
    """One search of one method, boiled down; `curve` is the regret of the best so far at each of the asked shares."""

    seed: int
    share: float
    is_reached: bool
    is_lost: bool
    """Whether the named best was further away again later on."""
    curve: tuple[float, ...]
    started: int
    pruned: int
    refused: int
    repeated: int
    wall_s: float


def searched(
    trace: Trace, seed: int, *, best: float, grid_s: float, shares: Sequence[float], wall_s: float
) -> Searched:
    """Score a trace. `best` is the true best value, `grid_s` the whole grid's engine-seconds."""
    close = [moment.best is not None and moment.best >= CLOSE * best for moment in trace.moments]
    first = close.index(True) if True in close else None
    return Searched(
        seed=seed,
        share=NEVER if first is None else trace.moments[first].engine_s / grid_s,
        is_reached=first is not None,
        is_lost=first is not None and not all(close[first:]),
        curve=tuple(regret_at(trace, share * grid_s, best) for share in shares),
        started=len(trace.moments),
        pruned=trace.pruned,
        refused=trace.refused,
        repeated=trace.repeated,
        wall_s=wall_s,
    )


def regret_at(trace: Trace, engine_s: float, best: float) -> float:
    """1 − (true value of the best so far) ÷ (true best) after so many engine-seconds; 1 before there is any."""
    so_far = [moment.best for moment in trace.moments if moment.engine_s <= engine_s]
    named = so_far[-1] if so_far else None
    return 1.0 if named is None else 1.0 - named / best


def quantile_interval(values: Sequence[float], q: float) -> Interval:
    """The percentile `q` of the values, with its interval."""
    return difference_interval(values, [0.0] * len(values), q)


def difference_interval(ours: Sequence[float], theirs: Sequence[float], q: float) -> Interval:
    """percentile q of `ours` − percentile q of `theirs`; values of the same seed stand at the same place."""
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    picks = np.random.default_rng(_SEED).integers(0, len(a), size=(NUM_DRAWS, len(a)))
    drawn = np.percentile(a[picks], q, axis=1) - np.percentile(b[picks], q, axis=1)
    value = float(np.percentile(a, q) - np.percentile(b, q))
    return Interval(value, float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5)))


def summary(scores: Sequence[Searched]) -> dict[str, Any]:
    """Median and 90th percentile of the share, for the last line."""
    shares = [one.share for one in scores]
    return {"median": round(float(np.percentile(shares, 50)), 4), "p90": round(float(np.percentile(shares, 90)), 4)}
