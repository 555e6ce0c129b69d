"""Trials that are to be run, and what runs them: one after another here. What runs several at a time (`slots`) has the
same face.

`pending.json` names the trials that were started last; those without a record were cut short.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self

from vbench.errors import StoreError
from vbench.execution.runner import OnEvent
from vbench.execution.stopping import Stopper
from vbench.execution.trials import TrialRunner
from vbench.outcome import Outcome
from vbench.planner.verdict import Plan
from vbench.records import runs
from vbench.records.disk import advice_on
from vbench.records.record import Origin, TrialRecord
from vbench.records.runs import RunFolder, write_bytes_atomic
from vbench.spec.space import Point
from vbench.sweep.repeating import Repeats, causes, doubted, is_first_better, joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial that is to be."""

    number: int
    point: Point
    origin: Origin
    repeat_of: int | None = None
    plan: Plan | None = None
    """What the planner says of it; None with no planner."""
    gpus: int = 1
    """How many it takes."""
    stopper: Stopper | None = None
    is_kept: bool = False
    """Whether its engine may live on for the next one."""
    has_probe: bool = False
    """Whether it begins with a pass over a few prompts."""
    has_quality: bool = False
    """Whether its answers are checked after the passes."""
    is_alone: bool = True
    """Whether it has the machine to itself."""
    passes: int | None = None
    """Timed passes, where they are others than the sweep's."""
    repeats: Repeats | None = None
    """Whether it is run once more where something disturbed it; None: it isn't."""

    def with_plan(self, plan: Plan) -> Job:
        """The same job, planned."""
        return replace(self, plan=plan)


class Executor(Protocol):
    """Runs jobs. Start as many as it takes, then wait for one. Used as a context manager: whatever ends it, nothing
    that it started is left."""

    @property
    def running(self) -> Sequence[Job]:
        """Those that were started and not yet handed back."""

    @property
    def has_room(self) -> bool:
        """Whether another may be started now."""

    @property
    def live_keys(self) -> Collection[str]:
        """`engine_key` of each engine that is alive and idle."""

    def takes(self, job: Job) -> bool:
        """Whether this one may be started now."""

    def prepare(self, job: Job) -> str | None:
        """Start the keeper of the first trial's engine; returns why trials start cold, if they do."""

    def start(self, job: Job) -> None:
        """Begin with a job."""

    def wait(self) -> tuple[Job, TrialRecord]:
        """Wait until one of those that run has ended. Raises what a trial may raise (`TrialRunner.run`)."""

    def __enter__(self) -> Self:
        """Make ready."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all that is left."""


class Inline:
    """One job at a time, run within `wait`."""

    def __init__(self, runner: TrialRunner, on_event: OnEvent) -> None:
        self.runner, self._on_event = runner, on_event
        self._job: Job | None = None

    @property
    def running(self) -> Sequence[Job]:
        """None or one."""
        return () if self._job is None else (self._job,)

    @property
    def has_room(self) -> bool:
        """Whether none runs."""
        return self._job is None

    @property
    def live_keys(self) -> Collection[str]:
        """None or one."""
        key = self.runner.live_key
        return () if key is None else (key,)

    def takes(self, job: Job) -> bool:  # noqa: ARG002
        """Any, while none runs."""
        return self.has_room

    def prepare(self, job: Job) -> str | None:
        """Start the keeper."""
        self.runner.prepare(job.point.settings)
        return self.runner.fork_blocker

    def start(self, job: Job) -> None:
        """Only noted: it runs within `wait`."""
        assert self._job is None
        self._job = job

    def wait(self) -> tuple[Job, TrialRecord]:
        """Run it."""
        assert self._job is not None
        job = self._job
        record = run_job(self.runner, job, self._on_event)
        self._job = None
        return job, record

    def __enter__(self) -> Self:
        self.runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.__exit__(kind, error, trace)


def run_job(runner: TrialRunner, job: Job, on_event: OnEvent) -> TrialRecord:
    """Run a job to its record; twice where something disturbed it (`repeating`)."""
    if job.origin in ("final", "reference"):
        runner.release()  # each has a start of its own: what differs from start to start is in it
    spec, again = runner.spec, replace(job, stopper=deepcopy(job.stopper))
    if job.passes is not None:
        runner.spec = replace(
            spec, measure=replace(spec.measure, passes=job.passes, max_seconds=None, until=None, settle=False)
        )
    try:
        record = runner.run(
            job.number, job.point, job.origin, on_event, job.stopper, keep=job.is_kept, probe=job.has_probe,
            quality=job.has_quality,
        )  # fmt: skip
        found = job.repeats.why(record, job.gpus) if job.repeats is not None else []
        if not found or job.repeats is None:
            return doubted(record)
        on_event({"event": "again", "why": causes(found)})
        second = _once_more(runner, again, on_event, record)
        job.repeats.ended(second)
        return joined(record, second)
    finally:
        runner.spec = spec


def _once_more(runner: TrialRunner, job: Job, on_event: OnEvent, first: TrialRecord) -> TrialRecord:
    """The second attempt, begun as the first was. Where the first came to its end nothing stops it early: that the
    configuration can be measured is known. The memory samples that stay are those of the attempt that stands."""
    if first.environment.get("worker_start") != "reused":
        runner.release()
    samples = runner.run_folder.samples(job.number)
    earlier = b""
    with suppress(OSError):
        earlier = samples.read_bytes()
    stopper = job.stopper if first.outcome is Outcome.PRUNED else None
    second = runner.run(
        job.number,
        job.point,
        job.origin,
        on_event,
        stopper,
        keep=job.is_kept,
        probe=job.has_probe,
        quality=job.has_quality,
    )
    if earlier and is_first_better(first, second):
        with suppress(StoreError):  # what was measured is in the record
            write_bytes_atomic(samples, earlier)
    return second


def write_pending(run: RunFolder, jobs: Sequence[Job]) -> None:
    """Note the trials that run. Raises StoreError.

    It outlives a kill, but isn't forced to the disk: after a power cut the search is only asked again.
    """
    trials = [{"trial": job.number, "origin": job.origin, "parameters": dict(job.point.parameters)} for job in jobs]
    text = json.dumps({"trials": trials}, ensure_ascii=False)
    beside = run.pending_json.with_name(f".{run.pending_json.name}.tmp")
    try:
        beside.write_bytes(text.encode("utf-8", "replace"))
        beside.replace(run.pending_json)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise StoreError(f"{run.pending_json} can't be written: {advice_on(error)}") from error


def remove_pending(run: RunFolder) -> None:
    """No trial runs any more. Where the file can't be removed its trials all have their records, which count."""
    with suppress(OSError):
        run.pending_json.unlink(missing_ok=True)


def read_pending(run: RunFolder) -> list[dict[str, Any]]:
    """What `write_pending` wrote last, by trial number; empty where there is nothing that can be read. Some of it may
    have its record by now."""
    with suppress(StoreError):
        data = runs.read_json(run.pending_json)
        trials = data.get("trials", [data])  # before there could be several
        if isinstance(trials, list):
            sound = [one for one in trials if isinstance(one, dict) and isinstance(one.get("trial"), int)]
            return sorted(
                (one for one in sound if isinstance(one.get("parameters"), dict)), key=lambda one: one["trial"]
            )
    return []
