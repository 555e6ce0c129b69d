"""Every trial as a row: what it was, what it came to, its parameters. Decides which columns there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vbench.analysis.answer import Answer
from vbench.analysis.merged import origin_in_run
from vbench.analysis.ranking import objective_value
from vbench.analysis.statistics import MIN_BOOTSTRAP_SAMPLES, Interval, interval_of, pass_values
from vbench.analysis.wording import explain_stop
from vbench.metrics import metric_of, value_of
from vbench.records.record import TrialRecord
from vbench.report.tables import Row, Table, value_text
from vbench.report.text import MISSING, metric_label, shorten, show_bounds, show_metric, show_value
from vbench.spec.types import Objective
from vbench.units import format_bytes, format_duration

MAX_INTERVALS = 300
"""Each bootstrap interval costs milliseconds."""
MAX_FILTER_VALUES = 16
MAX_NAME_CHARS = 60
MAX_CELL_CHARS = 240
"""What is longer stands whole in the tables of trials and in the records."""
MORE_METRICS = (
    "output_throughput_tok_s",
    "request_throughput_req_s",
    "p95_ttft_s",
    "p95_tpot_s",
    "num_preemptions",
    "prefix_cache_hit_rate",
    "acceptance_rate",
    "nll_increase",
)
"""Shown behind the parameters where at least one trial has them and they aren't the objective."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, and what it is sorted by; a key of None is the text itself."""

    text: str
    key: float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its heading and how a record fills it."""

    title: str
    cell: Callable[[TrialRecord], Cell]
    is_numeric: bool = False
    is_filter: bool = False


def trials_table(
    records: Sequence[TrialRecord],
    answer: Answer,
    names: Sequence[str],
    *,
    headroom: Callable[[TrialRecord], float | None] | None = None,
    runs: Mapping[int, str] | None = None,
) -> Table:
    """The trials, in the order given, with the parameters `names`. `headroom`: bytes that a trial left of its memory
    budget. `runs`: where they come from several runs, the run of each trial."""
    columns = [
        *_identity(runs),
        *_numbers(records, answer.objective, headroom),
        *(_parameter(records, name) for name in names),
        *_more_metrics(records, answer.objective),
        Column(title="Remarks", cell=lambda record: Cell(remarks(record, answer.objective))),
    ]
    best = answer.best.trial if answer.best is not None else None
    return Table(
        columns=tuple(column.title for column in columns),
        rows=tuple(_row(record, columns, is_best=record.trial == best) for record in records),
        numeric=frozenset(index for index, column in enumerate(columns) if column.is_numeric),
        filters=frozenset(index for index, column in enumerate(columns) if column.is_filter),
        noun="trials",
    )


def _row(record: TrialRecord, columns: Sequence[Column], *, is_best: bool) -> Row:
    cells = [column.cell(record) for column in columns]
    mark = "best" if is_best else "" if record.outcome.is_measured else "pruned" if record.stopped else "failed"
    return Row(
        cells=tuple(cell.text for cell in cells),
        mark=mark,
        keys=tuple(cell.key for cell in cells),
        anchor=f"trial-{record.trial}",
    )


def _identity(runs: Mapping[int, str] | None) -> list[Column]:
    columns = [Column(title="Trial", cell=lambda record: Cell(str(record.trial), record.trial), is_numeric=True)]
    if runs:
        columns.append(Column(title="Run", cell=lambda record: Cell(runs.get(record.trial, MISSING)), is_filter=True))
    columns.append(Column(title="Outcome", cell=_outcome, is_filter=True))
    columns.append(Column(title="Part of", cell=_part, is_filter=True))
    return columns


def _outcome(record: TrialRecord) -> Cell:
    """`completed`, `out of memory`, `stopped early`; a broken constraint is an outcome of its own."""
    if any(by > 0 for by in record.constraint_violations.values()):
        return Cell("breaks a constraint")
    return Cell("stopped early" if record.stopped is not None else record.outcome.value.replace("_", " "))


def _part(record: TrialRecord) -> Cell:
    """What the trial was for; what it repeats stands behind it, and isn't filtered by."""
    names = {"random": "random arm", "interference": "side by side", "run": "single run", "compare": "comparison"}
    origin = origin_in_run(record)
    name = names.get(origin, origin)
    return Cell(name if record.repeat_of is None else f"{name} of {record.repeat_of}", name)


