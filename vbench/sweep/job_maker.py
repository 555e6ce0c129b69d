"""From a point of the space to a job, and from a record back to its point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vbench.execution.most_tokens import most_tokens
from vbench.execution.stopping import Stopper
from vbench.execution.trials import TrialRunner
from vbench.records.record import Origin, TrialRecord
from vbench.search.base import keeps_parameter_constraints
from vbench.search.early_stop import EarlyStop
from vbench.search.trial_stopper import Plan
from vbench.spec.calling import RUN_TIME_SECTIONS
from vbench.spec.config import baseline_point, effective_config, engine_key
from vbench.spec.space import Point, point_of
from vbench.spec.types import Choice, Domain, Range, SweepSpec
from vbench.sweep.history import History, key_of
from vbench.sweep.jobs import Job
from vbench.sweep.ledger import gpus_of
from vbench.sweep.planning import refused_record
from vbench.sweep.prepared import Prepared


class JobMaker:
    """Makes a run's jobs."""

    def __init__(self, prepared: Prepared, history: History, early_stop: EarlyStop | None) -> None:
        self.prepared, self.spec, self.history, self.early_stop = prepared, prepared.spec, history, early_stop
        self.baseline = baseline_point(self.spec)
        self.keeps_engines = self.spec.search.reuse_engine and asks_differently(self.spec)
        self.runner: TrialRunner | None = None
        """Set once this session starts its first trial."""
        self.cut_short: set[int] = set()
        """Numbers of trials that ran when an earlier session was killed."""

    @property
    def live_key(self) -> str | None:
        """`engine_key` of the engine that is alive and could serve the next trial; None where there is none, or where
        none may be shared."""
        return self.runner.live_key if self.keeps_engines and self.runner is not None else None

    @property
    def asked_key(self) -> str | None:
        """As `live_key`, for the search. At the start of a session that of the engine which would be alive, had the
        last session not ended: so the search is asked what it would have been asked then."""
        if self.runner is not None or not self.keeps_engines:
            return self.live_key
        last = self.history.last
        if last is None or not last.outcome.is_measured or last.origin == "final":
            return None
        point = self.point_of(last)
        return None if point is None else engine_key(self.spec, point.settings)

    def next_number(self, running: Sequence[Job]) -> int:
        """Of a new trial: above all that have a record or run, but first those that were cut short beside others."""
        taken = {job.number for job in running}
        free = (self.cut_short & self.history.missing) - taken
        return min(free) if free else max([self.history.next_number, *(number + 1 for number in taken)])

    def job(self, number: int, point: Point, origin: Origin, *, repeat_of: int | None = None) -> Job:
        """The job of a point. Only what the search asks for may be stopped early; a final has an engine of its own."""
        config = effective_config(self.spec, point.settings)
        return Job(
            number=number, point=point, origin=origin, repeat_of=repeat_of,
            gpus=1 if self.prepared.target.is_cpu else gpus_of(config),
            stopper=self._stopper(point, config) if origin == "search" else None,
            is_kept=self.keeps_engines and origin != "final",
            has_probe=origin in ("baseline", "search") and self.early_stop is not None and self.early_stop.wants_probe,
        )  # fmt: skip

    def refused(self, job: Job) -> TrialRecord:
        """The record of a job that the planner says can't run."""
        assert job.plan is not None
        config = effective_config(self.spec, job.point.settings)
        python, prepared = config.get("python"), self.prepared
        return refused_record(
            job.plan, self.spec, number=job.number, point=job.point, origin=job.origin,
            engine=prepared.engine_facts(python), prompt_set=prepared.prompt_facts,
            notes=prepared.target.passed(config, prepared.engine_version(python)).notes,
            hardware={"profile": prepared.hardware, "memory_source": None},
        )  # fmt: skip

    def point_of(self, record: TrialRecord) -> Point | None:
        """The point behind a record; None for one that this sweep file could not have made."""
        of_baseline = record.repeat_of is not None and record.repeat_of == self.history.baseline_trial
        if record.origin == "baseline" or of_baseline:
            return self.baseline
        return point_of(self.spec.parameters, record.parameters)

    def is_allowed(self, point: Point, running: Sequence[Job]) -> bool:
        """Whether a point may be tried: it has no record, doesn't run, and keeps the constraints on parameters."""
        key = key_of(point.settings)
        if self.history.is_tried(key) or any(key_of(job.point.settings) == key for job in running):
            return False
        return self.keeps_constraints(point)

    def keeps_constraints(self, point: Point) -> bool:
        """Whether it keeps the constraints on parameters."""
        if not self.spec.parameters:
            return True  # nothing is searched: the one configuration was asked for, whatever the constraints
        return keeps_parameter_constraints({**self.spec.engine_args, **point.settings}, self.spec.constraints)

    def _stopper(self, point: Point, config: Mapping[str, Any]) -> Stopper | None:
        if self.early_stop is None:
            return None
        live = self.live_key
        return self.early_stop.stopper(
            most_tokens(self.prepared.prompt_set, config),
            is_reused=live is not None and engine_key(self.spec, point.settings) == live,
            restart_s=self.history.mean_start_s if self.keeps_engines else 0.0,
        )


def asks_differently(spec: SweepSpec) -> bool:
    """Whether trials may differ in what a running engine is asked (`sampling.…`, `load.…`), so that some could share
    one."""

    def asks(name: str, domain: Domain) -> bool:
        if name.partition(".")[0] in RUN_TIME_SECTIONS:
            return True
        options = domain.options if isinstance(domain, Choice) else ()
        inner = [(key, value) for option in options for key, value in option.settings.items()]
        searched = any(asks(key, value) for key, value in inner if isinstance(value, (Choice, Range)))
        return searched or any(key.partition(".")[0] in RUN_TIME_SECTIONS for key, _ in inner)

    return any(asks(parameter.name, parameter.domain) for parameter in spec.parameters)


def make_early_stop(spec: SweepSpec, num_prompts: int) -> EarlyStop | None:
    """The rule that stops trials; None where none is to be, or with several objectives: what loses in one of them may
    win in another."""
    if not spec.search.is_pruning or spec.more_objectives or not spec.parameters:
        return None
    plan = Plan(
        prompts=num_prompts,
        passes=spec.measure.passes,
        warmup_passes=spec.measure.warmup_passes,
        probe_prompts=spec.search.probe_prompts,
    )
    return EarlyStop(spec.objective, plan, error_rate=spec.search.prune_error_rate)
