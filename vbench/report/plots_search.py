"""The plots of the search itself: best so far against engine-seconds, and the front of several objectives."""

from __future__ import annotations

from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vbench.analysis.search_work import Arm
from vbench.report.plot_data import Course, ParetoPlot, axis_of, scale_of_metric
from vbench.report.plot_parts import WIDTH_IN, draw_best, draw_cells, legend, link_to, numbers, safe, widen
from vbench.report.plot_theme import Theme
from vbench.units import format_number


def draw_course(course: Course, theme: Theme) -> Figure:
    """Best so far against engine-seconds: the search's steps, and the random arm's beside them."""
    figure = Figure(figsize=(WIDTH_IN, 3.1), layout="constrained")
    axes = figure.subplots()
    arms = [course.search, *([course.random] if course.random is not None else [])]
    divisor, unit = (60.0, "min") if max(arm.engine_s for arm in arms) >= 300 else (1.0, "s")
    scale = scale_of_metric(course.objective.metric)
    if course.baseline is not None:
        axes.axhline(course.baseline / scale, color=theme.muted, linewidth=1, linestyle=(0, (4, 3)), label="baseline")
    if course.random is not None:
        _draw_arm(axes, course.random, divisor, scale, theme.best, "random arm", (0, (5, 2)))
    _draw_arm(axes, course.search, divisor, scale, theme.accent, "search", "solid")
    axes.set_xlabel(f"engine time ({unit})")
    axes.set_ylabel(safe(axis_of(course.objective.metric).title()))
    axes.xaxis.set_major_formatter(numbers())
    axes.yaxis.set_major_formatter(numbers())
    axes.set_xlim(left=0)
    widen(axes)
    legend(figure, axes, theme)
    return figure


def _draw_arm(
    axes: Axes,
    arm: Arm,
    divisor: float,
    scale: float,
    colour: str,
    label: str,
    style: str | tuple[int, tuple[int, int]],
) -> None:
    """A step for each improvement, drawn on to where the arm ended; hollow where the trial was borrowed."""
    if not arm.points:
        return
    xs = [point.engine_s / divisor for point in arm.points]
    ys = [point.value / scale for point in arm.points]
    ends = [*xs, max(arm.engine_s / divisor, xs[-1])]
    axes.step(ends, [*ys, ys[-1]], where="post", color=colour, linewidth=1.5, linestyle=style, label=label)
    for is_borrowed, face in ((False, colour), (True, "none")):
        shown = [
            (x, y, one.trial) for x, y, one in zip(xs, ys, arm.points, strict=True) if one.is_borrowed is is_borrowed
        ]
        if shown:
            axes.scatter(
                [x for x, _, _ in shown], [y for _, y, _ in shown], s=26, facecolor=face, edgecolor=colour,
                linewidth=1.1, zorder=3, label=f"{label}, borrowed" if is_borrowed else None,
                urls=[link_to(trial, f"trial {trial}: {format_number(y)}") for _, y, trial in shown],
            )  # fmt: skip


def draw_pareto(data: ParetoPlot, theme: Theme) -> Figure:
    """The first two objectives: filled and joined, the front; hollow, what another trial beats; ringed, the best."""
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    axes = figure.subplots()
    front = sorted((point.x, point.y) for point in data.points if point.is_on_front)
    if data.is_whole and len(front) > 1:
        # Steps: between two trials of the front nothing was measured, so that what is had is the nearer one's.
        where: Literal["post", "pre"] = "post" if data.is_less_x_better else "pre"
        axes.step(*zip(*front, strict=True), where=where, color=theme.accent, linewidth=1.2, alpha=0.6, zorder=2)
    draw_cells(axes, data.cells, theme)
    for is_on_front, label, face in ((True, "on the front", theme.accent), (False, "beaten by another", "none")):
        shown = [point for point in data.points if point.is_on_front is is_on_front]
        if shown:
            axes.scatter(
                [point.x for point in shown], [point.y for point in shown], s=28, facecolor=face,
                edgecolor=theme.accent if is_on_front else theme.muted, linewidth=1.1, label=label, zorder=3,
                urls=[link_to(point.trial, point.tip) for point in shown],
            )  # fmt: skip
    for point in data.points:
        if point.is_best:
            draw_best(axes, point.x, point.y, theme, f"best by the first: trial {point.trial}")
    axes.grid(visible=True, axis="both")
    axes.set_xlabel(safe(data.x_axis.title()))
    axes.set_ylabel(safe(data.y_axis.title()))
    axes.xaxis.set_major_formatter(numbers())
    axes.yaxis.set_major_formatter(numbers())
    axes.margins(x=0.06, y=0.12)
    widen(axes)
    legend(figure, axes, theme)
    return figure
