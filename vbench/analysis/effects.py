"""What each parameter did, one at a time: the objective by value. What was seen; interactions aren't modelled.

A trial counts once, finals in the place of what they measured again. One that was stopped early has no value, only a
bound, so that values with many such trials look better than they are: their number stands beside.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

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

    A trial in which a parameter doesn't apply (or a baseline that leaves it to the engine) counts nowhere for it, and
    one that the machine spoilt for none.
    """
    trials: dict[str, dict[Hashable, tuple[Any, list[_Seen]]]] = {}
    places: dict[int, list[list[_Seen]]] = {}  # by the identity of parameters: those of a large run share equal ones
    counted = [record for record in standing(records) if record.outcome is not Outcome.INTERRUPTED]
    for record in counted:
        if (found := places.get(id(record.parameters))) is None:
            found = places[id(record.parameters)] = [
                trials.setdefault(name, {}).setdefault(key_of(value), (value, []))[1]
                for name, value in record.parameters.items()
            ]
        seen = _seen(record, objective)
        for group in found:
            group.append(seen)
    return [
        ParameterEffect(name=name, values=tuple(_value_effect(*group, objective) for group in _in_order(groups)))
        for name, groups in trials.items()
    ]


class _Seen(NamedTuple):
    """What counts of a trial: looked up once for all of its parameters."""

    trial: int
    result: float | None
    has_failed: bool
    is_pruned: bool
    bound: float | None


def _seen(record: TrialRecord, objective: Objective) -> _Seen:
    return _Seen(
        trial=record.trial,
        result=objective_value(record, objective) if record.outcome is Outcome.COMPLETED else None,
        has_failed=has_failed(record),
        is_pruned=record.outcome is Outcome.PRUNED,
        bound=None if record.stopped is None else record.stopped.bound,
    )


def _value_effect(value: Any, seen: list[_Seen], objective: Objective) -> ValueEffect:
    results = [(one.trial, one.result) for one in seen if one.result is not None]
    numbers = [result for _, result in results]
    best = (max if objective.direction == "maximize" else min)(numbers, default=None)
    return ValueEffect(
        value=value,
        num_trials=len(seen),
        num_failed=sum(one.has_failed for one in seen),
        num_pruned=sum(one.is_pruned for one in seen),
        results=tuple(results),
        median=statistics.median(numbers) if numbers else None,
        best=best,
        best_trial=min((trial for trial, result in results if result == best), default=None),
        bounds=tuple((one.trial, one.bound) for one in seen if one.bound is not None),
    )


def _in_order(groups: dict[Hashable, tuple[Any, list[_Seen]]]) -> list[tuple[Any, list[_Seen]]]:
    return sorted(groups.values(), key=lambda group: in_order(group[0]))


def key_of(value: Any) -> Hashable:
    """What tells settings apart: True and 1 are different ones although Python calls them equal."""
    return (type(value), value) if isinstance(value, (str, int, float)) else json.dumps(value, sort_keys=True)


def in_order(value: Any) -> tuple[int, float, str]:
    """What values are sorted by: numbers by size (a choice's label may be one), then everything else by its text."""
    number = number_of(value)
    return (1, 0.0, str(value)) if number is None else (0, number, "")


def number_of(value: Any) -> float | None:
    """A value, or the text of one, as a finite number; None where it isn't one."""
    if _is_number(value):
        return float(value)
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
