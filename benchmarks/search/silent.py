"""A listener that says nothing and keeps what benchmarks ask for."""

from __future__ import annotations

from typing import Any

from vbench.progress import RunInfo
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.space import Point


class Silent:
    """Hears a sweep (`vbench.progress.Listener`)."""

    def __init__(self) -> None:
        self.ready_s = 0.0
        """Until the keeper was up, its import of the engine included."""
        self.fork_blocker: str | None = None

    def run_started(self, info: RunInfo) -> None:
        """Nothing to keep."""

    def engine_starting(self) -> None:
        """Nothing to keep."""

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """How long it took."""
        self.fork_blocker, self.ready_s = fork_blocker, seconds

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """Nothing to keep."""

    def trial_event(self, message: dict[str, Any]) -> None:
        """Nothing to keep."""

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Nothing to keep."""

    def run_finished(self, run: RunFolder, summary: object, status: str) -> None:
        """Nothing to keep."""
