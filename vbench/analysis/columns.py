"""A run's trials as columns: names, kinds, units, and the values of any of the records. No table library is needed.

`frame` makes a pandas table of them, `report.trials_files` CSV and Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from vbench.analysis.merged import origin_in_run, origin_of
from vbench.analysis.ranking import keeps_constraints
from vbench.metrics import metric_names, metric_of, value_of
from vbench.records.packed import PackedMeasurements, phase_lengths
from vbench.records.record import TrialRecord

_WHOLE_METRICS = ("peak_memory_bytes",)
_STARTUP = ("start", "import", "load")
_KEPT = 10_000
_MOST = 1 << 63
"""Whole numbers of 64 bits are below it."""
Kind = Literal["whole", "number", "flag", "text"]


@dataclass(frozen=True, slots=True)
class Column:
    """`value` gives a record's value: of its kind, or None where it has none."""

    name: str
    kind: Kind
    value: Callable[[TrialRecord], Any]
    unit: str = ""
    is_metric: bool = False
    """Whether it is `metrics.value_of` of its name."""


def columns_of(records: Sequence[TrialRecord]) -> list[Column]:
    """`trial`, `origin`, `repeat_of`, `outcome`, `failure_class`, `keeps_constraints`, `bound` (what the objective of a
    trial that was stopped early was no better than), `param.<dotted name>` for each parameter of any of the records,
    every name of `metrics.metric_names()` (`p95_ttft_s`, `peak_memory_bytes`, …) and `duration_s`. Always the same
    metric columns, so that tables of different runs can be joined."""
    return [
        Column("trial", "whole", lambda record: record.trial),
        Column("origin", "text", origin_in_run),
        Column("repeat_of", "whole", lambda record: record.repeat_of),
        Column("outcome", "text", lambda record: record.outcome.value),
        Column("failure_class", "text", lambda record: record.failure.failure_class if record.failure else None),
        Column("keeps_constraints", "flag", _keeps),
        Column("bound", "number", lambda record: record.stopped.bound if record.stopped is not None else None),
        *(
            Column(f"param.{name}", kind, partial(_parameter, name, kind))
            for name, kind in _kinds(record.parameters for record in records).items()
        ),
        *(
            Column(name, "whole", partial(_whole_metric, name), metric_of(name).unit)
            if name in _WHOLE_METRICS
            else Column(name, "number", partial(_metric, name), metric_of(name).unit, is_metric=True)
            for name in metric_names()
        ),
        Column("duration_s", "number", lambda record: record.duration_s, "s"),
    ]


def facts_columns(run_of: Callable[[TrialRecord], str], mark_of: Callable[[TrialRecord], str]) -> list[Column]:
    """Where each trial came from, what ran it, what it started up for, and its whole configuration as JSON."""
    phases = _PhaseLengths()
    return [
        Column("run", "text", run_of),
        Column("trial_in_run", "whole", _trial_in_run),
        Column("started_at", "text", lambda record: record.started_at),
        Column("model", "text", lambda record: _text_or_none(record.config.get("model"))),
        Column("engine", "text", lambda record: record.engine.name),
        Column("engine_version", "text", lambda record: record.engine.version),
        Column("profile", "text", lambda record: _text_or_none(record.hardware.get("profile"))),
        Column("mark", "text", mark_of),
        Column("num_warnings", "whole", lambda record: len(record.warnings)),
        *(Column(f"startup_{name}_s", "number", partial(_phase_s, phases, name), "s") for name in _STARTUP),
        Column("worker_start", "text", lambda record: _text_or_none(record.environment.get("worker_start"))),
        Column("prompt_set_sha256", "text", lambda record: record.prompt_set.sha256),
        Column("config", "text", _ConfigText()),
    ]


def values_of(columns: Sequence[Column], records: Sequence[TrialRecord]) -> list[list[Any]]:
    """The values of each column. Metrics are read together: there are many of them."""
    names = tuple(one.name for one in columns if one.is_metric)
    read = [_numbers(record, names) for record in records]
    metrics = iter(zip(*read, strict=True)) if read else iter([()] * len(names))
    return [list(next(metrics)) if one.is_metric else [one.value(record) for record in records] for one in columns]


def _numbers(record: TrialRecord, names: Sequence[str]) -> list[float | None]:
    measured = record.measurements
    if isinstance(measured, PackedMeasurements):
        return measured.numbers(names)
    return [value_of(measured, name) for name in names]


def _trial_in_run(record: TrialRecord) -> int:
    origin = origin_of(record)
    return record.trial if origin is None else origin.trial


def _keeps(record: TrialRecord) -> bool | None:
    return keeps_constraints(record) if record.outcome.is_measured else None


def _metric(name: str, record: TrialRecord) -> float | None:
    return value_of(record.measurements, name)


def _whole_metric(name: str, record: TrialRecord) -> int | None:
    value = value_of(record.measurements, name)
    return None if value is None else int(value)


class _PhaseLengths:
    """The first seconds of each phase. What was asked of last is kept: columns are made one after the other."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[TrialRecord, dict[str, float]]] = {}

    def __call__(self, record: TrialRecord) -> dict[str, float]:
        kept = self._kept.get(id(record))
        if kept is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            found = {name: seconds for name, _, seconds in reversed(phase_lengths(record.phases))}
            kept = self._kept[id(record)] = record, found  # the record too, so that its id stays its own
        return kept[1]


def _phase_s(phases: _PhaseLengths, name: str, record: TrialRecord) -> float | None:
    return phases(record).get(name)


def _parameter(name: str, kind: Kind, record: TrialRecord) -> Any:
    value = record.parameters.get(name)
    if value is None or kind in ("whole", "flag"):
        return value
    if kind == "number":
        return float(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kinds(chosen: Iterable[dict[str, Any]]) -> dict[str, Kind]:
    """Of each parameter, in order of first use: whole numbers only, numbers, true or false, or else text."""
    types: dict[str, set[type]] = {}
    for parameters in chosen:
        for name, value in parameters.items():
            is_beyond = type(value) is int and not -_MOST <= value < _MOST
            types.setdefault(name, set()).add(str if is_beyond else type(value))
    return {name: _kind(found - {type(None)}) for name, found in types.items()}


def _kind(types: set[type]) -> Kind:
    if types == {bool}:
        return "flag"
    if types == {int}:
        return "whole"
    return "number" if types and types <= {int, float} else "text"


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


class _ConfigText:
    """A configuration as JSON. Records of large runs share equal ones: what was written last is kept."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[dict[str, Any], str]] = {}

    def __call__(self, record: TrialRecord) -> str:
        kept = self._kept.get(id(record.config))
        if kept is None or kept[0] is not record.config:
            if len(self._kept) >= 50_000:
                self._kept.clear()
            kept = record.config, json.dumps(record.config, ensure_ascii=False)
            self._kept[id(record.config)] = kept
        return kept[1]
