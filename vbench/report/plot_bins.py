"""Many trials made few, so that a plot of 100,000 is as readable, and as small a file, as one of a hundred.

Along the order of trials they are put into bins; on a plane, into cells. What matters most (the best, the front, the
first finals) is still drawn one by one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import TypeVar

from vbench.report.plot_data import MAX_MARKS, Bin, Cell, History, ParetoPlot, ParetoPoint, TrialMark
from vbench.units import format_number

NUM_BINS = 150
NUM_STEPS = 400
"""Steps of the best so far, at most."""
MAX_SINGLES = 200
"""Marks that are drawn one by one beside bins or cells."""
COLUMNS, ROWS = 72, 26
"""Of the plane's cells, which are squares then, about as large as a dot."""

_Item = TypeVar("_Item")


def thin_history(data: History) -> History:
    """For the plot by trial: few trials as they are, many in bins."""
    if len(data.marks) <= MAX_MARKS:
        return data
    kinds = tuple(dict.fromkeys(kind for mark in data.marks if (kind := kind_of(mark)) is not None))
    width = math.ceil(len(data.marks) / NUM_BINS)
    groups = [data.marks[start : start + width] for start in range(0, len(data.marks), width)]
    return replace(
        data,
        marks=_singles(data.marks),
        bins=tuple(_bin(group, kinds) for group in groups),
        kinds=kinds,
        incumbent=_thin_steps(data.incumbent),
        num_trials=len(data.marks),
    )


def thin_memory(data: History) -> History:
    """For the plot against peak memory: without what has no place in it, and many trials in cells."""
    shown = tuple(
        mark for mark in data.marks if mark.value is not None and mark.memory_gib is not None and not mark.is_final
    )
    if len(shown) <= MAX_MARKS:
        return replace(data, marks=shown)
    points = ((mark.memory_gib or 0.0, mark.value or 0.0, mark.is_ranked) for mark in shown)
    return replace(data, marks=_singles(shown), cells=cells_of(list(points)), num_trials=len(shown))


def thin_pareto(data: ParetoPlot) -> ParetoPlot:
    """For a front: it and the best as they are; many others in cells. Few points get their words."""
    if len(data.points) <= MAX_MARKS:
        return replace(data, points=tuple(replace(point, tip=_words(point, data)) for point in data.points))
    front = sorted((point for point in data.points if point.is_on_front), key=lambda point: (point.x, point.y))
    kept = [point for point in data.points if point.is_best and not point.is_on_front]
    others = [(point.x, point.y, False) for point in data.points if not point.is_on_front and not point.is_best]
    return replace(data, points=(*_every(front, NUM_STEPS), *kept), cells=cells_of(others))


def cells_of(points: Sequence[tuple[float, float, bool]]) -> tuple[Cell, ...]:
    """Points (x, y, whether ranked) by cells of an even grid."""
    if not points:
        return ()
    columns = _Steps.over([x for x, _, _ in points], COLUMNS)
    rows = _Steps.over([y for _, y, _ in points], ROWS)
    counts: Counter[tuple[int, int]] = Counter()
    ranked: set[tuple[int, int]] = set()
    for x, y, is_ranked in points:
        place = (columns.place(x), rows.place(y))
        counts[place] += 1
        if is_ranked:
            ranked.add(place)
    return tuple(
        Cell(x=columns.middle(place[0]), y=rows.middle(place[1]), count=count, has_ranked=place in ranked)
        for place, count in sorted(counts.items())
    )


@dataclass(frozen=True, slots=True)
class _Steps:
    """An axis cut into equal steps."""

    low: float
    size: float
    number: int

    @staticmethod
    def over(values: Sequence[float], number: int) -> _Steps:
        low, high = min(values), max(values)
        return _Steps(low, (high - low) / number or 1.0, number)

    def place(self, value: float) -> int:
        return min(int((value - self.low) / self.size), self.number - 1)

    def middle(self, place: int) -> float:
        return self.low + (place + 0.5) * self.size


def kind_of(mark: TrialMark) -> str | None:
    """How it ended, of a trial without a value; None of others."""
    if mark.value is not None:
        return None
    return "stopped_early" if mark.bound is not None else mark.outcome


def _words(point: ParetoPoint, data: ParetoPlot) -> str:
    values = ((point.y, data.y_axis), (point.x, data.x_axis))
    return f"trial {point.trial}: {', '.join(f'{format_number(value)} {axis.unit}'.strip() for value, axis in values)}"


def _bin(marks: Sequence[TrialMark], kinds: Iterable[str]) -> Bin:
    # Finals measure the few best once more: in the bins they would look like a leap of the search.
    values = [mark.value for mark in marks if mark.value is not None and not mark.is_final]
    low, middle, high = _span(values) if values else (None, None, None)
    ended = [kind_of(mark) for mark in marks]
    return Bin(
        start=marks[0].trial,
        end=marks[-1].trial,
        low=low,
        median=middle,
        high=high,
        shares=tuple(ended.count(kind) / len(marks) for kind in kinds),
    )


def _span(values: list[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    cuts = quantiles(values, n=10, method="inclusive")
    return cuts[0], cuts[4], cuts[8]


def _singles(marks: Sequence[TrialMark]) -> tuple[TrialMark, ...]:
    best = [mark for mark in marks if mark.is_best]
    finals = [mark for mark in marks if mark.is_final and mark.value is not None and not mark.is_best]
    return tuple(sorted([*best, *finals[:MAX_SINGLES]], key=lambda mark: mark.trial))


def _thin_steps(steps: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """The trials at which it changed, evenly chosen where they are very many, and the last."""
    changes = [step for before, step in zip((None, *steps), steps, strict=False) if not before or before[1] != step[1]]
    return tuple(dict.fromkeys([*_every(changes, NUM_STEPS), *steps[-1:]]))


def _every(items: Sequence[_Item], limit: int) -> list[_Item]:
    """Evenly chosen, the last among them."""
    stride = max(1, math.ceil(len(items) / limit))
    return list(items[::-stride][::-1])
