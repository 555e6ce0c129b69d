"""Which trial is next: the search's until its end, then the random arm's, then the finals.

What was done is read from the records, so a run that was cut short, at whatever moment, goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vbench.analysis import ranking
from vbench.analysis.remeasure import REPEATS
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.sweep.budget import Budget
from vbench.sweep.check_phase import CheckPhase
from vbench.sweep.finals import Finals, unchecked
from vbench.sweep.history import key_of
from vbench.sweep.job_maker import JobMaker
from vbench.sweep.jobs import Job
from vbench.sweep.random_arm import Cost, RandomArm
from vbench.sweep.reference_phase import ReferencePhase
from vbench.sweep.repeating import Repeats
from vbench.sweep.search_phase import MOST_REFUSED, SearchPhase

_REASONS = {
    "out_of_time": "the time budget is spent",
    "gpu_hours": "the GPU-hours are spent",
    "session_end": "the session ends",
}


class Agenda:
    """Hands out jobs one after another. `read` reads the run's records from the disk: once for the random arm and once
    for the finals, for they need more of them than the loop remembers."""

    def __init__(
        self, maker: JobMaker, search: SearchPhase, budget: Budget, read: Callable[[], Sequence[TrialRecord]]
    ) -> None:
        self.maker, self.search, self.budget, self.read = maker, search, budget, read
        self.spec, self.history = maker.spec, maker.history
        self.arm: RandomArm | None = None
        self.finals: Finals | None = None
        self.check: CheckPhase | None = None
        """Set where trials are to run side by side."""
        self.notes: list[str] = []
        """What is to be said at the end."""
        self.reference = ReferencePhase(maker, budget)
        self._repeats = Repeats(
            is_on=self.spec.measure.repeat_spoiled,
            may_start=lambda gpus: budget.may_start(gpus) is None,
            say=self.notes.append,
        )
        self._stop: str | None = None
        self._is_arm_done = not (self.spec.search.random_arm and self.spec.parameters)
        standing = self.history.standing
        standing.has_random_arm = not self._is_arm_done
        standing.finals_expected = self._most_finals
        standing.reference_every = self.reference.every
        standing.limit_s = lambda: budget.left().wall_s()

    @property
    def status(self) -> str:
        """How the run ended (`progress` has the words), once `next` has nothing more and nothing runs."""
        return self._stop or self.search.end or "interrupted"

    def next(self, running: Sequence[Job]) -> Job | None:
        """The job that is to be started beside those that run; None when there is none, or none before one has ended.

        The planner hasn't been asked of it.
        """
        job = self._next(running)
        return None if job is None else replace(job, repeats=self._repeats)

    def _next(self, running: Sequence[Job]) -> Job | None:
        if self.search.end is None:
            if self.check is not None and self.check.is_due and not self.search.has_pending:
                job, is_over = self.check.next(running)
                if not is_over:
                    return job
            if self.reference.is_due and not self.search.has_pending:
                job = self.reference.next(running)
                if job is not None or running:
                    return job
            job = self.search.next(running)
            if job is not None:
                return job
            self.notes += [self.search.note] if self.search.note else []
        if self.search.end == "session_end" or self._stop is not None:
            return None
        if not self._is_arm_done:
            job = self._next_of_arm(running)
            if job is not None or self._stop is not None or not self._is_arm_done:
                return job
        return self._next_final(running)

    def noted(self, job: Job, record: TrialRecord) -> TrialRecord:
        """A job's record before it is written, with what the check of trials side by side says of it, or the
        reference of the machine."""
        if job.origin == "reference":
            return self.reference.noted(record)
        if self.check is None or self.check.is_decided:
            return record
        record = self.check.ended(job, record)
        if self.check.finding is not None:
            self.notes.append(self.check.finding.note)
        return record

    def ended(self, job: Job, record: TrialRecord) -> None:
        """A job's record is on the disk; refused ones too."""
        if job.origin == "random" and self.arm is not None:
            self.arm.ran(record.trial, record.duration_s)
            self.history.standing.random_s = self.arm.spent_s
        elif job.origin == "final":
            if record.outcome is Outcome.INTERRUPTED and self.finals is not None:
                self.finals.spoilt(record)
            else:
                self.history.standing.finals_done += 1
            if self.history.best is None:  # no finalist may be ranked any more: another trial is the best
                self.history.best = ranking.best(self.read(), self.spec.objective)

    def is_complete(self, records: Sequence[TrialRecord]) -> bool:
        """Whether nothing is left to do for a run that has these records."""
        standing = self.history.standing
        if standing.done < standing.planned:
            return False
        if not self._is_arm_done:
            arm = self._make_arm(records)
            if arm.next(standing.search_s) is not None:
                return False
            self.arm, standing.random_s = arm, arm.spent_s
        if not self._most_finals:
            return True
        finals = Finals(self.spec.search, self.spec.objective, records)
        return finals.num_given >= finals.num_planned and unchecked(self.maker.guard, self.spec, records) is None

    @property
    def _most_finals(self) -> int:
        return self.spec.search.num_finalists * self.spec.search.final_rounds if self.spec.parameters else 0

    def _next_of_arm(self, running: Sequence[Job]) -> Job | None:
        if running and self.arm is None:
            return None  # a phase begins when all of the one before it has ended
        standing = self.history.standing
        if self.arm is None:
            self.arm = self._make_arm(self.read())
            standing.phase = "random"
        point = None if self.history.num_refused_in_row >= MOST_REFUSED else self.arm.next(standing.search_s)
        standing.random_s = self.arm.spent_s
        if point is None:
            self._is_arm_done = not running
            return None
        job = self.maker.job(self.maker.next_number(running), point, "random")
        if not self._may_start(job):
            self.notes.append(
                f"the random arm was cut short, {self._why}: it had {standing.random_s:.1f} s of the search's "
                f"{standing.search_s:.1f} s"
            )
            self._note_missing_finals(0, self._most_finals)
            return None
        return job

    def _make_arm(self, records: Sequence[TrialRecord]) -> RandomArm:
        costs: dict[bytes, Cost] = {}
        for record in records:
            is_left_out = record.origin in REPEATS or record.outcome is Outcome.INTERRUPTED
            point = None if is_left_out else self.maker.point_of(record)
            if point is not None:
                costs[key_of(point.settings)] = Cost(record.trial, record.duration_s, record.origin == "random")
        return RandomArm(self.spec, costs, self.maker.keeps_constraints)

    def _next_final(self, running: Sequence[Job]) -> Job | None:
        if not self._most_finals or (running and self.finals is None):
            return None
        standing = self.history.standing
        if self.finals is None:
            self.finals = Finals(self.spec.search, self.spec.objective, self.read())
            self.history.set_finalists(self.finals.finalists)
            standing.finals_done, standing.finals_planned = self.finals.num_given, self.finals.num_planned
            standing.finals_expected = 0
        original = self.finals.next() or self._unchecked(running)
        point = None if original is None else self.maker.point_of(original)
        if original is None or point is None:
            return None
        standing.phase = "finals"
        job = self.maker.job(self.maker.next_number(running), point, "final", repeat_of=original.trial)
        if not self._may_start(job):
            self._note_missing_finals(standing.finals_done, standing.finals_planned)
            return None
        return job

    def _unchecked(self, running: Sequence[Job]) -> TrialRecord | None:
        """The best, where a bound on the answers wasn't looked at yet: it is one more finalist."""
        found = None if running else unchecked(self.maker.guard, self.spec, self.read())
        if found is not None:
            self.history.set_finalists([found])
            self.history.standing.finals_planned += 1
        return found

    def _may_start(self, job: Job) -> bool:
        self._stop = self.budget.may_start(job.gpus)
        return self._stop is None

    @property
    def _why(self) -> str:
        return f"as {_REASONS.get(self._stop or '', 'the run was ended')}"

    def _note_missing_finals(self, made: int, planned: int) -> None:
        if not self._most_finals:
            return
        what = f"only {made} of {planned} finals were made" if made else "no finals were made"
        self.notes.append(f"{what}, {self._why}: the lead of the best may be luck")
