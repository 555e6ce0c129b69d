"""What trials that failed alike have in common that trials which ran don't, and the nearest setting that ran.

Compared are parameters, as the search chose them. What is common may be chance where few trials failed: the counts say
how many it rests on.
"""

from __future__ import annotations

import json
import math
import operator
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.outcome import Outcome
from vbench.records.record import TrialRecord

MAX_COMMON = 3
"""Settings in common that are told, the most telling first."""
_MAX_CHANCE = 0.01
"""Several settings are looked at, so the usual 5 % would let too many through."""
_MANY = 200
"""Failed trials of a group that are looked at, spread evenly; what all of so many share, nearly all share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """A setting that all failed trials of a group have. `bound` None: all have `value`; `>=` or `<=`: all have that
    much or more (less), and no trial that ran has."""

    name: str
    value: Any
    bound: str | None
    num_failed: int
    num_ran: int
    """Trials that completed, or were stopped early: started and measured something."""
    num_ran_alike: int
    """Of those, how many have it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The trial that ran and differs in the fewest parameters from one that failed; `differences` name the parameter,
    what the failed one had, and what this one has (`MISSING` where it has none)."""

    failed: int
    trial: int
    differences: tuple[tuple[str, Any, Any], ...]


MISSING = object()
"""Stands for a parameter that a trial doesn't have."""


class Ran:
    """Trials that completed, or were stopped early as they couldn't win: their settings work. Indexed once, as each
    group of failures is held against all of them."""

    def __init__(self, records: Iterable[TrialRecord]) -> None:
        usable = (Outcome.COMPLETED, Outcome.PRUNED)
        self.records = [one for one in records if one.outcome in usable and one.parameters]
        self.names = list(dict.fromkeys(name for one in self.records for name in one.parameters))
        known: dict[int, tuple[Hashable, ...]] = {}  # records of a large run share equal parameters
        for one in self.records:
            if id(one.parameters) not in known:
                known[id(one.parameters)] = self.keys_of(one)
        self.settings = [known[id(one.parameters)] for one in self.records]
        columns = zip(*self.settings, strict=True)
        self._counts = {name: Counter(column) for name, column in zip(self.names, columns, strict=False)}

    def __len__(self) -> int:
        return len(self.records)

    def keys_of(self, record: TrialRecord) -> tuple[Hashable, ...]:
        """A trial's values of the parameters of those that ran, comparable."""
        return tuple(_key(record.parameters.get(name, MISSING)) for name in self.names)

    def count(self, name: str, value: Any) -> int:
        """How many have this value of a parameter."""
        found = self._counts.get(name)
        return (len(self) if value is MISSING else 0) if found is None else found[_key(value)]

    def bounds(self, name: str) -> tuple[float, float] | None:
        """The smallest and largest value; None where not all are numbers."""
        values = self._counts.get(name, Counter())
        numbers = [value for value in values if isinstance(value, (int, float))]
        return (min(numbers), max(numbers)) if numbers and len(numbers) == len(values) else None


def common_settings(failed: Sequence[TrialRecord], working: Ran) -> list[Common]:
    """What two or more failed trials share, and what either no working trial has, or so few that it is hardly chance:
    first what the fewest of these have."""
    if len(failed) < 2 or not len(working):
        return []
    sample = failed[:: -(-len(failed) // _MANY)]
    found: list[Common] = []
    for name in sample[0].parameters:
        values = [one.parameters.get(name, MISSING) for one in sample]
        one = _equal(name, values, working, len(failed)) or _beyond(name, values, working, len(failed))
        if one is not None and (one.num_ran_alike == 0 or _by_chance(one) <= _MAX_CHANCE):
            found.append(one)
    return sorted(found, key=lambda one: (one.num_ran_alike, one.bound is not None))[:MAX_COMMON]


def _by_chance(one: Common) -> float:
    """How likely it is that as many trials, drawn blindly from all that failed so or ran, would share the setting."""
    alike, drawn, total = one.num_failed + one.num_ran_alike, one.num_failed, one.num_failed + one.num_ran
    return math.exp(sum(math.log((alike - index) / (total - index)) for index in range(min(drawn, _MANY))))


def _equal(name: str, values: Sequence[Any], working: Ran, num_failed: int) -> Common | None:
    if any(_key(value) != _key(values[0]) for value in values):
        return None
    alike = working.count(name, values[0])
    return Common(
        name=name, value=values[0], bound=None, num_failed=num_failed, num_ran=len(working), num_ran_alike=alike
    )


def _beyond(name: str, values: Sequence[Any], working: Ran, num_failed: int) -> Common | None:
    theirs = working.bounds(name)
    if theirs is None or not all(isinstance(_key(value), (int, float)) for value in values):
        return None
    low, high = theirs
    if min(values) > high:
        bound, value = ">=", min(values)
    elif max(values) < low:
        bound, value = "<=", max(values)
    else:
        return None
    return Common(name=name, value=value, bound=bound, num_failed=num_failed, num_ran=len(working), num_ran_alike=0)


def nearest_that_ran(failed: Sequence[TrialRecord], working: Ran) -> Nearest | None:
    """Of the first that failed with parameters; ties go to the lowest trial number. None where nothing ran, or nothing
    differs (then the settings aren't what made it fail)."""
    first = next((one for one in failed if one.parameters), None)
    if first is None or not len(working):
        return None
    ours = working.keys_of(first)
    distances = [sum(map(operator.ne, ours, theirs)) for theirs in working.settings]
    near = min(zip(distances, working.records, strict=True), key=lambda pair: (pair[0], pair[1].trial))[1]
    differences = [
        (name, first.parameters.get(name, MISSING), near.parameters.get(name, MISSING))
        for name in dict.fromkeys((*first.parameters, *near.parameters))
    ]
    differing = tuple(one for one in differences if _key(one[1]) != _key(one[2]))
    return Nearest(failed=first.trial, trial=near.trial, differences=differing) if differing else None


def _key(value: Any) -> Hashable:
    """A value as something to compare and count by: `True` isn't 1, and what is nested is its JSON."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, (dict, list)):
        return ("json", json.dumps(value, sort_keys=True, default=str))
    return value if isinstance(value, Hashable) else repr(value)
