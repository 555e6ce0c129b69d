"""The loop: next job, start, wait, append, tell. What comes next is decided elsewhere (`agenda`).

Order matters: a trial is written to `pending.json` before it starts, and to `trials.jsonl` before anything hears of it,
so a kill at any moment costs the running trials at most.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any

from vbench.errors import StoreError
from vbench.execution import leftovers
from vbench.hardware.gpu_trial import Reserved
from vbench.outcome import Outcome
from vbench.progress import Listener, RunInfo, RunSummary
from vbench.records import identity, runs
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.search.make import make_searcher, planned_trials
from vbench.spec.config import effective_config
from vbench.sweep import best_file
from vbench.sweep.agenda import Agenda
from vbench.sweep.budget import Budget, Limits
from vbench.sweep.check_phase import CheckPhase
from vbench.sweep.executors import make_executor
from vbench.sweep.history import History
from vbench.sweep.job_maker import JobMaker, make_early_stop
from vbench.sweep.jobs import Executor, Job, remove_pending, write_pending
from vbench.sweep.planning import estimate_of
from vbench.sweep.prepared import Prepared
from vbench.sweep.result import SweepResult
from vbench.sweep.search_phase import SearchPhase
from vbench.sweep.slot_places import places_of
from vbench.sweep.spoilt import Spoilt

_TOLD = ("baseline", "search", "run")
"""Origins that the search hears of: the random arm is no part of it, and repeats tell it nothing new."""
_TRIED = (*_TOLD, "random")


class Session:
    """One sitting of a run: from what earlier ones left to the end of the budget, or an interrupt.

    `records` are those of earlier sessions and aren't kept. `priors` are records of other runs, by run.
    """

    def __init__(
        self, prepared: Prepared, run: RunFolder, store: RecordStore, records: Sequence[TrialRecord],
        listener: Listener, notes: Sequence[str], *, is_planned: bool = True, limits: Limits | None = None,
        priors: Sequence[Sequence[TrialRecord]] = (),
    ) -> None:  # fmt: skip
        self.prepared, self.spec, self.run = prepared, prepared.spec, run
        self.store, self.listener, self.notes = store, listener, list(notes)
        self.run_facts, copied = identity.own_facts(run)
        self.notes += copied
        self.planner = prepared.planner() if is_planned else None
        self.searcher = make_searcher(self.spec)
        self.early_stop = make_early_stop(self.spec, prepared.prompt_set.num_prompts)
        self.history = History(self.spec.objective, records, planned_trials(self.spec))
        self.budget = Budget(self.spec, run, limits, records=records)
        self.maker = JobMaker(prepared, self.history, self.early_stop, records)
        search = SearchPhase(self.maker, run, self.searcher, self.budget)
        self.agenda = Agenda(self.maker, search, self.budget, self._read)
        self.places, said = places_of(self.spec, prepared.target)
        self.notes += said
        self._arm_check(records)
        self._spoilt = Spoilt(self.spec)
        self._held: Job | None = None
        """A job that waits until the machine is its own."""
        self._ending_notes: list[str] = []
        for prior in priors:
            self.searcher.tell_prior(prior)
        for record in records:
            point = self.maker.point_of(record)
            self._learn(record, point.settings if point is not None else None)
        self.is_complete = self.agenda.is_complete(records)

    def run_all(self) -> SweepResult:
        """Everything that is left of the run."""
        self._clean_up_after_earlier()
        self.listener.run_started(self._info())
        status = "interrupted"
        with self.budget:
            try:
                if self.is_complete:
                    status = "finished"
                else:
                    self._set_status("running")
                    status = self._trials()
            finally:
                self.budget.status = status
                self._set_status(status)
                self._write_best(status)
                self.listener.run_finished(self.run, self._summary(), status)
        return SweepResult(run=self.run, status=status, best=self.history.best)

    def _trials(self) -> str:
        with ExitStack() as stack:
            holding = self.prepared.target.holding(self._uid, self.spec.environment)
            reserved = stack.enter_context(holding) or Reserved()
            executor = stack.enter_context(
                make_executor(self.prepared, self.run, self._uid, reserved, self.places, self.listener.trial_event)
            )
            while True:
                job = self._due(executor)
                if job is not None:
                    self._make_ready(executor, job)
                    self._start(executor, job)
                elif not executor.running:
                    remove_pending(self.run)
                    return self.agenda.status
                else:
                    self._keep(*executor.wait())

    def _due(self, executor: Executor) -> Job | None:
        """The job that is to be started now; None when one that runs has to end first, or there is none."""
        if not executor.has_room:
            return None
        job, self._held = self._held, None
        if job is None or self.budget.may_start(job.gpus) is not None:  # while it waited a limit may have come
            job = self._next(executor.running)
        if job is None or executor.takes(job):
            return job
        self._held = job
        return None

    def _next(self, running: Sequence[Job]) -> Job | None:
        """The next job that the planner lets pass; those that it refuses are recorded on the way."""
        while (job := self.agenda.next(running)) is not None:
            if self.planner is None:
                return job
            plan = self.planner.plan(effective_config(self.spec, job.point.settings))
            if plan.verdict.is_tried or job.repeat_of is not None:  # what has run once isn't argued with
                return job.with_plan(plan)
            self._refuse(job.with_plan(plan))
        return None

    def _refuse(self, job: Job) -> None:
        """Record what the planner says can't run; the search hears of it, and it counts for no budget."""
        self.listener.trial_started(job.number, job.point, job.origin)
        self._keep(job, self.maker.refused(job))

    def _make_ready(self, executor: Executor, job: Job) -> None:
        """Start the engine's keeper, but not before there is something to try: importing an engine takes its time."""
        if self.maker.executor is None:
            self.maker.executor = executor
            self.listener.engine_starting()
            start = time.monotonic()
            fork_blocker = executor.prepare(job)
            self.listener.engine_ready(fork_blocker, time.monotonic() - start)

    def _start(self, executor: Executor, job: Job) -> None:
        self.store.make_room()
        write_pending(self.run, [*executor.running, job])
        self.budget.trial_started(job.number, job.gpus)
        self.listener.trial_started(job.number, job.point, job.origin)
        executor.start(job)

    def _keep(self, job: Job, record: TrialRecord) -> None:
        if job.repeat_of is not None:
            record = record.model_copy(update={"repeat_of": job.repeat_of})
        if job.plan is not None and record.estimate is None:
            record = record.model_copy(update={"estimate": estimate_of(job.plan)})
        record = self.agenda.noted(job, self.maker.guard.judged(record, is_checked=job.has_quality))
        self.store.append(record)
        self.budget.trial_ended(record)
        before = self.history.best
        self.history.add(record)
        self._learn(record, job.point.settings)
        self.agenda.ended(job, record)
        if self.history.best is not before:
            self._write_best("running")
        self.listener.trial_finished(record, self.history.best)
        self._spoilt.saw(record)

    def _arm_check(self, records: Sequence[TrialRecord]) -> None:
        """Trials are run side by side once it is known that they don't disturb each other."""
        if self.places:
            self.agenda.check = check = CheckPhase(self.maker, self.budget, len(self.places), records)
            self.notes += [] if check.finding is None else [check.finding.note]

    def _learn(self, record: TrialRecord, settings: Mapping[str, Any] | None) -> None:
        is_spoilt = record.outcome is Outcome.INTERRUPTED  # which says nothing of the configuration
        if settings is not None and record.origin in _TRIED:
            self.history.note_tried(settings, is_spoilt=is_spoilt)
        planner = self.planner if self.prepared.target.is_as_planned and not is_spoilt else None
        if settings is not None and planner is not None:
            planner.learn(record, settings)
        if record.origin in _TOLD and not is_spoilt:
            self.searcher.tell(record)
        if self.early_stop is not None:
            self.early_stop.learn(record)

    @property
    def _uid(self) -> str:
        return identity.uid_of(self.run_facts)

    def _read(self) -> Sequence[TrialRecord]:
        return self.store.read().records

    def _info(self) -> RunInfo:
        return RunInfo(
            spec=self.spec, run=self.run, standing=self.history.standing,
            num_earlier=self.history.standing.num_records, is_complete=self.is_complete, best=self.history.best,
            hardware=self.prepared.hardware, memory_bytes=self.prepared.target.memory_bytes,
            engine=f"{self.spec.engine} {self.prepared.interpreter.engine_version}",
            num_prompts=self.prepared.prompt_set.num_prompts,
            prompt_sha256=self.prepared.prompt_set.sha256,
            notes=tuple(self.notes),
        )  # fmt: skip

    def _summary(self) -> RunSummary:
        standing = self.history.standing
        return RunSummary(
            num_trials=standing.num_records,
            outcomes={str(name): standing.outcomes[name] for name in sorted(standing.outcomes)},
            best=self.history.best,
            notes=(*self.agenda.notes, *self.budget.problems, *self._ending_notes),
            standing=standing,
            read=self._read,
        )

    def _clean_up_after_earlier(self) -> None:
        """End what a killed session left running; we hold the run's lock, so nobody else's trial carries its mark."""
        ended = leftovers.kill_marked(self._uid)
        leftovers.remove_temp_folders(self._uid)
        if ended:
            self.notes.append(f"ended {len(ended)} process(es) that an earlier session left")

    def _write_best(self, status: str) -> None:
        standing = self.history.standing
        problem = best_file.write(
            self.run, self.spec, self.history.best, self.history.baseline, status=status, trials_done=standing.done,
            trials_planned=standing.planned, now=datetime.now(UTC),
        )  # fmt: skip
        if problem is not None and problem not in self._ending_notes:
            self._ending_notes.append(problem)

    def _set_status(self, status: str) -> None:
        with suppress(StoreError):  # the records are what counts; a full disk must not hide why we stopped
            facts = {**self.run_facts, "status": status, "num_trials_planned": self.history.standing.planned}
            facts["spent_s"] = round(self.budget.spent_s, 3)
            if (arm := self.agenda.arm) is not None:
                facts["random_arm"] = {"engine_s": round(arm.spent_s, 3), "borrowed": arm.borrowed}
            runs.write_json_atomic(self.run.run_json, facts)
