"""Whether a trial that something disturbed is run once more, and which of its two attempts becomes its record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vbench.analysis.disturbance import Disturbance, spoils, spoils_stopped
from vbench.outcome import Outcome
from vbench.records.record import Spoiled, TrialRecord

MOST_IN_ROW = 3
"""Repeats in a row that were disturbed as well, after which no more are made until a trial goes undisturbed: a machine
that is never quiet would take twice the time for every trial and tell nothing better."""


class Repeats:
    """Of one session; trials side by side share it. `may_start` says whether there is time for another attempt on so
    many GPUs, `say` takes what a reader should know at the end."""

    def __init__(self, *, is_on: bool, may_start: Callable[[int], bool], say: Callable[[str], None]) -> None:
        self._is_on, self._may_start, self._say = is_on, may_start, say
        self._in_row = 0
        self._has_said = False

    def why(self, record: TrialRecord, gpus: int) -> list[Disturbance]:
        """What disturbed a trial that is to be run again; empty where it isn't to be.

        Only one that completed or was stopped early: a failure has its own attempts. Those side by side on purpose
        aren't disturbed by it.
        """
        is_asked = self._is_on and record.origin != "interference"
        if not is_asked:
            return []
        found = disturbing(record)
        if not found and record.outcome is Outcome.COMPLETED:
            self._in_row = 0  # it has become quiet
        return found if found and self._in_row < MOST_IN_ROW and self._may_start(gpus) else []

    def ended(self, second: TrialRecord) -> None:
        """A second attempt has ended."""
        found = disturbing(second)
        self._in_row = self._in_row + 1 if found else 0
        if self._in_row == MOST_IN_ROW and not self._has_said:
            self._has_said = True
            self._say(
                f"this machine is hardly ever quiet: {MOST_IN_ROW} trials in a row were disturbed in both attempts "
                f"(last {causes(found)}), so none was repeated until one went undisturbed; their warnings say by what"
            )


def causes(found: Sequence[Disturbance]) -> str:
    """`other processes took 1.9 of 2 cores and the hypervisor gave 3.1% …`, to go on a sentence."""
    return " and ".join(one.cause for one in found)


def disturbing(record: TrialRecord) -> list[Disturbance]:
    """What likely hurt a trial's numbers, or had it stopped early; empty of one that failed."""
    if record.outcome is Outcome.PRUNED:
        return spoils_stopped(record)
    return spoils(record) if record.outcome is Outcome.COMPLETED else []


def doubted(record: TrialRecord) -> TrialRecord:
    """A trial that isn't run again, with a warning where it may have been stopped for what disturbed it."""
    found = disturbing(record) if record.outcome is Outcome.PRUNED else []
    if not found:
        return record
    note = f"stopped early while {causes(found)}: on a quiet machine it might not have been; measure it again there"
    return record.model_copy(update={"warnings": [*record.warnings, note]})


def is_first_better(first: TrialRecord, second: TrialRecord) -> bool:
    """Whether the first attempt's numbers are to stand: the second failed, or was disturbed more. One that went over
    its memory budget stands, however fast the first was; so does any end of one that was stopped at first."""
    if second.outcome is Outcome.OVER_BUDGET:
        return False
    if first.outcome is Outcome.PRUNED:
        return second.outcome not in (Outcome.COMPLETED, Outcome.PRUNED)
    if second.outcome is not Outcome.COMPLETED:
        return True
    return _amount(second) > _amount(first)


def joined(first: TrialRecord, second: TrialRecord) -> TrialRecord:
    """The record of a trial from its two attempts, with what both took.

    It is the better one's; the other's passes are in `spoiled`, unless there are none as the second attempt failed.
    """
    is_first = is_first_better(first, second)
    chosen, other = (first, second) if is_first else (second, first)
    before, after = causes(disturbing(first)), causes(disturbing(second))
    warnings = list(chosen.warnings)
    if is_first and second.outcome is not Outcome.COMPLETED:
        ending = second.outcome.replace("_", " ")
        warnings.append(f"measured again, as {before}; the second attempt ended as {ending}, so the first one stands")
    elif first.outcome is Outcome.PRUNED and after:
        warnings.append(
            f"disturbed in both attempts ({before}; then {after}): the second one stands; measure it again when the "
            "machine is quiet"
        )
    elif after:
        which = "first" if is_first else "second"
        warnings.append(
            f"disturbed in both attempts ({before}; then {after}): the {which} one, disturbed less, stands; "
            "measure it again when the machine is quiet"
        )
    why = [one.text for one in disturbing(other)]
    spoiled = Spoiled(
        why=why, measurements=other.measurements, passes=other.passes, duration_s=other.duration_s
    )  # fmt: skip
    return chosen.model_copy(
        update={
            "warnings": warnings,
            "spoiled": spoiled if why else None,
            "duration_s": (first.duration_s or 0.0) + (second.duration_s or 0.0),
        }
    )


def _amount(record: TrialRecord) -> float:
    return sum(one.amount for one in disturbing(record))
