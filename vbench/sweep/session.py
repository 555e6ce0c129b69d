"""The loop: ask, run, append, tell. What is left of a run that was cut short is repeated first; nothing else is.

Order matters: a trial is written to `pending.json` before it starts, and to `trials.jsonl` before the search hears of
it, so a kill at any moment costs one trial at most.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from vbench.analysis import ranking
from vbench.errors import StoreError
from vbench.execution import leftovers
from vbench.execution.trial_record import Judging
from vbench.execution.trials import TrialRunner
from vbench.hardware.gpu_trial import Reserved
from vbench.planner.verdict import Plan
from vbench.progress import Listener, RunInfo
from vbench.records import runs
from vbench.records.record import Origin, TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.search.base import Asking, keeps_parameter_constraints, settings_key
from vbench.search.make import make_searcher, planned_trials
from vbench.spec.config import baseline_point, effective_config
from vbench.spec.space import Point, point_of
from vbench.sweep.planning import estimate_of, refused_record
from vbench.sweep.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep left. `best` is None when no trial completed within its constraints."""

    run: RunFolder
    records: Sequence[TrialRecord]
    status: str
    best: TrialRecord | None


class Session:
    """One sitting of a run: from what earlier ones left to the end of the budget, or an interrupt."""

    def __init__(
        self, prepared: Prepared, run: RunFolder, store: RecordStore, records: list[TrialRecord], listener: Listener,
        notes: Sequence[str], *, is_planned: bool = True,
    ) -> None:  # fmt: skip
        self.prepared, self.spec, self.run = prepared, prepared.spec, run
        self.store, self.records, self.listener, self.notes = store, records, listener, notes
        self.run_facts = runs.read_json(run.run_json)
        self.planned = max(planned_trials(self.spec), len(records))
        self.baseline = baseline_point(self.spec)
        self.searcher = make_searcher(self.spec)
        self.tried: set[str] = set()
        self.planner = prepared.planner() if is_planned else None
        self.best = ranking.best(records, self.spec.objective)
        self.started_t = time.monotonic()
        # What earlier sittings took, start-up included; one that was killed said nothing, but its records do.
        spent_s = self.run_facts.get("spent_s")
        trials_s = sum(record.duration_s or 0.0 for record in records)
        self.spent_before_s = max(trials_s, spent_s) if isinstance(spent_s, (int, float)) else trials_s

    def run_all(self) -> SweepResult:
        """Everything that is left of the run."""
        self._clean_up_after_earlier()
        for record in self.records:
            self._learn(record, self._settings_of(record))
        self.listener.run_started(self._info())
        status = "interrupted"
        try:
            if len(self.records) < self.planned:
                self._set_status("running")
                status = self._trials()
            else:
                status = "finished"
        finally:
            self._set_status(status)
            self.listener.run_finished(self.run, self.records, status)
        return SweepResult(run=self.run, records=self.records, status=status, best=self.best)

    def _trials(self) -> str:
        pending = self._read_pending()
        uid = str(self.run_facts["run_uid"])
        prepared = self.prepared
        target = prepared.target
        with target.holding(uid, self.spec.environment) as reserved, TrialRunner(
            self.spec, self.run, prepared.prompt_set, prepared.interpreter, uid,
            Judging(
                hardware=prepared.hardware, limit_bytes=target.limit_bytes, is_cpu=target.is_cpu,
                reserved=reserved or Reserved(),
                passed=lambda config: target.passed(config, prepared.engine_version(config.get("python"))),
            ),
            others=prepared.others,
        ) as runner:  # fmt: skip
            is_ready = False
            while len(self.records) < self.planned:
                if self._is_out_of_time():
                    return "out_of_time"
                number = max((record.trial for record in self.records), default=-1) + 1
                point, origin = self._next(number, pending)
                pending = None
                if point is None:
                    return "exhausted"
                plan = self._plan(point)
                if plan is not None and not plan.verdict.is_tried:
                    self._refuse(number, point, origin, plan)
                    continue
                if not is_ready:  # not before there is something to try: importing an engine takes its time
                    self._make_ready(runner, point)
                    is_ready = True
                self._one(runner, number, point, origin, plan)
        return "finished"

    def _make_ready(self, runner: TrialRunner, point: Point) -> None:
        self.listener.engine_starting()
        start = time.monotonic()
        runner.prepare(point.settings)
        self.listener.engine_ready(runner.fork_blocker, time.monotonic() - start)

    def _next(self, number: int, pending: Point | None) -> tuple[Point | None, Origin]:
        if number == 0 and self.baseline is not None:
            return self.baseline, "baseline"
        if pending is not None and self._is_allowed(pending):
            return pending, "search"
        origin: Origin = "search" if self.spec.parameters else "run"
        return self.searcher.ask(Asking(number=number, is_allowed=self._is_allowed)), origin

    def _plan(self, point: Point) -> Plan | None:
        return None if self.planner is None else self.planner.plan(effective_config(self.spec, point.settings))

    def _refuse(self, number: int, point: Point, origin: Origin, plan: Plan) -> None:
        """Record what the planner says can't run; it counts as a trial, and the search hears of it."""
        self.listener.trial_started(number, point, origin)
        config = effective_config(self.spec, point.settings)
        python = config.get("python")
        version = self.prepared.engine_version(python)
        record = refused_record(
            plan, self.spec, number=number, point=point, origin=origin, engine=self.prepared.engine_facts(python),
            prompt_set=self.prepared.prompt_facts, notes=self.prepared.target.passed(config, version).notes,
            hardware={"profile": self.prepared.hardware, "memory_source": None},
        )  # fmt: skip
        self._keep(record, point)

    def _one(self, runner: TrialRunner, number: int, point: Point, origin: Origin, plan: Plan | None) -> None:
        runs.write_json_atomic(self.run.pending_json, {"trial": number, "parameters": dict(point.parameters)})
        self.listener.trial_started(number, point, origin)
        record = runner.run(number, point, origin, self.listener.trial_event)
        if plan is not None:
            record = record.model_copy(update={"estimate": estimate_of(plan)})
        self._keep(record, point)

    def _keep(self, record: TrialRecord, point: Point) -> None:
        self.store.append(record)
        self.run.pending_json.unlink(missing_ok=True)
        self.records.append(record)
        self._learn(record, point.settings)
        self.best = ranking.best([*([self.best] if self.best else []), record], self.spec.objective)
        self.listener.trial_finished(record, self.best)

    def _learn(self, record: TrialRecord, settings: Mapping[str, Any] | None) -> None:
        if settings is not None:
            self.tried.add(settings_key(settings))
            if self.planner is not None and self.prepared.target.is_as_planned:
                self.planner.learn(record, settings)
        self.searcher.tell(record)

    def _settings_of(self, record: TrialRecord) -> Mapping[str, Any] | None:
        """The settings behind a stored record; None for one that this sweep file could not have made."""
        if record.origin == "baseline":
            return self.baseline.settings if self.baseline is not None else None
        point = point_of(self.spec.parameters, record.parameters)
        return point.settings if point is not None else None

    def _is_allowed(self, point: Point) -> bool:
        if settings_key(point.settings) in self.tried:
            return False
        if not self.spec.parameters:
            return True  # nothing is searched: the one configuration was asked for, whatever the constraints
        return keeps_parameter_constraints({**self.spec.engine_args, **point.settings}, self.spec.constraints)

    def _is_out_of_time(self) -> bool:
        limit_s = self.spec.search.timeout_s
        return limit_s is not None and self._spent_s() >= limit_s

    def _spent_s(self) -> float:
        """Of the time budget: all sittings of the run."""
        return self.spent_before_s + time.monotonic() - self.started_t

    def _info(self) -> RunInfo:
        return RunInfo(
            spec=self.spec,
            run=self.run,
            planned_trials=self.planned,
            records=tuple(self.records),
            best=self.best,
            hardware=self.prepared.hardware,
            engine=f"{self.spec.engine} {self.prepared.interpreter.engine_version}",
            num_prompts=self.prepared.prompt_set.num_prompts,
            prompt_sha256=self.prepared.prompt_set.sha256,
            notes=tuple(self.notes),
        )

    def _clean_up_after_earlier(self) -> None:
        """End what a killed session left running; we hold the run's lock, so nobody else's trial carries its mark."""
        uid = str(self.run_facts["run_uid"])
        ended = leftovers.kill_marked(uid)
        leftovers.remove_temp_folders(uid)
        if ended:
            self.notes = [*self.notes, f"ended {len(ended)} process(es) that an earlier session left"]

    def _read_pending(self) -> Point | None:
        """The point that was being tried when an earlier session ended."""
        with suppress(StoreError):
            values = runs.read_json(self.run.pending_json).get("parameters")
            if isinstance(values, dict):
                return point_of(self.spec.parameters, values)
        return None

    def _set_status(self, status: str) -> None:
        with suppress(StoreError):  # the records are what counts; a full disk must not hide why we stopped
            facts = {**self.run_facts, "status": status, "num_trials_planned": self.planned}
            facts["spent_s"] = round(self._spent_s(), 3)
            runs.write_json_atomic(self.run.run_json, facts)
