"""A trial's memory over time, read back from its `samples/NNNN.csv`, which `execution.memory` or `hardware.gpu_samples`
wrote. A file that is missing, cut off or odd in places gives what can be read of it."""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

MOST_LINES = 200_000
"""Read of a file: four hours of a GPU's samples. Beyond that the file is not one of ours, or its end says no more."""
_MOST_COLUMNS = 1024
_GPU_COLUMN = re.compile(r"gpu(\d{1,3})_used_bytes", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySamples:
    """Bytes by seconds since the trial's start, in order of time. None is a moment that couldn't be read."""

    t_s: tuple[float, ...]
    memory_bytes: tuple[float | None, ...]
    """Of the fullest GPU; of the process tree on a CPU."""
    gpus: dict[int, tuple[float | None, ...]]
    """Each GPU by NVML's index; empty on a CPU."""


def read_samples(path: Path) -> MemorySamples | None:
    """The samples at `path`, or gzipped at `path` with `.gz`; None where there are none that can be read."""
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        try:
            with _open(candidate) as file:
                found = _samples(file)
        except (OSError, ValueError):
            continue
        if found is not None:
            return found
    return None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _samples(file: TextIO) -> MemorySamples | None:
    lines = _lines(file)
    header = next(lines, [])
    if "t_s" not in header or "memory_bytes" not in header or len(header) > _MOST_COLUMNS:
        return None
    places = [header.index("t_s"), header.index("memory_bytes")]
    indexes = {int(found[1]): place for place, name in enumerate(header) if (found := _GPU_COLUMN.fullmatch(name))}
    rows: list[list[float | None]] = []
    for line in lines:
        if len(line) != len(header):  # the last one of a trial that was killed while it was written
            continue
        row = [_number(line[place]) for place in (*places, *indexes.values())]
        if row[0] is not None:
            rows.append(row)
    if not rows:
        return None
    rows.sort(key=lambda row: row[0] or 0.0)
    columns = list(zip(*rows, strict=True))
    return MemorySamples(
        t_s=tuple(value or 0.0 for value in columns[0]),
        memory_bytes=columns[1],
        gpus=dict(zip(indexes, columns[2:], strict=True)),
    )


def _lines(file: TextIO) -> Iterator[list[str]]:
    """The file's rows, up to where it is cut off, or isn't CSV any more."""
    reader = csv.reader(file)
    for _ in range(MOST_LINES):
        try:
            yield next(reader)
        except (StopIteration, csv.Error, EOFError, OSError, zlib.error):
            return


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
