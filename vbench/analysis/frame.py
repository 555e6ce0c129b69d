"""Records as a table: one row a trial, flat columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from vbench.analysis.ranking import keeps_constraints
from vbench.metrics import metric_names, value_of
from vbench.records.record import TrialRecord

_FACTS = ("trial", "origin", "repeat_of", "outcome", "failure_class", "keeps_constraints", "bound")
_WHOLE_NUMBERS = ("trial", "repeat_of", "peak_memory_bytes")


def to_frame(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """One row a trial, in the given order.

    Columns: `trial`, `origin`, `repeat_of`, `outcome`, `failure_class`, `keeps_constraints`, `bound` (what the
    objective of a trial that was stopped early was no better than), `param.<dotted name>` for each parameter of any
    trial, every name of `metrics.metric_names()` (`p95_ttft_s`, `peak_memory_bytes`, …) and `duration_s`. Always the
    same metric columns, so that frames of different runs can be joined; what wasn't measured is missing (NA or NaN).
    """
    listed: Sequence[TrialRecord] = list(records)
    names = list(dict.fromkeys(name for record in listed for name in record.parameters))
    columns = [*_FACTS, *(f"param.{name}" for name in names), *metric_names(), "duration_s"]
    frame = pd.DataFrame([_row(record, names) for record in listed], columns=columns)
    for column in (*metric_names(), "bound", "duration_s"):
        frame[column] = frame[column].astype("float64")
    counts = [f"param.{name}" for name in names if _is_whole([record.parameters.get(name) for record in listed])]
    for column in (*_WHOLE_NUMBERS, *counts):
        frame[column] = frame[column].astype("Int64")  # pandas' integer that may be missing
    return frame


def _row(record: TrialRecord, names: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "trial": record.trial,
        "origin": record.origin,
        "repeat_of": record.repeat_of,
        "outcome": record.outcome.value,
        "failure_class": record.failure.failure_class if record.failure else None,
        "keeps_constraints": keeps_constraints(record) if record.outcome.is_measured else None,
        "bound": record.stopped.bound if record.stopped is not None else None,
        "duration_s": record.duration_s,
    }
    row.update({f"param.{name}": _scalar(record.parameters.get(name)) for name in names})
    row.update({name: value_of(record.measurements, name) for name in metric_names()})
    return row


def _is_whole(values: Sequence[Any]) -> bool:
    """Whether what is there are whole numbers; one that is missing would make them 16.0."""
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, int) and not isinstance(value, bool) for value in there)


def _scalar(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
