"""What follows a trial that the machine spoilt (`interrupted`): the sweep's end, or the next one, as the sweep says."""

from __future__ import annotations

from vbench.analysis.remeasure import REPEATS
from vbench.errors import MachineError
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import SweepSpec
from vbench.sweep.ledger import is_started

MOST_IN_ROW = 3
"""After so many with no new trial between them a sweep that goes on ends all the same: it measures nothing any more."""


class Spoilt:
    """Hears of each record once it is on the disk."""

    def __init__(self, spec: SweepSpec) -> None:
        self._most = MOST_IN_ROW if spec.search.machine_faults == "go_on" else 1
        self._in_row = 0

    def saw(self, record: TrialRecord) -> None:
        """Raises MachineError where the sweep is to end now."""
        if record.outcome is not Outcome.INTERRUPTED:
            if record.origin not in REPEATS and is_started(record):  # the run has come further
                self._in_row = 0
            return
        self._in_row += 1
        if self._in_row >= self._most:
            raise MachineError(said_of(record, self._most))


def said_of(record: TrialRecord, most: int = 1) -> str:
    """Why a sweep can't go on after that record, and what to do."""
    failure = record.failure
    what = "" if failure is None else f": {failure.evidence}\n{failure.advice}."
    hint = "`--machine-faults go_on` would have gone on with the next trial."
    if most > 1:
        hint = f"So were those before it, {most} in a row: mend that first."
    return (
        f"trial {record.trial} was spoilt by the machine, not by its settings{what}\n"
        f"No result is lost: the same command goes on, and its settings are tried again. {hint}"
    )
