"""What the plots show, as plain data. Nothing is drawn here; `plots` computes nothing.

Many trials are made few by `plot_bins` before they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer
from vbench.analysis.ranking import incumbents, is_rankable, objective_value
from vbench.analysis.search_work import Arm
from vbench.analysis.statistics import interval_of
from vbench.metrics import metric_of, value_of
from vbench.records.record import TrialRecord
from vbench.report.text import metric_label, shorten, show_metric, show_value
from vbench.spec.types import Objective
from vbench.units import GIB

MAX_MARKS = 1_500
"""Trials that are drawn one by one; more are binned."""
MAX_INTERVALS = 300
"""Up to here each trial has its interval: more can't be told apart, and each costs milliseconds."""
MAX_TIP = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A quantity on an axis."""

    label: str
    unit: str

    def title(self) -> str:
        """`Output throughput (tok/s)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialMark:
    """One trial as a mark. `value` None: it wasn't measured, and is drawn by its outcome."""

    trial: int
    outcome: str
    value: float | None
    low: float | None
    high: float | None
    memory_gib: float | None
    is_ranked: bool
    is_best: bool
    bound: float | None = None
    """Of a trial that was stopped early: its value would have been no better."""
    is_final: bool = False
    """Whether it measured an earlier trial again."""
    is_random: bool = False
    """Whether it is the random arm's, not the search's."""
    tip: str = ""
    """What is read when pointing at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Trials that follow each other, as one: tenth percentile, median and ninetieth percentile of those measured. None
    where none was."""

    start: float
    end: float
    low: float | None
    median: float | None
    high: float | None
    shares: tuple[float, ...]
    """Of each kind of `History.kinds`, the share of the bin's trials that ended so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A small square of the plane with the points in it; `x` and `y` are its middle."""

    x: float
    y: float
    count: int
    has_ranked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The objective of every trial, in order, with the best so far."""

    axis: Axis
    marks: tuple[TrialMark, ...]
    incumbent: tuple[tuple[int, float], ...]
    """Trial and best value once it had ended; starts with the first that could be ranked."""
    baseline: float | None
    is_more_better: bool = True
    bins: tuple[Bin, ...] = ()
    """Where there are too many trials to be told apart: all of them, in order; `marks` are some that matter."""
    kinds: tuple[str, ...] = ()
    """How trials ended that gave no measurement; of `bins`."""
    cells: tuple[Cell, ...] = ()
    """Of the memory plot, the same."""
    num_trials: int = 0
    """How many `bins` or `cells` stand for."""

    @property
    def last_trial(self) -> float:
        """The largest number on the axis of trials."""
        return self.bins[-1].end if self.bins else self.marks[-1].trial


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """A trial by its first two objectives, `x` the second; in the units of their axes."""

    trial: int
    x: float
    y: float
    is_on_front: bool
    is_best: bool
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPlot:
    """The points of a scatter plot. `is_whole`: two objectives are all there are, so that the front is a line in it."""

    x_axis: Axis
    y_axis: Axis
    points: tuple[ParetoPoint, ...]
    is_whole: bool
    is_less_x_better: bool
    cells: tuple[Cell, ...] = ()
    """Where there are too many points: those that aren't drawn one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Best so far against engine-seconds, to be drawn."""

    objective: Objective
    search: Arm
    random: Arm | None
    baseline: float | None


def axis_of(metric: str) -> Axis:
    """The metric's axis; bytes are drawn in GiB."""
    unit = metric_of(metric).unit
    return Axis(label=metric_label(metric), unit="GiB" if unit == "B" else unit)


def scale_of_metric(metric: str) -> float:
    """What the metric's values are divided by for its axis."""
    return GIB if metric_of(metric).unit == "B" else 1.0


def objective_axis(answer: Answer) -> Axis:
    """The objective's axis."""
    return axis_of(answer.objective.metric)


def scale_of(answer: Answer) -> float:
    """What the objective's values are divided by for its axis."""
    return scale_of_metric(answer.objective.metric)


def history(records: Sequence[TrialRecord], answer: Answer) -> History:
    """The marks of every trial, in trial order, each by its own measurement; interference checks are left out."""
    scale = scale_of(answer)
    shown = (record for record in records if record.origin not in ("interference", "reference", "compare"))
    ordered = sorted(shown, key=lambda record: record.trial)
    steps = incumbents(ordered, answer.objective)
    baseline = objective_value(answer.baseline, answer.objective) if answer.baseline else None
    are_few, have_tips = len(ordered) <= MAX_INTERVALS, len(ordered) <= MAX_MARKS
    return History(
        axis=objective_axis(answer),
        marks=tuple(
            _mark(
                record,
                answer,
                scale,
                has_interval=are_few or record.origin in ("final", "baseline"),
                tip=_tip(record, answer, has_settings=are_few) if have_tips else "",
            )
            for record in ordered
        ),
        incumbent=tuple((step.trial, step.value / scale) for step in steps if step.value is not None),
        baseline=None if baseline is None else baseline / scale,
        is_more_better=answer.objective.direction == "maximize",
    )


def _mark(record: TrialRecord, answer: Answer, scale: float, *, has_interval: bool, tip: str) -> TrialMark:
    value = objective_value(record, answer.objective) if record.outcome.is_measured else None
    is_best = answer.best is not None and record.trial == answer.best.trial
    has_interval = value is not None and (has_interval or is_best)
    interval = interval_of(record, answer.objective.metric) if has_interval else None
    memory = value_of(record.measurements, "peak_memory_bytes")
    has_spread = interval is not None and interval.kind != "single"
    return TrialMark(
        trial=record.trial,
        outcome=record.outcome.value,
        value=None if value is None else value / scale,
        low=interval.low / scale if interval and has_spread else None,
        high=interval.high / scale if interval and has_spread else None,
        memory_gib=None if memory is None else memory / GIB,
        is_ranked=is_rankable(record, answer.objective),
        is_best=is_best,
        bound=record.stopped.bound / scale if record.stopped is not None else None,
        is_final=record.origin == "final",
        is_random=record.origin == "random",
        tip=tip,
    )


def _tip(record: TrialRecord, answer: Answer, *, has_settings: bool) -> str:
    value = objective_value(record, answer.objective) if record.outcome.is_measured else None
    result = record.outcome.value.replace("_", " ") if value is None else show_metric(answer.objective.metric, value)
    settings = (f"{name}={show_value(setting)}" for name, setting in record.parameters.items())
    return shorten(f"trial {record.trial}: {'; '.join([result, *(settings if has_settings else ())])}", MAX_TIP)
