"""What the small multiples of parameters show, as plain data: the objective by value, a panel a parameter."""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer
from vbench.analysis.effects import ParameterEffect, ValueEffect
from vbench.analysis.importance import Importance
from vbench.report.dots import Dot, end_of, kept
from vbench.report.plot_data import Axis, objective_axis, scale_of
from vbench.report.text import shorten, show_metric, show_value

MAX_PANELS = 12
"""Parameters that are drawn; the table has them all."""
MAX_CATEGORIES = 6
"""Up to here numbers are side by side, each with its median; more than this get an axis to scale."""
MAX_COLUMNS = 16
"""Words side by side; those with the most trials. The table has them all."""
MAX_LINKED, MAX_DOTS = 400, 1200
"""Dots of all panels together that lead to their rows, and that are drawn at all: a page stays small. Of more trials
these are drawn, spread evenly from worst to best."""
NUM_BINS = 8
"""On an axis to scale the median is of so many bins at most, of about as many trials each."""
LOG_FROM = 50
"""An axis is logarithmic where the largest number is so many times the smallest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """A median, drawn from `start` to `end`; `low` and `high` hold half of the trials, None of few."""

    start: float
    end: float
    median: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One parameter. `labels` name the columns by place; empty where `x` is to scale."""

    title: str
    note: str
    labels: tuple[str, ...]
    is_log: bool
    dots: tuple[Dot, ...]
    middles: tuple[Middle, ...]
    bounds: tuple[tuple[float, float], ...]
    failed: tuple[float, ...]
    """Where trials failed, on an axis to scale; columns say it in their labels."""
    num_left_out: int = 0
    """Dots that aren't drawn."""
    num_columns_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectPanels:
    """The small multiples, all on one axis of the objective."""

    axis: Axis
    panels: tuple[Panel, ...]
    is_more_better: bool
    is_linked: bool
    """Whether the dots are few enough to lead to their rows."""


def effect_panels(effects: Sequence[ParameterEffect], answer: Answer, found: Importance) -> EffectPanels:
    """The panels, the most important parameter first where that is known."""
    shares = {share.name: share for share in found.shares}
    notes = {name: f"{one.share:.0%}{'' if one.is_clear else '?'}" for name, one in shares.items()}
    varied = [one for one in effects if len(one.values) > 1]
    shown = in_order_of_importance(varied or effects, found)[:MAX_PANELS]
    most = MAX_DOTS // max(1, len(shown))
    panels = tuple(_panel(one, answer, notes.get(one.name, ""), most) for one in shown)
    return EffectPanels(
        axis=objective_axis(answer),
        panels=panels,
        is_linked=sum(len(panel.dots) for panel in panels) <= MAX_LINKED,
        is_more_better=answer.objective.direction == "maximize",
    )


def in_order_of_importance(effects: Sequence[ParameterEffect], found: Importance) -> list[ParameterEffect]:
    """By share; those without one after them, in the order given, and what never varied at the end."""
    rank = {share.name: place for place, share in enumerate(found.shares)}
    return sorted(effects, key=lambda one: (len(one.values) < 2, rank.get(one.name, len(rank))))


def _panel(effect: ParameterEffect, answer: Answer, note: str, most: int) -> Panel:
    is_scaled = effect.is_numeric and len(effect.values) > MAX_CATEGORIES
    values = list(effect.values)
    left_out = 0
    if not is_scaled and len(values) > MAX_COLUMNS:
        frequent = sorted(range(len(values)), key=lambda one: (-values[one].num_trials, one))[:MAX_COLUMNS]
        left_out = len(values) - MAX_COLUMNS
        values = [values[one] for one in sorted(frequent)]
    places = [float(one.value) if is_scaled else float(place) for place, one in enumerate(values)]
    scale = scale_of(answer)
    count = sum(len(one.results) for one in values)
    dots = _dots(effect.name, values, places, answer, most, is_scaled=is_scaled)
    return Panel(
        # Of a dotted name the end tells it apart: `speculative_config.ngram.num_speculative_tokens`.
        title=end_of(effect.name, 28 if note else 34),  # the note stands beside it
        note=note,
        labels=() if is_scaled else tuple(_label(one, len(values), answer) for one in values),
        is_log=is_scaled and min(places) > 0 and max(places) / min(places) >= LOG_FROM,
        dots=dots,
        middles=tuple(_binned_middles(values, scale) if is_scaled else _middles(values, scale)),
        bounds=tuple(_bounds(values, places, scale, most, is_scaled=is_scaled)),
        failed=_failed(values, places, most) if is_scaled else (),
        num_left_out=count - len(dots),
        num_columns_left_out=left_out,
    )


