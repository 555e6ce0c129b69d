"""What a search did and what it was worth: counts, engine-seconds, what early stops saved, both arms, finals."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.remeasure import finals_of, remeasured, was_remeasured
from vbench.analysis.statistics import Interval, interval_of
from vbench.analysis.timing import TimeSplit, time_split
from vbench.outcome import Outcome
from vbench.records.packed import pass_lengths
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

PARTS = ("startup_s", "probe_s", "warmup_s", "timed_s", "closing_s", "other_s")
"""Of `timing.TimeSplit`, in the order of time."""
_KINDS = {"warmup": ("warmup",), "timed": ("timed", "unsettled")}
"""Passes of all prompts, by their phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Trials by what became of them. Baseline and search are `started` or `refused`; the others count by themselves."""

    started: int
    refused: int
    """By the planner: nothing was started, so they cost nothing."""
    pruned: int
    failed: int
    """Of the started ones, those that neither completed nor were stopped early."""
    reused: int
    """Served by an engine that an earlier trial had started."""
    random: int
    finals: int
    interference: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Best so far of an arm, once `engine_s` had been spent on it."""

    engine_s: float
    value: float
    trial: int
    is_borrowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The course of a search, or of the random arm beside it. `points` has each improvement; what the planner refused
    is no trial of it."""

    engine_s: float
    num_trials: int
    points: tuple[Point, ...]

    def best_at(self, engine_s: float) -> Point | None:
        """The best once so many engine-seconds had been spent; None before the first."""
        reached = [point for point in self.points if point.engine_s <= engine_s * (1 + 1e-9)]
        return reached[-1] if reached else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A trial that was measured again. `value` None: no final of it gave a measurement."""

    trial: int
    original: float | None
    original_rank: int
    finals: tuple[int, ...]
    value: float | None
    interval: Interval | None
    rank: int | None
    """Among the finalists, from 1; None where it may not be ranked."""

    @property
    def change(self) -> float | None:
        """(value − original) ÷ original; None where one is missing."""
        return None if self.value is None or not self.original else self.value / self.original - 1


def count_trials(records: Iterable[TrialRecord]) -> Counts:
    """The trials of a run, counted. One that the machine spoilt is run again, and is none of those asked for."""
    listed = list(records)
    asked = [record for record in listed if record.origin in ("baseline", "search", "run")]
    own = [record for record in asked if record.outcome is not Outcome.INTERRUPTED]
    started = [record for record in own if not is_refused(record)]
    origins = [record.origin for record in listed]
    return Counts(
        started=len(started),
        refused=len(own) - len(started),
        pruned=sum(record.outcome is Outcome.PRUNED for record in started),
        failed=sum(record.outcome not in (Outcome.COMPLETED, Outcome.PRUNED) for record in started),
        reused=sum(record.environment.get("worker_start") == "reused" for record in listed),
        random=origins.count("random"),
        finals=origins.count("final"),
        interference=origins.count("interference"),
    )


def is_refused(record: TrialRecord) -> bool:
    """Whether the planner refused the trial, so that nothing was started."""
    return record.failure is not None and record.failure.phase == "plan"


def spent_by_part(records: Iterable[TrialRecord], splits: Sequence[TimeSplit] | None = None) -> dict[str, float]:
    """Engine-seconds of all trials by part of a trial (`PARTS`). `splits` are those of the records, where they were
    made already."""
    splits = [time_split(record) for record in records] if splits is None else splits
    return {part: sum(getattr(split, part) for split in splits) for part in PARTS}


def saved_by_stops(records: Sequence[TrialRecord]) -> dict[int, float]:
    """Of each trial that was stopped early, the seconds that its remaining passes would have taken: an estimate.

    It would have made as many warm-up and timed passes as the run's completed trials did (the median), each as long as
    its own whole passes took; where it had none, as long as the incumbent's would take at the bound, which it wasn't
    expected to reach. Empty where no trial completed.
    """
    completed = [record for record in records if record.outcome is Outcome.COMPLETED and record.origin != "final"]
    if not completed:
        return {}
    usual = {kind: statistics.median_low([_count(one, kind) for one in completed]) for kind in _KINDS}
    by_number = {record.trial: record for record in completed}
    return {
        record.trial: _remaining_s(record, usual, by_number)
        for record in records
        if record.outcome is Outcome.PRUNED and record.stopped is not None
    }


