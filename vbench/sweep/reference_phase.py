"""The reference: a configuration that is measured again after every so many trials, to see whether the machine drifts.

All of it follows from the records, so a run that is gone on with measures it at the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vbench.analysis.drift import change_of, warning_of
from vbench.records.record import TrialRecord
from vbench.sweep.budget import Budget
from vbench.sweep.job_maker import JobMaker
from vbench.sweep.jobs import Job

USUAL_EVERY = 15
"""Trials, where the sweep doesn't say: a fifteenth more time."""


class ReferencePhase:
    """Says when the reference is due, and hands it out."""

    def __init__(self, maker: JobMaker, budget: Budget) -> None:
        self.maker, self.budget = maker, budget
        self._references = maker.history.references
        self._is_dropped = False

    @property
    def every(self) -> int:
        """After so many trials of the search; 0: never."""
        spec = self.maker.spec
        if not spec.parameters:
            return 0
        if spec.measure.reference_every is not None:
            return spec.measure.reference_every
        is_long = spec.search.method == "auto" and self.maker.history.standing.planned > USUAL_EVERY
        return USUAL_EVERY if is_long else 0

    @property
    def is_due(self) -> bool:
        """Whether it comes before the search's next trial, of which there has to be one."""
        references, standing = self._references, self.maker.history.standing
        is_time = 0 < self.every <= references.num_since and standing.done < standing.planned
        return is_time and references.target is not None and not self._is_dropped

    def next(self, running: Sequence[Job]) -> Job | None:
        """Its job; None while others run, as it has the machine to itself, and where there is no time for it."""
        target = self._references.target
        if running or target is None:
            return None
        point = self.maker.point_of(target)
        if point is None:  # of a file that has changed since in what doesn't count
            self._is_dropped = True
            return None
        number = self.maker.next_number(running)
        job = self.maker.job(number, point, "reference", repeat_of=target.trial)
        return replace(job, is_alone=True) if self.budget.may_start(job.gpus) is None else None

    def noted(self, record: TrialRecord) -> TrialRecord:
        """Its record, with a warning where it shows that the machine has changed."""
        point, first = self._references.next_point(record), next(iter(self._references.points), None)
        change = change_of(first, point) if first is not None and point is not None else None
        if first is None or change is None or not change.is_clear:
            return record
        return record.model_copy(update={"warnings": [*record.warnings, warning_of(first, change)]})
