"""A `trials.jsonl` read in parts, so that several processes can read one file: each part is whole lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vbench.records.decode import UnreadableLine, decode_line
from vbench.records.record import TrialRecord

PART_BYTES = 6 << 20


class Decoded(NamedTuple):
    """A line that isn't blank. `number` counts from 1, within what is read. `record`: what was made of it; where that
    is None `message` says why, and `trial` is -1, or that of a newer version's record."""

    number: int
    offset: int
    trial: int
    record: Any
    message: str = ""
    is_torn: bool = False


class PartRead(NamedTuple):
    """What a part holds."""

    lines: list[Decoded]
    num_lines: int


def decoded(path: Path, start: int = 0, end: int | None = None) -> Iterator[Decoded]:
    """The lines that begin from `start` on and before `end`, one by one. Raises OSError."""
    with path.open("rb") as file:
        file.seek(start)
        offset = start
        # Bytes, split at b"\\n" only: a text reader would also split at U+2028 or a carriage return.
        for number, line in enumerate(file, start=1):
            if end is not None and offset >= end:
                return
            at, offset = offset, offset + len(line)
            if not line.strip():
                yield Decoded(number, at, -1, None)
                continue
            try:
                record = decode_line(line)
            except UnreadableLine as error:
                yield Decoded(number, at, error.trial, None, str(error), not line.endswith(b"\n"))
            else:
                yield Decoded(number, at, record.trial, record)


def read_part(path: Path, start: int, end: int, make: Callable[[TrialRecord], Any]) -> PartRead:
    """All of a part, each record as what `make` makes of it. Raises OSError."""
    lines: list[Decoded] = []
    number = 0
    for one in decoded(path, start, end):
        number = one.number
        if one.record is not None:
            lines.append(one._replace(record=make(one.record)))
        elif one.message:
            lines.append(one)
    return PartRead(lines, number)


def parts_of(path: Path, size: int = PART_BYTES) -> list[tuple[int, int]]:
    """Where parts of about `size` bytes begin and end, each at a line's beginning. Raises OSError."""
    with path.open("rb") as file:
        whole = file.seek(0, 2)
        starts = [0]
        while starts[-1] + size < whole:
            file.seek(starts[-1] + size)
            file.readline()
            starts.append(file.tell())
    return [(start, end) for start, end in zip(starts, [*starts[1:], whole], strict=True) if start < end]
