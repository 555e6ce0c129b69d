"""What a sweep says while it runs. The command line listens; the loop knows nothing of terminals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.space import Point
from vbench.spec.types import SweepSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known when a run begins or goes on."""

    spec: SweepSpec
    run: RunFolder
    planned_trials: int
    """Never less than there are records: a run isn't cut down by asking for fewer."""
    records: Sequence[TrialRecord]
    """What earlier sessions of this run left."""
    best: TrialRecord | None
    """The best of them."""
    engine: str
    """`vllm 0.32.0`, for people."""
    hardware: str
    """The profile that trials run under."""
    num_prompts: int
    prompt_sha256: str
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def is_complete(self) -> bool:
        """Whether earlier sessions left nothing to do."""
        return len(self.records) >= self.planned_trials


class Listener(Protocol):
    """Hears a sweep. Every method returns at once; an exception in one ends the sweep."""

    def run_started(self, info: RunInfo) -> None:
        """Before anything is started."""

    def engine_starting(self) -> None:
        """The keeper is being started: something is left to try."""

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """The keeper is up; `fork_blocker` says why trials start cold, if they do."""

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """A trial begins."""

    def trial_event(self, message: dict[str, Any]) -> None:
        """A message of the running trial: a phase, a pass, the engine's facts."""

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Its record is on disk; `best` is the best of the run so far."""

    def run_finished(self, run: RunFolder, records: Sequence[TrialRecord], status: str) -> None:
        """`finished`, `out_of_time`, `exhausted` or `interrupted`."""
