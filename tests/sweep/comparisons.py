"""Comparisons within the test's own process, with the fake engine, whose arithmetic is exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.cli.process import SMALL
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.sweep.comparing import Side
from vbench.sweep.comparing_match import Match, match
from vbench.sweep.comparing_run import run_comparison
from vbench.sweep.comparing_session import ComparisonResult, Progress, Until
from vbench.sweep.comparing_sides import contender_of_file

TWO = Until(most=2)


class Heard:
    """A watcher that keeps what it hears; `on_event` is called with each message of a running trial."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.on_event = on_event
        self.num_earlier, self.notes, self.is_started = -1, "", False
        self.turns: list[tuple[int, Side, int]] = []
        self.progress: list[Progress] = []

    def begins(self, match: Match, run: RunFolder, until: Until, num_pairs: int, notes: Sequence[str]) -> None:
        self.num_earlier, self.notes = num_pairs, "\n".join(notes)

    def engine_starting(self) -> None:
        self.is_started = True

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None: ...

    def trial_begins(self, number: int, progress: Progress) -> None:
        self.turns.append((number, progress.side, progress.pair))

    def trial_event(self, message: dict[str, Any]) -> None:
        self.on_event(message)

    def trial_ended(self, record: TrialRecord, progress: Progress) -> None:
        self.progress.append(progress)


class Comparisons:
    """Compares under one results folder; `file` is the sweep file of both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "small.yaml"
        self.write(SMALL)
        self.heard = Heard()

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    def of_file(self, a: str, b: str, *more: str) -> Match:
        return match(*(contender_of_file(self.file, more, own.split()) for own in (a, b)))

    def __call__(
        self, found: Match, until: Until = TWO, *, heard: Heard | None = None, new: bool = False
    ) -> ComparisonResult:
        self.heard = heard or Heard()
        return run_comparison(found, self.folder / "results", self.heard, until, force_new=new)


def sides(result: ComparisonResult) -> list[tuple[int, Any, Any]]:
    extras = [(one.trial, one.model_extra or {}) for one in result.records]
    return [(trial, extra["side"], extra["pair"]) for trial, extra in extras]
