"""Whether the machine became slower or faster while a run lasted, by a configuration that was measured again and again.

All of it is in output tokens per second, whatever the sweep's objective is: it is about the machine.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vbench.analysis.statistics import pass_values, ratio_interval
from vbench.analysis.student_t import student_quantile
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord

METRIC = "output_throughput_tok_s"
MIN_DRIFT = 0.02
"""Of the first value: less than that one start of an engine differs from the next by on a quiet machine."""
_LEVEL = 0.95
_COUNTED = ("baseline", "search", "run")
_FEWEST_FOR_TREND = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measurement of the reference: `engine_h` hours of trials lay before it, `values` are its passes' tok/s."""

    trial: int
    engine_h: float
    values: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One point against the first: its value ÷ the first's, between `low` and `high` by the passes of both."""

    point: Point
    ratio: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether it is more than both its own noise and `MIN_DRIFT`; single passes, whose noise isn't known, never."""
        is_known = len(self.point.values) > 1
        return is_known and abs(self.ratio - 1) > MIN_DRIFT and not self.low <= 1 <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Relative change per hour of engine time, and its 95 % interval."""

    per_hour: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What a run's references say."""

    first: Point
    changes: tuple[Change, ...]
    trend: Trend | None
    """None below three points, or where they were made at one time."""

    @property
    def most(self) -> Change | None:
        """The clear change that is furthest from 1; None where none is clear."""
        clear = [one for one in self.changes if one.is_clear]
        return max(clear, key=lambda one: abs(math.log(one.ratio)), default=None)


class References:
    """What a run's records, fed once each and in their order, say of its reference. Holds no record whole.

    The reference is the baseline where that completed, else the first trial that did; once it was measured again it
    stays what it is.
    """

    def __init__(self) -> None:
        self.target: TrialRecord | None = None
        """What is measured again, without its passes; None before a trial has completed."""
        self.num_since = 0
        """Trials of the search that were started since it was measured last."""
        self.points: list[Point] = []
        self._engine_s = 0.0

    def add(self, record: TrialRecord) -> None:
        """Take a record."""
        if record.duration_s is None:
            return  # refused by the planner: nothing was started
        before_s, self._engine_s = self._engine_s, self._engine_s + record.duration_s
        if record.origin == "reference":
            self.num_since = 0
            if self.target is not None and record.repeat_of == self.target.trial:
                self.points += self._point(record, before_s)
        elif record.origin in _COUNTED:
            self.num_since += 1
            is_better = self.target is None or (record.origin == "baseline" and len(self.points) < 2)
            if is_better and record.outcome is Outcome.COMPLETED:
                self.target = record.model_copy(update={"passes": [], "phases": [], "spoiled": None, "quality": None})
                self.points = self._point(record, before_s)

    def next_point(self, record: TrialRecord) -> Point | None:
        """The point that a record of the reference would add; None where it has no value."""
        return next(iter(self._point(record, self._engine_s)), None)

    @staticmethod
    def _point(record: TrialRecord, before_s: float) -> list[Point]:
        values = pass_values(record, METRIC) if record.outcome.is_measured else []
        return [Point(trial=record.trial, engine_h=before_s / 3600, values=tuple(values))] if values else []


def drift(records: Iterable[TrialRecord]) -> Drift | None:
    """Of a run's records, in their order; None where the reference wasn't measured again."""
    references = References()
    for record in records:
        references.add(record)
    return drift_of(references.points)


def drift_of(points: Sequence[Point]) -> Drift | None:
    """Of the reference's measurements, oldest first; None below two, or where the first is 0."""
    if len(points) < 2 or points[0].value <= 0:
        return None
    changes = tuple(change for point in points[1:] if (change := change_of(points[0], point)) is not None)
    return Drift(first=points[0], changes=changes, trend=_trend(points)) if changes else None


def change_of(first: Point, point: Point) -> Change | None:
    """One against another; None where a pass of the first made nothing."""
    interval = ratio_interval(point.values, first.values)
    if interval is None:
        return None
    return Change(point=point, ratio=point.value / first.value, low=interval.low, high=interval.high)


def warning_of(first: Point, change: Change) -> str:
    """What a reference's record says of a clear change."""
    return (
        f"the reference, trial {first.trial}, measured again is {_size(change)}: the machine isn't what it was; "
        "trials far apart don't compare, finals do"
    )


def drift_sentence(found: Drift | None) -> str | None:
    """What a reader should know; None where there is no clear change."""
    most = None if found is None else found.most
    if found is None or most is None:
        return None
    word = "slower" if most.ratio < 1 else "faster"
    text = (
        f"the machine became {abs(most.ratio - 1):.1%} {word} between trial {found.first.trial} and trial "
        f"{most.point.trial} ({_bounds(most)} by their passes): trials far apart don't compare; finals are interleaved "
        "and aren't touched"
    )
    trend = found.trend
    if trend is not None and not trend.low <= 0 <= trend.high:
        text += f"; it goes on at {trend.per_hour:+.1%} an hour (95%: {trend.low:+.1%} to {trend.high:+.1%})"
    return text


def _size(change: Change) -> str:
    return f"{abs(change.ratio - 1):.1%} {'slower' if change.ratio < 1 else 'faster'} ({_bounds(change)} by the passes)"


def _bounds(change: Change) -> str:
    return f"{change.low - 1:+.1%} to {change.high - 1:+.1%}"


def _trend(points: Sequence[Point]) -> Trend | None:
    """The slope of a straight line through the logs of all points, by least squares; its interval by Student's t."""
    if len(points) < _FEWEST_FOR_TREND or any(one.value <= 0 for one in points):
        return None
    hours = [one.engine_h for one in points]
    logs = [math.log(one.value) for one in points]
    middle, level = statistics.fmean(hours), statistics.fmean(logs)
    spread = math.fsum((hour - middle) ** 2 for hour in hours)
    if spread <= 0:
        return None
    slope = math.fsum((hour - middle) * (log - level) for hour, log in zip(hours, logs, strict=True)) / spread
    rest = math.fsum((log - level - slope * (hour - middle)) ** 2 for hour, log in zip(hours, logs, strict=True))
    freedom = len(points) - 2
    reach = student_quantile((1 + _LEVEL) / 2, freedom) * math.sqrt(rest / freedom / spread)
    try:
        per_hour, low, high = (math.expm1(one) for one in (slope, slope - reach, slope + reach))
    except OverflowError:  # seconds of engine time, from which nobody can tell an hour
        return None
    return Trend(per_hour=per_hour, low=low, high=high)
