"""Columns in Arrow's memory layout: what `pyarrow.array` does too, but for that it imports pandas first, which takes
half a second."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from vbench.analysis.columns import Kind

_MOST_BYTES = (1 << 31) - 1
"""Of text, as its places are 32-bit numbers."""


def buffers_of(values: Sequence[Any], kind: Kind) -> list[bytes | None]:
    """Which values are there (None: all), then the values, of the kind or None. Text is UTF-8; half of a pair of
    surrogates, which a file by another hand may have, becomes "?"."""
    is_there = [value is not None for value in values]
    return [None if all(is_there) else _bits(is_there), *_data(values, kind)]


def _data(values: Sequence[Any], kind: Kind) -> list[bytes]:
    if kind == "text":
        texts = [b"" if value is None else value.encode("utf-8", "replace") for value in values]
        ends = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        if ends[-1] > _MOST_BYTES:
            raise OverflowError("the text of a column takes more than 2 GiB")
        return [ends.astype(np.int32).tobytes(), b"".join(texts)]
    if kind == "flag":
        return [_bits([bool(value) for value in values])]
    return [array("q" if kind == "whole" else "d", [0 if value is None else value for value in values]).tobytes()]


def _bits(flags: Sequence[bool]) -> bytes:
    return np.packbits(np.array(flags, dtype=np.bool_), bitorder="little").tobytes()
