"""Throughput and latency against how much runs at once: requests in flight, their rate, the engine's limit, replicas.

A line is of trials that are alike in every other setting, or else of the best trial at each value, whose other settings
differ: that is said, as such a line shows what was reached, not what the value alone did.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vbench.analysis.effects import key_of
from vbench.analysis.grounds import grounds
from vbench.analysis.loads import LOADS, load_of, whole_load
from vbench.analysis.ranking import objective_value
from vbench.analysis.remeasure import standing
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

NEAR = 0.95
"""Share of the top at which a line has arrived; a gain smaller than the rest is called flat."""
MAX_LINES = 3
MIN_FOR_KNEE = 3
"""Values of a line below which nothing is said of its shape."""


class LoadTrial(NamedTuple):
    """One measured trial at one load. Latencies are p95 in seconds, None where they weren't measured."""

    trial: int
    load: float
    value: float
    ttft_s: float | None
    tpot_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """A line at one load: the median of `count` trials that are alike, or the best of them."""

    load: float
    value: float
    ttft_s: float | None
    tpot_s: float | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLine:
    """Points by load. `is_alike`: nothing but the load differs along it; `trials` are those that it is of."""

    points: tuple[LoadPoint, ...]
    is_alike: bool
    has_best: bool
    trials: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStudy:
    """One parameter of `LOADS`. The first line is the one to speak of."""

    name: str
    trials: tuple[LoadTrial, ...]
    lines: tuple[LoadLine, ...]
    knee: float | None
    """The load from which on little more is gained, although more was tried; None where there is no such."""
    is_rising: bool
    """Whether the highest load that was tried still gave clearly more than the others."""
    paired: tuple[float, ...]
    """The objective at the highest load over that at the lowest, of each group of alike trials that has both."""
    whole: int | None
    """The load at which all prompts run at once, where one that was tried takes them all; None elsewhere."""


def load_studies(records: Iterable[TrialRecord], objective: Objective, best: TrialRecord | None) -> list[LoadStudy]:
    """One for each of `LOADS` of which two values or more were measured."""
    counted = standing(records)
    done = [one for one in counted if one.outcome is Outcome.COMPLETED]
    ground_of = grounds(counted)
    rows = [
        _Row(
            record, value, value_of(record.measurements, "p95_ttft_s"), value_of(record.measurements, "p95_tpot_s"),
            ground_of(record),
        )
        for record in done
        if (value := objective_value(record, objective)) is not None
    ]  # fmt: skip
    found = (_study(name, rows, objective, best) for name in LOADS)
    return [one for one in found if one is not None]


class _Row(NamedTuple):
    record: TrialRecord
    value: float
    ttft_s: float | None
    tpot_s: float | None
    ground: Hashable


def _study(name: str, rows: Sequence[_Row], objective: Objective, best: TrialRecord | None) -> LoadStudy | None:
    loaded = _loads(name)
    known = [(row, load) for row in rows if (load := loaded(row.record)) is not None]
    if len({load for _, load in known}) < 2:
        return None
    done = [row.record for row in rows]
    others_of = _others(name, done)
    groups: dict[Hashable, list[LoadTrial]] = {}
    for row, load in known:
        one = LoadTrial(row.record.trial, load, row.value, row.ttft_s, row.tpot_s)
        groups.setdefault((row.ground, others_of(row.record)), []).append(one)
    trials = tuple(one for group in groups.values() for one in group)
    sign = 1 if objective.direction == "maximize" else -1
    best_trial = best.trial if best is not None else None
    lines = _lines(list(groups.values()), trials, sign, best_trial)
    values = [(point.load, sign * point.value) for point in lines[0].points]
    # The best of a few trials at each value has a shape by chance alone: only alike ones are spoken of.
    is_shown = sign > 0 and lines[0].is_alike and len(values) >= MIN_FOR_KNEE
    found = knee(values) if is_shown else None
    whole = _whole(name, done, max(one.load for one in trials))
    return LoadStudy(
        name=name, trials=trials, lines=lines, paired=tuple(_paired(groups.values())), whole=whole,
        # From where all prompts run at once more can't give more: that is no knee of the engine's.
        knee=None if found is None or (whole is not None and found >= whole) else found,
        is_rising=is_shown and values[-1][1] * NEAR > max(value for _, value in values[:-1]),
    )  # fmt: skip


def _loads(name: str) -> Callable[[TrialRecord], float | None]:
    """`load_of`, remembered by the identity of what it looks at where no parameter says it: records of a large run
    share equal ones."""
    known: dict[tuple[int, int], float | None] = {}

    def loaded(record: TrialRecord) -> float | None:
        if name in record.parameters:
            return load_of(record, name)
        key = (id(record.config), id(record.engine))
        if key not in known:
            known[key] = load_of(record, name)
        return known[key]

    return loaded