def _dots(
    name: str, values: Sequence[ValueEffect], places: Sequence[float], answer: Answer, most: int, *, is_scaled: bool
) -> tuple[Dot, ...]:
    every = [pair for one in values for pair in one.results]
    ends = list(itertools.accumulate(len(one.results) for one in values))
    best = answer.best.trial if answer.best is not None else None
    scale, metric = scale_of(answer), answer.objective.metric
    found: list[Dot] = []
    for place in kept([result for _, result in every], [trial for trial, _ in every], most, best):
        trial, result = every[place]
        column = bisect.bisect_right(ends, place)
        index = place - (ends[column - 1] if column else 0)
        x = places[column] if is_scaled else places[column] + _offset(index)
        tip = shorten(f"trial {trial}: {show_metric(metric, result)}, {name}={show_value(values[column].value)}", 160)
        found.append(Dot(x=x, y=result / scale, trial=trial, tip=tip, is_best=trial == best))
    return tuple(found)


def _offset(index: int) -> float:
    """Places side by side, by a fixed pattern, not by chance: the same data gives the same picture."""
    return (0, 1, -1, 2, -2)[index % 5] * 0.055


def _label(one: ValueEffect, count: int, answer: Answer) -> str:
    stopped = f"\n{'▽' if answer.objective.direction == 'maximize' else '△'} {one.num_pruned}" if one.num_pruned else ""
    failed = f"\n× {one.num_failed}" if one.num_failed else ""
    room = max(6, 30 // count)
    return f"{shorten(show_value(one.value), room)}\nn {len(one.results):,}{stopped}{failed}"


def _middles(values: Sequence[ValueEffect], scale: float) -> list[Middle]:
    found: list[Middle] = []
    for place, one in enumerate(values):
        if one.median is not None:
            found.append(_middle(place - 0.28, place + 0.28, [result / scale for _, result in one.results]))
    return found


def _binned_middles(values: Sequence[ValueEffect], scale: float) -> list[Middle]:
    """Of neighbouring numbers together, so that each bin has about as many trials; empty where trials are few."""
    total = sum(len(one.results) for one in values)
    num_bins = min(NUM_BINS, total // 4)
    if num_bins < 2:
        return []
    bins: list[list[tuple[float, float]]] = [[] for _ in range(num_bins)]
    behind = 0
    for one in values:
        place = min(num_bins - 1, int(num_bins * (behind + len(one.results) / 2) / total))
        bins[place] += [(float(one.value), result / scale) for _, result in one.results]
        behind += len(one.results)
    return [
        _middle(min(x for x, _ in points), max(x for x, _ in points), [y for _, y in points])
        for points in bins
        if points
    ]


def _middle(start: float, end: float, ys: list[float]) -> Middle:
    low = high = None
    if len(ys) >= 8:
        low, _, high = statistics.quantiles(ys, n=4, method="inclusive")
    return Middle(start=start, end=end, median=statistics.median(ys), low=low, high=high)


def _failed(values: Sequence[ValueEffect], places: Sequence[float], most: int) -> tuple[float, ...]:
    found = [place for place, one in zip(places, values, strict=True) if one.num_failed]
    return tuple(found[:: max(1, -(-len(found) // most))])


def _bounds(
    values: Sequence[ValueEffect], places: Sequence[float], scale: float, most: int, *, is_scaled: bool
) -> list[tuple[float, float]]:
    found = [
        (place if is_scaled else place + _offset(index), bound / scale)
        for place, one in zip(places, values, strict=True)
        for index, (_, bound) in enumerate(one.bounds)
    ]
    step = max(1, -(-len(found) // most))
    return found[::step]
