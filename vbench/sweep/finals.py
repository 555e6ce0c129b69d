"""Who is measured again before one is named the best, how often, and in which order.

All of it follows from the records: a run that was cut short goes on with the final that would have come next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from vbench.analysis import ranking
from vbench.analysis.remeasure import REPEATS
from vbench.analysis.statistics import interval_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective, SearchSpec, SweepSpec
from vbench.sweep.quality_guard import QualityGuard


class Finals:
    """`search.final_rounds` times each finalist, in turns there and back (A B C C B A): what changes evenly with time
    hits all alike."""

    def __init__(self, search: SearchSpec, objective: Objective, records: Sequence[TrialRecord]) -> None:
        self.rounds = search.final_rounds
        self.finalists = finalists(records, objective, search.num_finalists)
        self._given = Counter(_made(records))

    @property
    def num_planned(self) -> int:
        """Of all."""
        return len(self.finalists) * self.rounds

    @property
    def num_given(self) -> int:
        """Handed out or done already."""
        return sum(min(self.rounds, self._given[one.trial]) for one in self.finalists)

    def next(self) -> TrialRecord | None:
        """Whose turn it is: of those that were measured least the best, in every other round the last. None when all
        are done."""
        left = [one for one in self.finalists if self._given[one.trial] < self.rounds]
        if not left:
            return None
        done = min(self._given[one.trial] for one in left)
        waiting = [one for one in left if self._given[one.trial] == done]  # the first ranks best
        chosen = waiting[-1 if done % 2 else 0]
        self._given[chosen.trial] += 1
        return chosen

    def spoilt(self, record: TrialRecord) -> None:
        """The machine spoilt a final: the finalist is to be measured once more."""
        self._given[record.repeat_of] -= 1


def finalists(records: Sequence[TrialRecord], objective: Objective, most: int) -> list[TrialRecord]:
    """The best and those that its passes can't tell from it, best first; empty where it stands alone.

    With a single timed pass no spread is known: then the first few are. Of a run that went on after its finals, those
    stand with their finals already; what came since stands beside them as it was measured.
    """
    order = _candidates(records, objective)
    first = interval_of(order[0], objective.metric) if order else None
    if first is None:
        return []
    close = order[1:] if first.kind == "single" else ranking.contenders(order, objective)
    originals = {one.trial: one for one in records}
    chosen = [originals[one.trial] for one in [order[0], *close][:most]]
    return chosen if len(chosen) > 1 else []


def unchecked(guard: QualityGuard, spec: SweepSpec, records: Sequence[TrialRecord]) -> TrialRecord | None:
    """The best as it was first measured, where the sweep bounds the quality of its answers and they weren't checked.

    None otherwise, and once twice as many as may be finalists were measured again: then the report says so.
    """
    best = ranking.best(records, spec.objective)
    tried = Counter(_made(records))
    if best is None or not guard.misses(best) or tried[best.trial] >= spec.search.final_rounds:
        return None
    if len(tried) >= 2 * spec.search.num_finalists:
        return None
    return next(one for one in records if one.trial == best.trial)


def _made(records: Sequence[TrialRecord]) -> Iterator[int | None]:
    """Of which trials finals were made, once for each that the machine didn't spoil."""
    return (one.repeat_of for one in records if one.origin == "final" and one.outcome is not Outcome.INTERRUPTED)


def _candidates(records: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Who may be a finalist, best first: by the same records whenever it is asked, also between two finals, so that
    nobody's turn changes."""
    last = max((one.trial for one in records if one.origin not in REPEATS), default=-1)
    before = [one for one in records if one.trial < last or one.origin not in REPEATS]
    return ranking.candidates(before, objective)
