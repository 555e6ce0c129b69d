"""Trials as numbers for a fit: each parameter's values as levels, the objective beside them.

A trial counts once, by its own measurement or its finals' (`standing`). A number with many values is cut into bins of
about as many trials each. A trial in which a parameter doesn't apply has no level of it; a baseline that leaves it to
the engine has the level of what the engine said it used, where that was tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vbench.analysis.effects import in_order, key_of, number_of
from vbench.analysis.failures import has_failed
from vbench.analysis.merged import origin_of
from vbench.analysis.ranking import objective_value
from vbench.analysis.remeasure import standing
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LEVELS = 8
"""Values of a parameter that stand by themselves; more numbers than this are binned, more words pooled."""
TRIALS_A_BIN = 6
"""Where numbers are many for the trials there are, so many go into a bin; three bins at least."""
MAX_FEW = 5
"""Up to so many numbers stand by themselves however few trials there are."""
NOT_SET = -1
RUN = "which run it is of"
"""Stands among the parameters of several runs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodedParameter:
    """A parameter and the level of each trial, `NOT_SET` where it doesn't apply. A level is a value; of a binned
    parameter the pair of the lowest and the highest in the bin."""

    name: str
    levels: tuple[Any, ...]
    codes: NDArray[np.int16]
    is_binned: bool = False
    num_pooled: int = 0
    """How many rare values the last level pools; 0: none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """Every trial that stands for itself, in the order of trials. `values` is NaN where it gave no measurement."""

    trials: NDArray[np.int64]
    values: NDArray[np.float64]
    is_pruned: NDArray[np.bool_]
    is_failed: NDArray[np.bool_]
    parameters: tuple[CodedParameter, ...]
    """Those that had two levels or more among all the trials."""

    def is_measured(self) -> NDArray[np.bool_]:
        """Which trials have a value."""
        return np.isfinite(self.values)


def coded(records: Iterable[TrialRecord], objective: Objective) -> Coded:
    """Completed trials by their objective, whether or not they keep the constraints; of others only the settings. Those
    that the machine spoilt say nothing of theirs."""
    told = (record for record in standing(records) if record.outcome is not Outcome.INTERRUPTED)
    counted = sorted(told, key=lambda record: record.trial)
    values = [objective_value(one, objective) if one.outcome is Outcome.COMPLETED else None for one in counted]
    settings = _Settings(counted)
    names = dict.fromkeys(name for one in settings.distinct for name in one)
    found = (*(_parameter(name, settings) for name in names), _run(counted))
    return Coded(
        trials=np.array([record.trial for record in counted], dtype=np.int64),
        values=np.array([np.nan if value is None else value for value in values], dtype=np.float64),
        is_pruned=np.array([record.outcome is Outcome.PRUNED for record in counted], dtype=np.bool_),
        is_failed=np.array([has_failed(record) for record in counted], dtype=np.bool_),
        parameters=tuple(one for one in found if len(one.levels) > 1),
    )


class _Settings:
    """The parameters of trials. Records of a large run share equal ones, so that each is looked at once."""

    def __init__(self, records: Sequence[TrialRecord]) -> None:
        places: dict[int, int] = {}
        self.places = [places.setdefault(id(record.parameters), len(places)) for record in records]
        """Of each trial, which of `distinct` it has."""
        first = {place: record.parameters for place, record in zip(self.places, records, strict=True)}
        self.distinct = [first[place] for place in range(len(first))]
        self.baselines = [(at, record) for at, record in enumerate(records) if record.origin == "baseline"]
        """With their places among the trials."""


def _run(records: Sequence[TrialRecord]) -> CodedParameter:
    """The run as if it were a setting: what the day and a sweep's fixed arguments did would be put down to parameters
    whose values went with them. One level, which is none, where all are of one run."""
    runs = ["" if (origin := origin_of(record)) is None else origin.run for record in records]
    levels = {run: place for place, run in enumerate(dict.fromkeys(runs))}
    return CodedParameter(name=RUN, levels=tuple(levels), codes=np.array([levels[run] for run in runs], dtype=np.int16))


def _parameter(name: str, settings: _Settings) -> CodedParameter:
    own: list[Hashable] = [key_of(one[name]) if name in one else None for one in settings.distinct]
    values = {key: one[name] for key, one in zip(own, settings.distinct, strict=True) if key is not None}
    keys = [own[place] for place in settings.places]
    for place, record in settings.baselines:
        if keys[place] is None and name in record.engine.facts:
            used = key_of(record.engine.facts[name])
            keys[place] = used if used in values else None
    counts = Counter(key for key in keys if key is not None)
    order = sorted(counts, key=lambda key: in_order(values[key]))
    num_pooled = 0
    num_bins = max(3, min(MAX_LEVELS, counts.total() // TRIALS_A_BIN))
    are_numbers = all(number_of(values[key]) is not None for key in order)
    is_binned = are_numbers and len(order) > max(num_bins, MAX_FEW)
    if is_binned:
        levels, places = _binned(order, counts, values, num_bins)
    elif len(order) <= MAX_LEVELS:
        levels, places = [values[key] for key in order], {key: at for at, key in enumerate(order)}
    else:
        levels, places = _pooled(order, counts, values)
        num_pooled = len(order) - MAX_LEVELS + 1
    codes = np.array([NOT_SET if key is None else places[key] for key in keys], dtype=np.int16)
    return CodedParameter(
        name=name, levels=tuple(levels), codes=codes, is_binned=is_binned, num_pooled=num_pooled
    )  # fmt: skip


def _binned(
    order: Sequence[Hashable], counts: Counter[Hashable], values: dict[Hashable, Any], num_bins: int
) -> tuple[list[Any], dict[Hashable, int]]:
    """Neighbours together, so that each bin has about as many trials."""
    bins: list[list[Hashable]] = [[] for _ in range(num_bins)]
    total, behind = counts.total(), 0
    for key in order:
        middle = behind + counts[key] / 2
        bins[min(num_bins - 1, int(num_bins * middle / total))].append(key)
        behind += counts[key]
    filled = [one for one in bins if one]
    places = {key: place for place, one in enumerate(filled) for key in one}
    return [(values[one[0]], values[one[-1]]) for one in filled], places


def _pooled(
    order: Sequence[Hashable], counts: Counter[Hashable], values: dict[Hashable, Any]
) -> tuple[list[Any], dict[Hashable, int]]:
    """The most frequent by themselves, the others in one level."""
    position = {key: place for place, key in enumerate(order)}
    frequent = sorted(order, key=lambda key: (-counts[key], position[key]))[: MAX_LEVELS - 1]
    kept = sorted(frequent, key=lambda key: position[key])
    places = {key: len(kept) for key in order} | {key: place for place, key in enumerate(kept)}
    return [*(values[key] for key in kept), None], places
