"""The trials of a run on disk: `trials.jsonl`, one record a line, only ever appended to.

Decides how a record reaches the disk (one line, fsynced before `append` returns) and what happens to damage: a line
torn by a crash is moved aside, never joined to the next record; a line that can't be read is a problem with its line
number, and the others are still read. What a record means is decided elsewhere (`record`, `analysis`).
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from pydantic import ValidationError

from vbench.errors import Problem, StoreError
from vbench.records.record import SCHEMA_VERSION, TrialRecord

_log = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 16
_ADVICE = {
    errno.ENOSPC: "free some space and run the same command again: it goes on where it stopped",
    errno.EDQUOT: "your quota is used up: free some space and run the same command again",
    errno.EFBIG: "the file-size limit (ulimit -f) is reached: raise it and run the same command again",
    errno.ENOTDIR: "a part of the path is a file: choose another results folder",
    errno.EROFS: "the folder is read-only: choose another results folder",
    errno.EACCES: "check who owns the folder and its permissions",
    errno.EPERM: "check who owns the folder and its permissions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What a `trials.jsonl` holds: the records, in the file's order, and what couldn't be read."""

    path: Path
    records: tuple[TrialRecord, ...]
    problems: tuple[Problem, ...] = ()

    def messages(self) -> list[str]:
        """Each problem as `file:line: what is wrong (what to do)`."""
        return [problem.render(str(self.path)) for problem in self.problems]


class RecordStore:
    """The records of one run. Reading needs nothing; for many appends use it as a context manager:

    `with RecordStore(path) as store: store.append(record)`. One writer at a time (`RunFolder.lock`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repairs: list[str] = []
        """What opening for append had to repair, as sentences; empty when the file was whole."""
        self._fd: int | None = None

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
            raise StoreError(f"{self.path} can't be opened for writing: {_advice(error)}") from error
        try:
            self._repair_tail(fd)
            fsync_folder(self.path.parent)
        except OSError as error:
            os.close(fd)
            raise StoreError(f"{self.path} has a torn last line that can't be repaired: {_advice(error)}") from error
        self._fd = fd
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

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
        start = os.lseek(self._fd, 0, os.SEEK_END)
        is_whole = False
        try:
            _write_all(self._fd, line)
            os.fsync(self._fd)
            is_whole = True
        except OSError as error:
            raise StoreError(f"trial {record.trial} can't be written to {self.path}: {_advice(error)}") from error
        finally:
            if not is_whole:  # an interrupt in the middle counts too: half a line must not wait for the next record
                self._truncate(self._fd, start)

    def read(self) -> ReadResult:
        """Every record that can be read, and a problem for every line that can't. A missing file has no records."""
        records: list[TrialRecord] = []
        problems: list[Problem] = []
        lines_by_trial: dict[int, int] = {}
        try:
            with self.path.open("rb") as file:
                # Bytes, split at b"\n" only: a text reader would also split at U+2028 or a carriage return.
                for number, line in enumerate(file, start=1):
                    if not line.strip():
                        continue
                    try:
                        record = decode_line(line)
                    except _UnreadableLine as error:
                        problems.append(_line_problem(number, str(error), is_torn=not line.endswith(b"\n")))
                        continue
                    first = lines_by_trial.setdefault(record.trial, number)
                    if first == number:
                        records.append(record)
                    else:
                        message = f"trial {record.trial} is already on line {first}; this one is left out"
                        problems.append(Problem(message=message, line=number))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{self.path} can't be read: {error.strerror or error}") from error
        return ReadResult(path=self.path, records=tuple(records), problems=tuple(problems))

    def _repair_tail(self, fd: int) -> None:
        """Move a last line without a newline to the `.torn` file, or finish it if only the newline is missing."""
        size = os.lseek(fd, 0, os.SEEK_END)
        start = _start_of_last_line(fd, size)
        if start == size:
            return
        fragment = _read_range(fd, start, size)
        if _is_json_object(fragment):
            # No strict prefix of a JSON object is one, so this line is complete: dropping it would lose a trial.
            _write_all(fd, b"\n")
            message = f"{self.path}: the newline after the last line was missing and was added"
        else:
            # Aside first, then truncate: a crash in between leaves the fragment twice, never nowhere.
            torn = os.open(self.torn_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                _write_all(torn, fragment + b"\n")
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
    return record.to_json_line().encode("utf-8", "replace") + b"\n"  # a lone surrogate (of a path) becomes "?"


class _UnreadableLine(Exception):
    """Why a line isn't a record that this version can read."""


def decode_line(line: bytes) -> TrialRecord:
    """The record of one line. Raises _UnreadableLine with the reason, as part of a sentence."""
    try:
        data = json.loads(line, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise _UnreadableLine(f"not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise _UnreadableLine("not a record: a JSON object is expected")
    version = data.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise _UnreadableLine(f"written by a newer vbench (schema {version}, this one reads up to {SCHEMA_VERSION})")
    try:
        return TrialRecord.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _UnreadableLine(f"not a record: {where}: {first['msg']}") from error


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


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond what a number can hold")
    return value


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _read_range(fd: int, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    while start < end and (part := os.pread(fd, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _start_of_last_line(fd: int, size: int) -> int:
    """Offset just after the last newline; `size` when the file is empty or ends in a newline."""
    end = size
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        newline = _read_range(fd, start, end).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def fsync_folder(folder: Path) -> None:
    """Make a new or renamed entry of `folder` survive a power cut. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _advice(error: OSError) -> str:
    return f"{error.strerror or error}; {storage_advice(error)}"


def storage_advice(error: OSError) -> str:
    """What to do about an error of the file system, as half a sentence."""
    return _ADVICE.get(error.errno or 0, "check the disk and run the same command again")