def _remaining_s(record: TrialRecord, usual: Mapping[str, int], by_number: Mapping[int, TrialRecord]) -> float:
    stopped = record.stopped
    assert stopped is not None
    own = [one.duration_s for one in record.passes if one.kind != "probe"]
    spent = 0.0 if stopped.phase == "probe" else stopped.after_s
    pass_s = statistics.median(own) if own else spent
    incumbent = by_number.get(stopped.incumbent_trial)
    if not own and incumbent is not None and stopped.bound > 0:
        timed = [one.duration_s for one in incumbent.passes if one.kind == "timed"]
        pass_s = max(pass_s, statistics.median(timed) * stopped.incumbent_value / stopped.bound)
    missing = sum(max(0, usual[kind] - _count(record, kind)) for kind in usual)
    return max(0.0, missing * pass_s - spent)


def _count(record: TrialRecord, kind: str) -> int:
    return sum(one in _KINDS[kind] for one, _, _ in pass_lengths(record.passes))


def search_arm(records: Iterable[TrialRecord], objective: Objective) -> Arm:
    """The search's own trials in their order, baseline and finals not counted, by their first measurements."""
    return _arm([record for record in records if record.origin == "search"], objective, ())


def random_arm(records: Iterable[TrialRecord], objective: Objective, borrowed: Collection[int]) -> Arm | None:
    """The random arm; None where there was none. `borrowed`: trials of the search that it drew too; they weren't run
    again, but their cost is charged to it and their values count for it. They are put first, where they help it most.
    """
    listed = list(records)
    lent = [record for record in listed if record.trial in borrowed and record.origin != "random"]
    own = [record for record in listed if record.origin == "random"]
    return _arm([*lent, *own], objective, borrowed) if lent or own else None


def _arm(ordered: Sequence[TrialRecord], objective: Objective, borrowed: Collection[int]) -> Arm:
    points: list[Point] = []
    engine_s = 0.0
    sign = 1 if objective.direction == "maximize" else -1
    for record in ordered:
        engine_s += record.duration_s or 0.0
        value = objective_value(record, objective)
        if value is None or not is_rankable(record, objective):
            continue
        if not points or sign * value > sign * points[-1].value:
            is_borrowed = record.trial in borrowed
            points.append(Point(engine_s=engine_s, value=value, trial=record.trial, is_borrowed=is_borrowed))
    started = sum(not is_refused(record) for record in ordered)
    return Arm(engine_s=engine_s, num_trials=started, points=tuple(points))


def finalists(records: Iterable[TrialRecord], objective: Objective) -> list[Finalist]:
    """The trials that were measured again, in the order of their first measurements; empty where there were none."""
    listed = list(records)
    again = {record.trial: record for record in remeasured(listed) if was_remeasured(record) is not None}
    sign = 1 if objective.direction == "maximize" else -1

    def key(record: TrialRecord) -> tuple[bool, float, int]:
        value = objective_value(record, objective)
        return value is None, 0.0 if value is None else -sign * value, record.trial

    first = sorted((record for record in listed if record.trial in again and record.origin != "final"), key=key)
    second = sorted((one for one in again.values() if was_remeasured(one) and is_rankable(one, objective)), key=key)
    places = {record.trial: place for place, record in enumerate(second, start=1)}
    return [
        Finalist(
            trial=record.trial,
            original=objective_value(record, objective),
            original_rank=place,
            finals=finals_of(again[record.trial]),
            value=objective_value(again[record.trial], objective) if was_remeasured(again[record.trial]) else None,
            interval=interval_of(again[record.trial], objective.metric)
            if was_remeasured(again[record.trial])
            else None,
            rank=places.get(record.trial),
        )
        for place, record in enumerate(first, start=1)
    ]
