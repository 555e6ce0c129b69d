"""The fault matrix: what is done to vbench, what is promised then, and the counts of what was seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

Part = Literal["engine", "result", "server", "vbench", "surroundings", "machine", "input", "security"]
PARTS: tuple[str, ...] = get_args(Part)


def fault(part: Part, name: str, promise: str) -> pytest.MarkDecorator:
    """A row of the matrix, which a test stands for, or several of the same name. `promise`: a sentence, as Markdown."""
    return pytest.mark.fault(part, name, promise)


@dataclass(slots=True)
class Counts:
    """What a test saw. The test itself is a fault that was tried, and one survived where it passes."""

    faults_tried: int = 1
    records_lost: int = 0
    records_doubled: int = 0
    processes_left: int = 0
    files_left: int = 0
    secrets_found: int = 0

    def tried(self, more: int) -> None:
        """So many faults besides the first, each of which the test would have failed for."""
        self.faults_tried += more

    def records(self, run: Path, expected: int | Iterable[int]) -> None:
        """Count, and fail for, trials of a run that have no readable record, or more than one. `expected`: the trials'
        numbers, or how many there are from 0 on."""
        wanted = set(range(expected) if isinstance(expected, int) else expected)
        found = list(_numbers(run / "trials.jsonl"))
        lost, doubled = wanted - set(found), len(found) - len(set(found))
        self.records_lost += len(lost)
        self.records_doubled += doubled
        assert not lost, f"no record of {sorted(lost)} in {run}"
        assert not doubled, f"records that are there twice in {run}: {sorted(found)}"

    def secrets(self, where: Path | str | bytes, planted: str) -> None:
        """Count, and fail for, places that hold the planted text: in a text, or in any file below a folder."""
        places = [str(path) for path in _holding(where, planted.encode())]
        self.secrets_found += len(places)
        assert not places, f"the secret stands in {', '.join(places)}"


def _numbers(path: Path) -> Iterator[int]:
    for line in path.read_bytes().splitlines():
        try:
            yield int(json.loads(line)["trial"])
        except (ValueError, KeyError, TypeError):
            continue


def _holding(where: Path | str | bytes, planted: bytes) -> Iterator[Path]:
    if not isinstance(where, Path):
        data = where.encode("utf-8", "replace") if isinstance(where, str) else where
        yield from [Path("text")] if planted in data else []
        return
    for path in [where, *where.rglob("*")]:
        if planted in str(path).encode("utf-8", "surrogateescape") or (path.is_file() and planted in path.read_bytes()):
            yield path


@dataclass(slots=True)
class Row:
    """One fault, over all its tests."""

    part: str
    name: str
    promise: str
    tests: int = 0
    skipped: int = 0
    survived: int = 0
    counts: Counts = field(default_factory=lambda: Counts(faults_tried=0))

    def add(self, counts: Counts, *, has_passed: bool) -> None:
        """What one more test saw."""
        self.tests += 1
        self.survived += counts.faults_tried if has_passed else 0
        for name, value in asdict(counts).items():
            setattr(self.counts, name, getattr(self.counts, name) + value)

    def as_json(self) -> dict[str, Any]:
        """For `every`."""
        own = asdict(self)
        return {**{key: value for key, value in own.items() if key != "counts"}, **own["counts"]}
