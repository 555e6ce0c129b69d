"""The answer to a sweep: its best trial, how sure that is, and what it changes against the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.ranking import Gain, baseline_of, contenders, gain_over_baseline, objective_value, ranked
from vbench.analysis.statistics import Interval, interval_of
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FAKE_ENGINE = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting that the best trial has and the baseline hasn't, or has otherwise. A side that doesn't set it is None
    with `is_set_…` false: the engine's default holds there."""

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
    num_ranked: int
    best: TrialRecord | None
    value: float | None
    interval: Interval | None
    peak_memory_bytes: float | None
    baseline: TrialRecord | None
    gain: Gain | None
    differences: tuple[Difference, ...]
    contenders: tuple[TrialRecord, ...]
    is_fake: bool
    """Whether any trial ran on the fake engine, whose numbers come from a formula: not measurements."""


def find_answer(records: Sequence[TrialRecord], objective: Objective) -> Answer:
    """Rank the trials and compare the first with the baseline."""
    order = ranked(records, objective)
    top = order[0] if order else None
    baseline = baseline_of(records)
    return Answer(
        objective=objective,
        num_trials=len(records),
        num_completed=sum(record.outcome is Outcome.COMPLETED for record in records),
        num_ranked=len(order),
        best=top,
        value=objective_value(top, objective) if top else None,
        interval=interval_of(top, objective.metric) if top else None,
        peak_memory_bytes=value_of(top.measurements, "peak_memory_bytes") if top else None,
        baseline=baseline,
        gain=gain_over_baseline(top, baseline, objective) if top and baseline and top is not baseline else None,
        differences=tuple(differences(top.config, baseline.config)) if top and baseline else (),
        contenders=tuple(contenders(order, objective)),
        is_fake=any(FAKE_ENGINE in (record.engine.name, record.config.get("engine")) for record in records),
    )


def differences(best: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[Difference]:
    """The settings of two configurations that differ, in the order of the first, then of the second."""
    names = dict.fromkeys([*best, *baseline])
    return [
        Difference(
            name=name,
            best=best.get(name),
            baseline=baseline.get(name),
            is_set_in_best=name in best,
            is_set_in_baseline=name in baseline,
        )
        for name in names
        if (name in best) != (name in baseline) or not _is_same(best.get(name), baseline.get(name))
    ]


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)  # True == 1 in Python
