"""The trials of a run on disk: `trials.jsonl`, one record a line, only ever appended to.

Decides how a record reaches the disk (one line, fsynced before `append` returns) and what happens to damage: a line
torn by a crash is moved aside, never joined to the next record; a line that can't be read is a problem with its line
number, and the others are still read. What a record means is decided elsewhere (`record`, `analysis`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from vbench.errors import Problem, StoreError
from vbench.records.decode import UnreadableLine, decode_line
from vbench.records.disk import CHUNK_BYTES, FULL, Reserve, advice_on, read_range, start_of_last_line, write_all
from vbench.records.disk import fsync_folder as fsync_folder  # noqa: PLC0414 -- re-exported
from vbench.records.disk import storage_advice as storage_advice  # noqa: PLC0414 -- re-exported
from vbench.records.parts import Decoded, decoded
from vbench.records.record import TrialRecord
from vbench.records.redacted_record import clean_record

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What a `trials.jsonl` holds: the records, in the file's order, and what couldn't be read."""

    path: Path
    records: tuple[TrialRecord, ...]
    problems: tuple[Problem, ...] = ()
    beyond: frozenset[int] = frozenset()
    """Trials with a record of a newer version, which can't be read."""

    def messages(self) -> list[str]:
        """Each problem as `file:line: what is wrong (what to do)`."""
        return [problem.render(str(self.path)) for problem in self.problems]


class Line(NamedTuple):
    """A record (or what was made of it in `parts`), and where in the file its line begins."""

    record: Any
    offset: int


