"""Writes rows of trials as CSV and as Parquet. Knows columns by their names, and no records: so it also runs in a
process of its own (`table_process`)."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vbench.analysis.columns import Kind
from vbench.report.column_buffers import buffers_of
from vbench.report.text import printable

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Heading:
    """Of a column: as in `analysis.columns.Column`, without what computes its values."""

    name: str
    kind: Kind
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """What is known before the first row, and where the files go."""

    columns: tuple[Heading, ...]
    facts: str
    """JSON, which Parquet keeps under `vbench`."""
    csv: Path
    parquet: Path


def write_rows(head: TableHead, parts: Iterable[Sequence[Sequence[Any]]]) -> None:
    """Write both files to the disk. `parts`: some rows each, as the values of each column. Raises OSError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(head)
    with head.csv.open("wb") as plain, head.parquet.open("wb") as typed:
        text = _CsvText(plain)
        text.row([_inert(one.name) for one in head.columns])
        with pq.ParquetWriter(typed, schema, compression="zstd") as writer:
            for values in parts:
                arrays = [
                    _array(each, one.kind, field.type)
                    for each, one, field in zip(values, head.columns, schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                text.rows(head.columns, values)
        for file in (plain, typed):
            file.flush()
            os.fsync(file.fileno())


class _CsvText:
    """Writes rows of a CSV as UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._writer = csv.writer(self, lineterminator="\n")

    def write(self, text: str) -> None:
        """What `csv.writer` asks of a file."""
        self._file.write(text.encode("utf-8", "replace"))

    def row(self, cells: Sequence[str]) -> None:
        """One row."""
        self._writer.writerow(cells)

    def rows(self, columns: Sequence[Heading], values: Sequence[Sequence[Any]]) -> None:
        """Rows, given as columns."""
        cells = [
            [None if value is None else _inert(value) for value in each] if one.kind == "text" else each
            for one, each in zip(columns, values, strict=True)
        ]
        self._writer.writerows(zip(*cells, strict=True))


@lru_cache(maxsize=20_000)
def _inert(value: str) -> str:
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _array(values: Sequence[Any], kind: Kind, arrow_type: pa.DataType) -> pa.Array:
    import pyarrow as pa

    buffers = [None if one is None else pa.py_buffer(one) for one in buffers_of(values, kind)]
    return pa.Array.from_buffers(arrow_type, len(values), buffers)


def _schema(head: TableHead) -> pa.Schema:
    import pyarrow as pa

    types: dict[Kind, pa.DataType] = {
        "whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_(), "text": pa.string(),
    }  # fmt: skip
    fields = [
        pa.field(one.name, types[one.kind], metadata={"unit": one.unit} if one.unit else None) for one in head.columns
    ]
    return pa.schema(fields, metadata={"vbench": head.facts})
