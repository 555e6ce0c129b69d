"""From a point of the space to a job, and from a record back to its point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vbench.analysis.remeasure import REPEATS
from vbench.execution.most_tokens import most_tokens
from vbench.execution.stopping import Stopper
from vbench.records.record import Origin, TrialRecord
from vbench.search.base import keeps_parameter_constraints
from vbench.search.early_stop import EarlyStop
from vbench.search.trial_stopper import Plan
from vbench.spec.calling import RUN_TIME_SECTIONS
from vbench.spec.config import baseline_point, effective_config, engine_key
from vbench.spec.space import Point, point_of, recorded_parameters
from vbench.spec.types import Choice, Domain, Range, SweepSpec
from vbench.sweep.history import History, key_of
from vbench.sweep.jobs import Executor, Job
from vbench.sweep.ledger import gpus_of
from vbench.sweep.planning import refused_record
from vbench.sweep.prepared import Prepared
from vbench.sweep.quality_guard import QualityGuard

_NAMES_GPUS = "environment.CUDA_VISIBLE_DEVICES"


_NEAR = 0.03
"""Who comes so near to the best isn't stopped: the best may have been lucky, and finals are to tell."""


class JobMaker:
    """Makes a run's jobs."""

    def __init__(
        self, prepared: Prepared, history: History, early_stop: EarlyStop | None, records: Sequence[TrialRecord] = ()
    ) -> None:
        self.prepared, self.spec, self.history, self.early_stop = prepared, prepared.spec, history, early_stop
        self.baseline = baseline_point(self.spec)
        self.guard = QualityGuard(self.spec, records)
        """Knows whose answers are checked, and against what."""
        # The check takes memory that a GPU's allocator keeps: it would be in the next trial's peak.
        shares = self.spec.search.reuse_engine and asks_differently(self.spec)
        self.keeps_engines = shares and not self.guard.wants("search")
        self.executor: Executor | None = None
        """Set once this session starts its first trial."""
        self.is_beside = False
        """Whether trials run side by side, where nothing speaks against it."""
        self.cut_short: set[int] = set()
        """Numbers of trials that ran when an earlier session was killed."""

    @property
    def live_keys(self) -> frozenset[str]:
        """`engine_key` of each engine that is alive and could serve the next trial; none where none may be shared."""
        return frozenset(self.executor.live_keys if self.keeps_engines and self.executor is not None else ())

    @property
    def asked_keys(self) -> frozenset[str]:
        """As `live_keys`, for the search. At the start of a session that of the engine which would be alive, had the
        last session not ended: so the search is asked what it would have been asked then."""
        if self.executor is not None or not self.keeps_engines:
            return self.live_keys
        last = self.history.last
        if last is None or not last.outcome.is_measured or last.origin in REPEATS or self.guard.wants(last.origin):
            return frozenset()
        point = self.point_of(last)
        return frozenset() if point is None else frozenset((engine_key(self.spec, point.settings),))

    def next_number(self, running: Sequence[Job]) -> int:
        """Of a new trial: above all that have a record or run, but first those that were cut short beside others."""
        taken = {job.number for job in running}
        free = (self.cut_short & self.history.missing) - taken
        return min(free) if free else max([self.history.next_number, *(number + 1 for number in taken)])

    def job(self, number: int, point: Point, origin: Origin, *, repeat_of: int | None = None) -> Job:
        """The job of a point. Only what the search asks for may be stopped early; a final has an engine of its own."""
        config = effective_config(self.spec, point.settings)
        has_quality = self.guard.wants(origin, repeat_of)
        return Job(
            number=number, point=point, origin=origin, repeat_of=repeat_of,
            gpus=1 if self.prepared.target.is_cpu else gpus_of(config),
            stopper=self._stopper(point, config) if origin == "search" else None,
            is_kept=self.keeps_engines and origin not in REPEATS and not has_quality,
            is_alone=self._is_alone(point, config, origin), has_quality=has_quality,
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

    def _is_alone(self, point: Point, config: Mapping[str, Any], origin: Origin) -> bool:
        """Finals too, by which configurations are told apart that hardly differ: no place is to favour one."""
        if origin == "final" or gpus_of(config) > 1 or _NAMES_GPUS in point.settings:
            return True
        return not self.is_beside and origin != "interference"

    def _stopper(self, point: Point, config: Mapping[str, Any]) -> Stopper | None:
        if self.early_stop is None:
            return None
        live = self.live_keys
        return self.early_stop.stopper(
            most_tokens(self.prepared.prompt_set, config),
            parameters=recorded_parameters(self.spec.parameters, point),
            is_reused=bool(live) and engine_key(self.spec, point.settings) in live,
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
        most_passes=0 if spec.measure.until is None else spec.measure.max_passes,
        settles=spec.measure.settle,
    )
    return EarlyStop(spec.objective, plan, error_rate=spec.search.prune_error_rate, margin=_NEAR)
