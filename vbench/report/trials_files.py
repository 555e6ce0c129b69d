"""The trials as tables for other programs: CSV for people and spreadsheets, Parquet with types, units and origin."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vbench.analysis.columns import Column, Kind, columns_of, facts_columns, values_of
from vbench.analysis.merged import origin_of
from vbench.errors import StoreError
from vbench.records.record import TrialRecord
from vbench.records.store import fsync_folder, storage_advice
from vbench.report.column_buffers import buffers_of
from vbench.report.subject import Subject
from vbench.report.text import printable

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_ROWS = 5000
"""That are made at once."""


def write_trials(subjects: Sequence[Subject], csv_path: Path, parquet_path: Path) -> None:
    """All trials of the page: `columns.columns_of` and `columns.facts_columns`. Each file is replaced as a whole or not
    at all. Raises StoreError.

    CSV has numbers to their last digit, and text that a spreadsheet would run as a formula gets a `'`. Parquet has text
    as it is, the units of its columns, and what the table is of as metadata under `vbench`.
    """
    with trials_written(subjects, csv_path, parquet_path):
        pass


@contextmanager
def trials_written(subjects: Sequence[Subject], csv_path: Path, parquet_path: Path) -> Iterator[None]:
    """`write_trials`, of which the files take their places once the block has ended well."""
    records = [record for subject in subjects for record in subject.records]
    columns = [*columns_of(records), *facts_columns(_runs(subjects), _marks(subjects))]
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(columns, subjects)
    with _replaced(csv_path) as plain, _replaced(parquet_path) as typed:
        text = _CsvText(plain)
        text.row([_inert(one.name) for one in columns])
        with pq.ParquetWriter(typed, schema, compression="zstd") as writer:
            for rows in _in_parts(records):
                values = values_of(columns, rows)
                arrays = [
                    _array(each, one.kind, field.type) for each, one, field in zip(values, columns, schema, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                text.rows(columns, values)
        yield


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

    def rows(self, columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> None:
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


def _in_parts(records: Sequence[TrialRecord]) -> Iterator[Sequence[TrialRecord]]:
    for start in range(0, len(records), _ROWS):
        yield records[start : start + _ROWS]


def _names(subject: Subject) -> list[str]:
    return [one.name for one in subject.members] or [f"{subject.folder.sweep}/{subject.folder.run_id}"]


def _runs(subjects: Sequence[Subject]) -> Callable[[TrialRecord], str]:
    names = {id(record): _names(one)[0] for one in subjects for record in one.records}

    def run_of(record: TrialRecord) -> str:
        origin = origin_of(record)
        return names[id(record)] if origin is None else origin.run

    return run_of


def _marks(subjects: Sequence[Subject]) -> Callable[[TrialRecord], str]:
    words = {id(record): one.mark.word if one.mark else "" for one in subjects for record in one.records}
    return lambda record: words[id(record)]


def _array(values: Sequence[Any], kind: Kind, arrow_type: pa.DataType) -> pa.Array:
    import pyarrow as pa

    buffers = [None if one is None else pa.py_buffer(one) for one in buffers_of(values, kind)]
    return pa.Array.from_buffers(arrow_type, len(values), buffers)


def _schema(columns: Sequence[Column], subjects: Sequence[Subject]) -> pa.Schema:
    import pyarrow as pa

    types: dict[Kind, pa.DataType] = {
        "whole": pa.int64(), "number": pa.float64(), "flag": pa.bool_(), "text": pa.string(),
    }  # fmt: skip
    fields = [pa.field(one.name, types[one.kind], metadata={"unit": one.unit} if one.unit else None) for one in columns]
    facts = {
        "sweeps": sorted({one.folder.sweep for one in subjects}),
        "runs": [name for one in subjects for name in _names(one)],
        "vbench_version": sorted({str(one.contents.run.get("vbench_version") or "") for one in subjects}),
        "mark": sorted({one.mark.word for one in subjects if one.mark}),
        "objective": [f"{one.contents.objective.direction} {one.contents.objective.metric}" for one in subjects],
        "units": {one.name: one.unit for one in columns if one.unit},
    }
    return pa.schema(fields, metadata={"vbench": json.dumps(facts, ensure_ascii=False)})


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes another's place once all of it is on the disk. Raises StoreError and keeps the old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}; {storage_advice(error)}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
