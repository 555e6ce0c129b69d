"""Columns made of buffers are what pyarrow itself would make of the values."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from vbench.analysis.columns import Kind
from vbench.report.column_buffers import buffers_of

TYPES: dict[Kind, pa.DataType] = {
    "whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_(), "text": pa.string(),
}  # fmt: skip
VALUES: list[tuple[Kind, list[Any]]] = [
    ("whole", [1, None, -5, (1 << 63) - 1, -(1 << 63), None, 0, 7, 8, 9]),
    ("whole", []),
    ("number", [1.5, None, 0, 3, 1e-300, 0.1 + 0.2]),
    ("number", [None, None]),
    ("flag", [True, False, None, True, True, False, True, True, False, None]),
    ("flag", [True] * 9),
    ("text", ["", None, "a", "🚀 שלום", "x\x00y", "line\nline"]),
    ("text", ["same"] * 17),
]


def array_of(kind: Kind, values: list[Any]) -> pa.Array:
    buffers = [None if one is None else pa.py_buffer(one) for one in buffers_of(values, kind)]
    return pa.Array.from_buffers(TYPES[kind], len(values), buffers)


@pytest.mark.parametrize(("kind", "values"), VALUES)
def test_values_come_back(kind: Kind, values: list[Any]) -> None:
    made = array_of(kind, values)
    made.validate(full=True)
    assert made.to_pylist() == values
    assert made == pa.array(values, TYPES[kind])
    assert made.null_count == values.count(None)


def test_half_of_a_pair_of_surrogates_becomes_a_question_mark() -> None:
    assert array_of("text", ["a\ud800b", None]).to_pylist() == ["a?b", None]


def test_too_large_a_number_is_no_whole_number() -> None:
    with pytest.raises(OverflowError):
        buffers_of([1 << 63], "whole")