class RecordStore:
    """The records of one run. Reading needs nothing; for many appends use it as a context manager:

    `with RecordStore(path) as store: store.append(record)`. One writer at a time (`RunFolder.lock`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repairs: list[str] = []
        """What opening for append had to repair, as sentences; empty when the file was whole."""
        self.beyond: set[int] = set()
        """Trials whose record a newer version wrote, as far as was read."""
        self._fd: int | None = None
        self._reserve = Reserve(path)

    @property
    def torn_path(self) -> Path:
        """Where torn fragments are kept."""
        return self.path.with_name(self.path.name + ".torn")

    def __enter__(self) -> Self:
        """Open for append, creating the file, and repair a torn tail. Raises StoreError."""
        if self._fd is not None:
            raise ValueError(f"{self.path} is already open for append")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Not O_APPEND alone: the descriptor must also be able to read the tail and to truncate.
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{self.path} can't be opened for writing: {advice_on(error)}") from error
        try:
            self._repair_tail(fd)
            fsync_folder(self.path.parent)
        except OSError as error:
            os.close(fd)
            raise StoreError(f"{self.path} has a torn last line that can't be repaired: {advice_on(error)}") from error
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._reserve.release()

    def make_room(self) -> None:
        """See that the next record has its room, whatever fills the disk until then. Raises StoreError where it has
        none: what would be measured now would be lost."""
        try:
            self._reserve.hold(0 if self._fd is None else os.lseek(self._fd, 0, os.SEEK_END))
        except OSError as error:
            mib = self._reserve.num_bytes / 1024**2
            raise StoreError(
                f"{self.path} has no room for the next trial's record ({mib:.0f} MiB): {advice_on(error)}"
            ) from error

    def append(self, record: TrialRecord) -> None:
        """Write one record and wait until the disk has it.

        Raises ValueError for NaN or infinities (JSON has none; `None` is what couldn't be measured), and StoreError
        when the disk refuses: then nothing of the record stays in the file.
        """
        if self._fd is None:
            with self:
                self.append(record)
            return
        line = encode_line(record)
        self._reserve.num_bytes = max(self._reserve.num_bytes, 2 * len(line))
        try:
            try:
                self._write(self._fd, line)
            except OSError as error:
                if error.errno not in FULL or not self._reserve.release():
                    raise
                self._write(self._fd, line)
        except OSError as error:
            raise StoreError(f"trial {record.trial} can't be written to {self.path}: {advice_on(error)}") from error

    def _write(self, fd: int, line: bytes) -> None:
        """The whole line, or nothing of it."""
        start = os.lseek(fd, 0, os.SEEK_END)
        is_whole = False
        try:
            write_all(fd, line)
            os.fsync(fd)
            is_whole = True
        finally:
            if not is_whole:  # an interrupt in the middle counts too: half a line must not wait for the next record
                self._truncate(fd, start)

    def read(self) -> ReadResult:
        """Every record that can be read, and a problem for every line that can't. A missing file has no records."""
        problems: list[Problem] = []
        records = tuple(read.record for read in self.each(problems))
        return ReadResult(path=self.path, records=records, problems=tuple(problems), beyond=frozenset(self.beyond))

    def each(self, problems: list[Problem], lines: Iterable[Decoded] | None = None) -> Iterator[Line]:
        """The same one by one, so that not all of them need to be held; `problems` grows on the way. `lines`: all of
        the file's, where they are read elsewhere. Raises StoreError."""
        lines_by_trial: dict[int, int] = {}
        try:
            for one in decoded(self.path) if lines is None else lines:
                if one.record is None:
                    if one.trial >= 0:
                        self.beyond.add(one.trial)
                    if one.message:
                        problems.append(_line_problem(one.number, one.message, is_torn=one.is_torn))
                    continue
                first = lines_by_trial.setdefault(one.trial, one.number)
                if first == one.number:
                    yield Line(record=one.record, offset=one.offset)
                else:
                    message = f"trial {one.trial} is already on line {first}; this one is left out"
                    problems.append(Problem(message=message, line=one.number))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{self.path} can't be read: {error.strerror or error}") from error

    def num_lines(self, at_most: int) -> int:
        """How many lines there are; counting ends at `at_most`. 0 where the file can't be read."""
        count = 0
        try:
            with self.path.open("rb") as file:
                while count < at_most and (chunk := file.read(CHUNK_BYTES)):
                    count += chunk.count(b"\n")
        except OSError:
            return 0
        return min(count, at_most)

    def at(self, offsets: Iterable[int]) -> list[TrialRecord]:
        """The records of the lines that begin there (`Line.offset`). Raises StoreError."""
        try:
            with self.path.open("rb") as file:
                return [
                    decode_line(line) for offset in offsets if file.seek(offset) == offset and (line := file.readline())
                ]
        except (OSError, UnreadableLine) as error:
            raise StoreError(f"{self.path} changed while it was read: {error}") from error

    def _repair_tail(self, fd: int) -> None:
        """Move a last line without a newline to the `.torn` file, or finish it if only the newline is missing."""
        size = os.lseek(fd, 0, os.SEEK_END)
        start = start_of_last_line(fd, size)
        if start == size:
            return
        fragment = read_range(fd, start, size)
        if _is_json_object(fragment):
            # No strict prefix of a JSON object is one, so this line is complete: dropping it would lose a trial.
            write_all(fd, b"\n")
            message = f"{self.path}: the newline after the last line was missing and was added"
        else:
            # Aside first, then truncate: a crash in between leaves the fragment twice, never nowhere.
            torn = os.open(self.torn_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                write_all(torn, fragment + b"\n")
                os.fsync(torn)
            finally:
                os.close(torn)
            os.ftruncate(fd, start)
            message = f"{self.path} ended in a torn line; its {len(fragment)} bytes were moved to {self.torn_path}"
        os.fsync(fd)
        self.repairs.append(message)
        _log.warning("%s", message)

    def _truncate(self, fd: int, size: int) -> None:
        try:
            os.ftruncate(fd, size)
            os.fsync(fd)
        except OSError as error:  # the next open repairs the tail; the caller's own error says more than this one
            _log.warning("%s may end in a torn line: %s", self.path, error)


def encode_line(record: TrialRecord) -> bytes:
    """The record's line in UTF-8 with its newline. Raises ValueError for what JSON can't hold."""
    return (
        clean_record(record).to_json_line().encode("utf-8", "replace") + b"\n"
    )  # a lone surrogate (of a path) becomes "?"


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _line_problem(number: int, message: str, *, is_torn: bool) -> Problem:
    if is_torn:
        hint = "the line has no end: a crash tore it, or a run is writing it right now; appending moves it aside"
    elif "newer vbench" in message:
        hint = "upgrade vbench to read it"
    else:
        hint = "this trial is left out; the other lines are read"
    return Problem(message=message, line=number, hint=hint)
