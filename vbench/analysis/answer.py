"""The answer to a sweep: its best trial, how sure that is, and what it changes against the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.ranking import (
    Gain,
    baseline_of,
    contenders,
    gain_over_baseline,
    late,
    objective_value,
    ranked,
    remeasured,
)
from vbench.analysis.remeasure import finals_of, was_remeasured
from vbench.analysis.statistics import Interval, interval_of
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FAKE_ENGINE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting in which the best trial and the baseline differ. A side that left it to the engine has
    `is_set_…` false and shows what the engine reported to have used, or None where it reported nothing."""

    name: str
    best: Any
    baseline: Any
    is_set_in_best: bool
    is_set_in_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a sweep found. Everything about the best trial is None, or empty, when no trial could be ranked."""

    objective: Objective
    num_trials: int
    num_completed: int
    num_pruned: int
    num_refused: int
    """By the planner: nothing was started."""
    num_spoilt: int
    """By the machine: nothing is known of their settings, which are tried again."""
    num_ranked: int
    best: TrialRecord | None
    value: float | None
    interval: Interval | None
    peak_memory_bytes: float | None
    baseline: TrialRecord | None
    gain: Gain | None
    differences: tuple[Difference, ...]
    contenders: tuple[TrialRecord, ...]
    finals: tuple[int, ...]
    """The trials that measured the best again, whose passes its numbers are; empty where there were none."""
    is_baseline_remeasured: bool
    num_remeasured: int
    """Of the ranked ones; fewer than all of them where the best came after the finals."""
    not_remeasured: tuple[int, ...]
    """Finalists of which no final gave a measurement, so that the order is that of the first measurements."""
    late: tuple[int, ...]
    """Trials after the last final whose first measurement is better than the best's, but not clearly."""
    is_fake: bool
    """Whether any trial ran on the fake engine, whose numbers come from a formula: not measurements."""


def find_answer(
    records: Sequence[TrialRecord], objective: Objective, order: Sequence[TrialRecord] | None = None
) -> Answer:
    """Rank the trials and compare the first with the baseline. `order`: the trials as `ranked`, where they were."""
    order = ranked(records, objective) if order is None else order
    top = order[0] if order else None
    baseline = baseline_of(records)
    finalists = {record.trial: was_remeasured(record) for record in remeasured(records)}
    return Answer(
        objective=objective,
        num_trials=len(records),
        num_completed=sum(record.outcome is Outcome.COMPLETED for record in records),
        num_pruned=sum(record.outcome is Outcome.PRUNED for record in records),
        num_refused=sum(one.failure is not None and one.failure.phase == "plan" for one in records),
        num_spoilt=sum(record.outcome is Outcome.INTERRUPTED for record in records),
        num_ranked=len(order),
        best=top,
        value=objective_value(top, objective) if top else None,
        interval=interval_of(top, objective.metric) if top else None,
        peak_memory_bytes=value_of(top.measurements, "peak_memory_bytes") if top else None,
        baseline=baseline,
        gain=gain_over_baseline(top, baseline, objective) if top and baseline and top.trial != baseline.trial else None,
        differences=tuple(differences(top, baseline)) if top and baseline else (),
        contenders=tuple(contenders(order, objective)),
        finals=finals_of(top) if top else (),
        is_baseline_remeasured=bool(baseline and was_remeasured(baseline)),
        num_remeasured=sum(bool(was_remeasured(record)) for record in order),
        not_remeasured=tuple(trial for trial, state in finalists.items() if state is False),
        late=tuple(_late(records, order, objective)),
        is_fake=any(FAKE_ENGINE in (record.engine.name, record.config.get("engine")) for record in records),
    )


def _late(records: Sequence[TrialRecord], order: Sequence[TrialRecord], objective: Objective) -> list[int]:
    kept = {record.trial for record in order}
    best = objective_value(order[0], objective) if order else None
    sign = 1 if objective.direction == "maximize" else -1
    values = {record.trial: objective_value(record, objective) for record in late(records, objective)}
    return [
        trial
        for trial, value in values.items()
        if best is not None and value is not None and trial not in kept and sign * value > sign * best
    ]


def differences(best: TrialRecord, baseline: TrialRecord) -> list[Difference]:
    """The settings in which two trials differ, in the order of the first's configuration, then the second's.

    One that a trial left to the engine is compared by what the engine reported, so a default that was spelled out is
    no difference.
    """
    names = dict.fromkeys([*best.config, *baseline.config])
    pairs = ((name, _used(best, name), _used(baseline, name)) for name in names)
    return [
        Difference(
            name=name,
            best=ours,
            baseline=theirs,
            is_set_in_best=name in best.config,
            is_set_in_baseline=name in baseline.config,
        )
        for name, ours, theirs in pairs
        if not _is_same(ours, theirs) or (ours is None and (name in best.config) != (name in baseline.config))
    ]


def _used(record: TrialRecord, name: str) -> Any:
    """What a trial set, or what its engine said it used instead; None when neither is known."""
    return record.config[name] if name in record.config else record.engine.facts.get(name)


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)  # True == 1 in Python