def _whole(name: str, done: Sequence[TrialRecord], highest: float) -> int | None:
    different = {(id(one.config), one.prompt_set.num_prompts): one for one in done}  # large runs share equal ones
    loads = [load for record in different.values() if (load := whole_load(record, name)) is not None]
    return max(loads) if loads and highest >= max(loads) else None


def _paired(groups: Iterable[list[LoadTrial]]) -> list[float]:
    listed = list(groups)
    loads = [one.load for group in listed for one in group]
    low, high = min(loads), max(loads)
    sides = (([one.value for one in group if one.load == end] for end in (low, high)) for group in listed)
    medians = ((_median(below), _median(above)) for below, above in sides)
    return sorted(above / below for below, above in medians if below and above is not None)


def _others(name: str, done: Sequence[TrialRecord]) -> Callable[[TrialRecord], Hashable]:
    """Gives what one of `done` has set besides `name`."""
    names = list(dict.fromkeys(key for record in done for key in record.parameters if key != name))
    known: dict[int, Hashable] = {}  # by the identity of parameters: records of a large run share equal ones

    def others_of(record: TrialRecord) -> Hashable:
        settings = record.parameters
        if id(settings) not in known:
            known[id(settings)] = tuple([key_of(settings[key]) if key in settings else None for key in names])
        return known[id(settings)]

    return others_of


def _lines(
    groups: Sequence[list[LoadTrial]], trials: Sequence[LoadTrial], sign: int, best: int | None
) -> tuple[LoadLine, ...]:
    """First the best trial's own line where it has enough points, or another that has all loads; else the best at each
    load. Then other alike ones."""
    alike = [_alike(group, best) for group in _longest(groups, best)]
    alike.sort(key=lambda line: (not line.has_best, -len(line.points), -max(sign * one.value for one in line.points)))
    every = _envelope(trials, sign, best)
    if not alike:
        return (every,)
    first, whole = alike[0], len(every.points)
    is_enough = len(first.points) >= (min(MIN_FOR_KNEE, whole) if first.has_best else whole)
    return (*alike[:MAX_LINES], every) if is_enough else (every, *alike[:MAX_LINES])


def _longest(groups: Sequence[list[LoadTrial]], best: int | None) -> list[list[LoadTrial]]:
    """Those of more than one load: of many the best trial's, and as many of the others with the most loads as are
    looked at."""
    sized = [(count, group) for group in groups if (count := len({one.load for one in group})) > 1]
    least = sorted((count for count, _ in sized), reverse=True)[:MAX_LINES][-1:] or [0]
    return [group for count, group in sized if count >= least[0] or any(one.trial == best for one in group)]


def _alike(group: Sequence[LoadTrial], best: int | None) -> LoadLine:
    loads: dict[float, list[LoadTrial]] = {}
    for one in group:
        loads.setdefault(one.load, []).append(one)
    points = tuple(
        LoadPoint(
            load=load, value=statistics.median([one.value for one in found]), count=len(found),
            ttft_s=_median(one.ttft_s for one in found), tpot_s=_median(one.tpot_s for one in found),
        )
        for load, found in sorted(loads.items())
    )  # fmt: skip
    numbers = tuple(sorted(one.trial for one in group))
    return LoadLine(points=points, is_alike=True, has_best=best in numbers, trials=numbers)


def _envelope(trials: Sequence[LoadTrial], sign: int, best: int | None) -> LoadLine:
    top: dict[float, LoadTrial] = {}
    counts: dict[float, int] = {}
    for one in trials:
        counts[one.load] = counts.get(one.load, 0) + 1
        held = top.get(one.load)
        if held is None or sign * one.value > sign * held.value:
            top[one.load] = one
    points = tuple(
        LoadPoint(load=load, value=one.value, ttft_s=one.ttft_s, tpot_s=one.tpot_s, count=counts[load])
        for load, one in sorted(top.items())
    )
    numbers = tuple(sorted(one.trial for one in top.values()))
    return LoadLine(points=points, is_alike=False, has_best=best in numbers, trials=numbers)


def _median(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def knee(values: Sequence[tuple[float, float]]) -> float | None:
    """The first load at which the line is near its top, where that is neither the first nor the last.

    >>> knee([(1, 100.0), (2, 190.0), (4, 300.0), (8, 305.0), (16, 306.0)])
    4
    >>> knee([(1, 100.0), (2, 200.0), (4, 400.0)]) is None
    True
    """
    top = max(value for _, value in values)
    arrived = next(place for place, (_, value) in enumerate(values) if value >= NEAR * top)
    return values[arrived][0] if 0 < arrived < len(values) - 1 else None
