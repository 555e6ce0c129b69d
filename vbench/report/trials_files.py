"""The trials as tables for other programs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from vbench.analysis.frame import to_frame
from vbench.report.contents import RunContents
from vbench.report.text import printable

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def trials_csv(contents: RunContents) -> str:
    """`to_frame` as CSV, numbers to their last digit; text that a spreadsheet would run as a formula gets a `'`."""
    frame = to_frame(contents.result.records)
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].map(_inert)
    frame.columns = pd.Index([_inert(name) for name in frame.columns])
    return frame.to_csv(index=False, lineterminator="\n")


def _inert(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
