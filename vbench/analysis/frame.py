"""Records as a table: one row a trial, flat columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from vbench.analysis.columns import Kind, columns_of, values_of
from vbench.records.record import TrialRecord

_TYPES: dict[Kind, str] = {"whole": "Int64", "number": "float64", "flag": "object", "text": "object"}
"""Int64 is pandas' integer that may be missing."""


def to_frame(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """One row a trial, in the given order, with the columns of `columns.columns_of`; what wasn't measured is missing
    (NA or NaN)."""
    listed: Sequence[TrialRecord] = list(records)
    columns = columns_of(listed)
    values = zip(columns, values_of(columns, listed), strict=True)
    return pd.DataFrame({one.name: pd.Series(each, dtype=_TYPES[one.kind]) for one, each in values})
