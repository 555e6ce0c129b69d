"""What the small multiples of Pareto fronts show, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer
from vbench.analysis.fronts import Cost, Front, FrontPoint
from vbench.report.dots import Dot, kept
from vbench.report.plot_data import objective_axis, scale_of
from vbench.report.text import MISSING, shorten, show_metric, show_small_share
from vbench.units import GIB, format_bytes, format_number

MAX_LINKED, MAX_DOTS = 400, 900
"""Dots of all panels together that lead to their rows, and that are drawn at all."""
MAX_FRONT = 60
"""Of a front's trials so many are drawn at most, spread evenly; its line is of all up to `MAX_STEPS`."""
MAX_STEPS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPanel:
    """The objective against one cost; `steps` is the front as a line, by the cost."""

    x_title: str
    beaten: tuple[Dot, ...]
    front: tuple[Dot, ...]
    steps: tuple[tuple[float, float], ...]
    is_more_better: bool
    """Whether more of the cost is better, so that the line holds its value towards less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontsPlot:
    """All panels, on one axis of the objective."""

    y_title: str
    panels: tuple[FrontPanel, ...]
    is_linked: bool
    num_left_out: int


def fronts_plot(found: Sequence[Front], answer: Answer) -> FrontsPlot:
    """One panel a front."""
    most = MAX_DOTS // max(1, len(found))
    panels = tuple(_panel(front, answer, most) for front in found)
    drawn = sum(len(panel.beaten) + len(panel.front) for panel in panels)
    return FrontsPlot(
        y_title=objective_axis(answer).title(), panels=panels, is_linked=drawn <= MAX_LINKED,
        num_left_out=sum(len(front.points) for front in found) - drawn,
    )  # fmt: skip


def _panel(front: Front, answer: Answer, most: int) -> FrontPanel:
    on_front = [point for point in front.points if point.is_on_front]
    beaten = [point for point in front.points if not point.is_on_front]
    scale = scale_of(answer)
    steps = sorted((scaled(front.cost, point.x), point.y / scale) for point in on_front)
    return FrontPanel(
        x_title=_title(front.cost),
        beaten=_dots(beaten, front.cost, answer, max(1, most - MAX_FRONT)),
        front=_dots(on_front, front.cost, answer, MAX_FRONT),
        steps=tuple(steps[:: max(1, -(-len(steps) // MAX_STEPS))]),
        is_more_better=front.cost.is_more_better,
    )


def _dots(points: Sequence[FrontPoint], cost: Cost, answer: Answer, most: int) -> tuple[Dot, ...]:
    best = answer.best.trial if answer.best is not None else None
    scale, metric = scale_of(answer), answer.objective.metric
    found: list[Dot] = []
    for place in kept([point.y for point in points], [point.trial for point in points], most, best):
        one = points[place]
        told = f"trial {one.trial}: {show_metric(metric, one.y)}, {cost.label.lower()} {show_cost(cost, one.x)}"
        found.append(
            Dot(
                x=scaled(cost, one.x), y=one.y / scale, trial=one.trial, tip=shorten(told, 160),
                is_best=one.trial == best,
            )
        )  # fmt: skip
    return tuple(found)


def scaled(cost: Cost, value: float) -> float:
    """In the axis's unit: GiB, milliseconds for what is well below a second, percent."""
    factors = {"bytes": 1 / GIB, "seconds": 1000.0 if cost.name == "p95_tpot_s" else 1.0, "tokens": 1.0, "share": 100.0}
    return value * factors[cost.unit]


def _title(cost: Cost) -> str:
    units = {"bytes": "GiB", "seconds": "ms" if cost.name == "p95_tpot_s" else "s", "tokens": "tokens", "share": "%"}
    return f"{cost.label} ({units[cost.unit]})"


def show_cost(cost: Cost, value: float | None) -> str:
    """For tables; `–` where it isn't known."""
    if value is None:
        return MISSING
    if cost.unit == "bytes":
        return format_bytes(value)
    if cost.unit == "share":
        return show_small_share(value)
    if cost.unit == "tokens":
        return f"{value:,.0f}"
    return f"{format_number(1000 * value)} ms" if cost.name == "p95_tpot_s" else f"{format_number(value)} s"
