"""The trials as tables for other programs: CSV for people and spreadsheets, Parquet with types, units and origin."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vbench.analysis.columns import Column, columns_of, facts_columns, values_of
from vbench.analysis.merged import origin_of
from vbench.errors import StoreError
from vbench.records.record import TrialRecord
from vbench.records.store import fsync_folder, storage_advice
from vbench.report.subject import Subject
from vbench.report.table_process import TableProcess
from vbench.report.table_rows import Heading, TableHead, write_rows

_ROWS = 5000
"""That are made at once."""


def write_trials(
    subjects: Sequence[Subject], csv_path: Path, parquet_path: Path, process: TableProcess | None = None
) -> None:
    """All trials of the page: `columns.columns_of` and `columns.facts_columns`. Each file is replaced as a whole or not
    at all. Raises StoreError.

    CSV has numbers to their last digit, and text that a spreadsheet would run as a formula gets a `'`. Parquet has text
    as it is, the units of its columns, and what the table is of as metadata under `vbench`.
    """
    with trials_files(subjects, csv_path, parquet_path, process) as files:
        files.place()


class TrialsFiles:
    """Both files of `write_trials`, beside those that stand there until `place`."""

    def __init__(self, subjects: Sequence[Subject], csv_path: Path, parquet_path: Path) -> None:
        self._records = [record for subject in subjects for record in subject.records]
        self._columns = [*columns_of(self._records), *facts_columns(_runs(subjects), _marks(subjects))]
        self.places = csv_path, parquet_path
        headings = tuple(Heading(one.name, one.kind, one.unit) for one in self._columns)
        facts = json.dumps(_facts(subjects, self._columns), ensure_ascii=False)
        self._head = TableHead(columns=headings, facts=facts, csv=_beside(csv_path), parquet=_beside(parquet_path))
        self._process: TableProcess | None = None
        self._is_written = False

    def begin(self, process: TableProcess) -> None:
        """Hand the rows to a process that writes them while this one does other things."""
        if process.write(self._head, self._parts()):
            self._process = process

    def write(self) -> None:
        """Write them, or wait until they are. Raises StoreError."""
        if self._is_written:
            return
        with _said(self.places[1]):
            if self._process is None or not self._process.wait():
                write_rows(self._head, self._parts())
        self._is_written = True

    def place(self) -> None:
        """Let them take their places. Raises StoreError."""
        self.write()
        for place in self.places:
            with _said(place):
                _beside(place).replace(place)
                fsync_folder(place.parent)

    def discard(self) -> None:
        """Remove what didn't take its place."""
        for place in self.places:
            with suppress(OSError):
                _beside(place).unlink(missing_ok=True)

    def _parts(self) -> Iterator[list[list[Any]]]:
        for start in range(0, len(self._records), _ROWS):
            yield values_of(self._columns, self._records[start : start + _ROWS])


@contextmanager
def trials_files(
    subjects: Sequence[Subject], csv_path: Path, parquet_path: Path, process: TableProcess | None = None
) -> Iterator[TrialsFiles]:
    """The files of `write_trials`, begun at once where a process helps; the block has them written and placed."""
    files = TrialsFiles(subjects, csv_path, parquet_path)
    try:
        if process is not None:
            files.begin(process)
        yield files
    finally:
        if process is not None:
            process.end()  # before its files are removed: it would write on
        files.discard()


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


def _facts(subjects: Sequence[Subject], columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "sweeps": sorted({one.folder.sweep for one in subjects}),
        "runs": [name for one in subjects for name in _names(one)],
        "vbench_version": sorted({str(one.contents.run.get("vbench_version") or "") for one in subjects}),
        "mark": sorted({one.mark.word for one in subjects if one.mark}),
        "objective": [f"{one.contents.objective.direction} {one.contents.objective.metric}" for one in subjects],
        "units": {one.name: one.unit for one in columns if one.unit},
    }


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error.strerror}; {storage_advice(error)}") from error