def _numbers(
    records: Sequence[TrialRecord], objective: Objective, headroom: Callable[[TrialRecord], float | None] | None
) -> list[Column]:
    metric = objective.metric
    bounds = _bounds_of(records, metric)
    columns = [
        Column(
            title=metric_label(metric),
            cell=lambda record: Cell(value_text(record, objective), _value_key(record, objective)),
            is_numeric=True,
        ),
        Column(title="Interval", cell=lambda record: Cell(*bounds(record)), is_numeric=True),
    ]
    if metric != "peak_memory_bytes":
        columns.append(_so_far("≥", _metric("peak_memory_bytes")))
    if headroom is not None and any(headroom(record) is not None for record in records):
        left = Column(title="Headroom", cell=lambda record: _bytes(headroom(record)), is_numeric=True)
        columns.append(_so_far("≤", left))
    if metric != "startup_s":
        columns.append(_seconds("Start-up", lambda record: value_of(record.measurements, "startup_s")))
    return [*columns, _seconds("Duration", lambda record: record.duration_s)]


def _so_far(sign: str, column: Column) -> Column:
    """Of a trial that ended before its passes had, a peak is what was seen up to then."""

    def cell(record: TrialRecord) -> Cell:
        found = column.cell(record)
        is_known = record.outcome.is_measured or found.key is None
        return found if is_known else Cell(f"{sign} {found.text}", found.key)

    return replace(column, cell=cell)


def _value_key(record: TrialRecord, objective: Objective) -> float | None:
    """A trial that was stopped early is sorted by its bound: it is no better than that."""
    return objective_value(record, objective) if record.stopped is None else record.stopped.bound


def uses_ranges(records: Iterable[TrialRecord]) -> bool:
    """Whether the table gives the smallest and largest pass instead of intervals, as there are too many to compute."""
    many = 0
    for record in records:
        many += sum(one.kind == "timed" for one in record.passes) >= MIN_BOOTSTRAP_SAMPLES
        if many > MAX_INTERVALS:
            return True
    return False


def _bounds_of(records: Sequence[TrialRecord], metric: str) -> Callable[[TrialRecord], tuple[str, float | None]]:
    are_ranges = uses_ranges(records)

    def bounds(record: TrialRecord) -> tuple[str, float | None]:
        if record.stopped is not None:
            return MISSING, None
        interval = _range_of(record, metric) if are_ranges else interval_of(record, metric)
        shown = show_bounds(metric, interval)
        return shown, None if interval is None or shown == MISSING else interval.low

    return bounds


def _range_of(record: TrialRecord, metric: str) -> Interval | None:
    values = pass_values(record, metric)
    if not values:
        return None
    return Interval(
        low=min(values), high=max(values), kind="range" if len(values) > 1 else "single", num_passes=len(values)
    )


def _bytes(value: float | None) -> Cell:
    return Cell(MISSING) if value is None else Cell(format_bytes(value), value)


def _seconds(title: str, value: Callable[[TrialRecord], float | None]) -> Column:
    return Column(title=title, cell=lambda record: Cell(format_duration(value(record)), value(record)), is_numeric=True)


def _metric(name: str) -> Column:
    def cell(record: TrialRecord) -> Cell:
        value = value_of(record.measurements, name)
        return Cell(show_metric(name, value), value)

    return Column(title=metric_label(name), cell=cell, is_numeric=True)


def _more_metrics(records: Sequence[TrialRecord], objective: Objective) -> list[Column]:
    return [
        _metric(name)
        for name in MORE_METRICS
        if metric_of(name) is not metric_of(objective.metric)
        and any(value_of(record.measurements, name) is not None for record in records)
    ]


def _parameter(records: Sequence[TrialRecord], name: str) -> Column:
    values = [record.parameters[name] for record in records if name in record.parameters]
    shown = {show_value(value) for value in values}
    return Column(
        title=shorten(name, MAX_NAME_CHARS),
        cell=lambda record: _setting(record.parameters[name]) if name in record.parameters else Cell(MISSING),
        is_numeric=bool(values) and all(_is_number(value) for value in values),
        is_filter=1 < len(shown) <= MAX_FILTER_VALUES,
    )


def _setting(value: Any) -> Cell:
    return Cell(shorten(show_value(value), MAX_CELL_CHARS), value if _is_number(value) else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def remarks(record: TrialRecord, objective: Objective) -> str:
    """Why it failed or was stopped, what it violates, and whether it was warned about."""
    parts: list[str] = []
    if record.stopped is not None:
        parts.append(explain_stop(record.stopped, objective))
    if record.failure is not None and record.failure.failure_class != record.outcome.value:
        parts.append(record.failure.failure_class)
    violated = [name for name, by in record.constraint_violations.items() if by > 0]
    parts += [f"violates {' and '.join(violated)}"] if violated else []
    if record.warnings:
        parts.append("1 warning" if len(record.warnings) == 1 else f"{len(record.warnings)} warnings")
    return shorten("; ".join(parts), MAX_CELL_CHARS)
