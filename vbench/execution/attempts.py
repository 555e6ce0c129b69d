"""Trials that are tried again: what stays the same, and what a second attempt is worth; errors of the system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vbench.errors import MachineError, StoreError, VbenchError
from vbench.execution.runner import OnEvent
from vbench.execution.shortages import advice_on_shortage
from vbench.execution.stopping import Stopper
from vbench.outcome import Outcome
from vbench.records.disk import advice_on
from vbench.records.record import TrialRecord

RETRIED = (Outcome.CRASHED, Outcome.TIMED_OUT)
RETRIED_FRESH = (*RETRIED, Outcome.OUT_OF_MEMORY)
"""Of a reused engine: memory may be full of what earlier trials left."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What stays the same when a trial is tried again."""

    on_event: OnEvent
    stopper: Stopper | None
    keep: bool
    probe: bool
    quality: bool
    key: str


def after(first: TrialRecord, second: TrialRecord) -> TrialRecord:
    """The second attempt's record. What the first took was spent too; everything else is the second's."""
    return second.model_copy(update={"duration_s": (first.duration_s or 0.0) + (second.duration_s or 0.0)})


def reason(record: TrialRecord) -> str:
    """Why it failed, in a word."""
    return record.failure.failure_class if record.failure else "no reason given"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of the system as vbench's own, which say what to do; `what` couldn't be done. No trial is blamed."""
    try:
        yield
    except VbenchError:
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        advice = advice_on_shortage(error.errno)
        if advice is not None:
            again = "and run the same command again: it goes on where it stopped"
            raise MachineError(f"{what}{where}: {error.strerror}; {advice}, {again}") from error
        raise StoreError(f"{what}{where}: {advice_on(error)}") from error
