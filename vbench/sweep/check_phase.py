"""The trials of the interference check, between the first that completed alone and those side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vbench.records.record import TrialRecord
from vbench.sweep.budget import Budget
from vbench.sweep.interference import BESIDE, MORE_PASSES, Finding, Known, beside_of, is_measure, known
from vbench.sweep.job_maker import JobMaker
from vbench.sweep.jobs import Job

_WORTH_TRIALS = 2
"""Left of the search at least, or there is nothing to run side by side."""


class CheckPhase:
    """Hands out one trial for each of `places`, a round at a time, and sets `maker.is_beside` once all is well.

    `records` are those of earlier sessions; of them only what the rule needs is kept.
    """

    def __init__(self, maker: JobMaker, budget: Budget, places: int, records: Sequence[TrialRecord]) -> None:
        self.maker, self.budget, self.places = maker, budget, places
        repeated = {one.repeat_of for one in records if one.origin == "interference"}
        first = next((one for one in records if is_measure(one)), None)
        self._alone = first
        self._records = [one for one in records if one.origin == "interference" or one.trial in repeated]
        self._records += [first] if first is not None and first.trial not in repeated else []
        self._round: set[int] = set()
        """Numbers of the running round's trials, as long as they have no record."""
        self._num_given = 0
        self._is_dropped = False
        self._known = Known(None, 0, is_again=False)
        self._decide()

    @property
    def finding(self) -> Finding | None:
        """What was found; None as long as it is open."""
        return self._known.finding

    @property
    def is_decided(self) -> bool:
        """Whether there is a finding."""
        return self.finding is not None

    @property
    def is_due(self) -> bool:
        """Whether trials of the check are next, or run."""
        return self.finding is None and self._alone is not None and not self._is_dropped

    def next(self, running: Sequence[Job]) -> tuple[Job | None, bool]:
        """The next trial of the round, None while others run; and whether the check isn't worth it any more."""
        assert self._alone is not None
        point = self.maker.point_of(self._alone)
        if point is None or (self._num_given == 0 and not self._is_worth_it()):
            self._is_dropped = True
            return None, True
        if self._num_given == self.places or (self._num_given == 0 and running):
            return None, False
        number = self.maker.next_number(running)
        self._num_given += 1
        self._round.add(number)
        job = self.maker.job(number, point, "interference", repeat_of=self._alone.trial)
        passes = self.maker.spec.measure.passes
        return (replace(job, passes=MORE_PASSES * passes) if self._known.is_again else job), False

    def _is_worth_it(self) -> bool:
        standing = self.maker.history.standing
        is_worth = standing.planned - standing.done >= _WORTH_TRIALS
        return is_worth and self.budget.may_start(self.places) is None

    def ended(self, job: Job, record: TrialRecord) -> TrialRecord:
        """A trial of the run ended; returns its record with what is to be said of the check."""
        if job.origin != "interference":
            if self._alone is None and is_measure(record):
                self._alone = record
                self._records.append(record)
            return record
        beside = {**beside_of(record), "round": self._known.rounds}
        record = record.model_copy(update={"environment": {**record.environment, BESIDE: beside}})
        self._records.append(record)
        self._round.discard(job.number)
        if self._round or self._num_given < self.places:
            return record
        self._num_given = 0
        self._decide()
        if self.finding is not None and self.finding.decision != "undisturbed":
            return record.model_copy(update={"warnings": [*record.warnings, self.finding.note]})
        return record

    def _decide(self) -> None:
        self._known = known(self._records, self.maker.spec.objective, self.places)
        self.maker.is_beside = self.finding is not None and self.finding.decision == "undisturbed"
        self.maker.history.standing.at_once = self.places if self.maker.is_beside else 1
