"""What a sweep leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """What a sweep left. `best` is None when no trial completed within its constraints."""

    run: RunFolder
    status: str
    best: TrialRecord | None

    @cached_property
    def records(self) -> Sequence[TrialRecord]:
        """Of the whole run, read from the disk."""
        return RecordStore(self.run.trials_jsonl).read().records
