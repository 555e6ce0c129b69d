"""What each parameter did, one at a time: the objective by value. What was seen; interactions aren't modelled.

A trial counts once, finals in the place of what they measured again. One that was stopped early has no value, only a
bound, so that values with many such trials look better than they are: their number stands beside.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vbench.analysis.failures import has_failed
from vbench.analysis.ranking import objective_value
from vbench.analysis.remeasure import standing
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueEffect:
    """The trials that had one value of a parameter. `median` and `best` are over completed trials, whether or not they
    keep the constraints; None when none completed."""

    value: Any
    num_trials: int
    num_failed: int
    """Trials that neither completed nor were stopped early."""
    num_pruned: int
    results: tuple[tuple[int, float], ...]
    """Trial number and objective of each completed trial."""
    median: float | None
    best: float | None
    best_trial: int | None
    bounds: tuple[tuple[int, float], ...] = ()
    """Trial number and bound of each trial that was stopped early: it would have been no better. In no median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterEffect:
    """One parameter, by its dotted name, and its values in order."""

    name: str
    values: tuple[ValueEffect, ...]

    @property
    def is_numeric(self) -> bool:
        """Whether every value is a number, so that an axis may be to scale."""
        return all(_is_number(one.value) for one in self.values)

    @property
    def spread(self) -> float | None:
        """Largest ÷ smallest median over the values; None with fewer than two medians above 0."""
        medians = [one.median for one in self.values if one.median is not None]
        return max(medians) / min(medians) if len(medians) > 1 and min(medians) > 0 else None


def effects(records: Iterable[TrialRecord], objective: Objective) -> list[ParameterEffect]:
    """One entry a parameter that was set in any trial, in order of first use; values sorted, every one by itself.

    A trial in which a parameter doesn't apply (or a baseline that leaves it to the engine) counts nowhere for it.
    """
    trials: dict[str, dict[str, tuple[Any, list[TrialRecord]]]] = {}
    for record in standing(records):
        for name, value in record.parameters.items():
            # Keyed by JSON: True and 1 are different settings although Python calls them equal.
            trials.setdefault(name, {}).setdefault(json.dumps(value, sort_keys=True), (value, []))[1].append(record)
    return [
        ParameterEffect(name=name, values=tuple(_value_effect(*group, objective) for group in _in_order(groups)))
        for name, groups in trials.items()
    ]


def _value_effect(value: Any, records: list[TrialRecord], objective: Objective) -> ValueEffect:
    completed = [record for record in records if record.outcome is Outcome.COMPLETED]
    results = [(one.trial, result) for one in completed if (result := objective_value(one, objective)) is not None]
    sign = 1 if objective.direction == "maximize" else -1
    top = max(results, key=lambda one: (sign * one[1], -one[0]), default=None)
    return ValueEffect(
        value=value,
        num_trials=len(records),
        num_failed=sum(map(has_failed, records)),
        num_pruned=sum(record.outcome is Outcome.PRUNED for record in records),
        results=tuple(results),
        median=statistics.median(result for _, result in results) if results else None,
        best=top[1] if top else None,
        best_trial=top[0] if top else None,
        bounds=tuple((one.trial, one.stopped.bound) for one in records if one.stopped is not None),
    )


def _in_order(groups: dict[str, tuple[Any, list[TrialRecord]]]) -> list[tuple[Any, list[TrialRecord]]]:
    """Numbers by size (a choice's label may be one), then everything else by its text."""

    def key(group: tuple[Any, list[TrialRecord]]) -> tuple[int, float, str]:
        number = _as_number(group[0])
        return (1, 0.0, str(group[0])) if number is None else (0, number, "")

    return sorted(groups.values(), key=key)


def _as_number(value: Any) -> float | None:
    if _is_number(value):
        return float(value)
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
