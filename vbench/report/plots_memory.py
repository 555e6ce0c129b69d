"""Plots of memory: over time by trial, and what more of it buys."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, MultipleLocator

from vbench.analysis.memory_course import RAN_OUT, SPAN_KINDS, MemoryCourse
from vbench.report import plots
from vbench.report.plot_data import History
from vbench.report.plot_parts import WIDTH_IN, numbers
from vbench.report.plot_theme import Theme
from vbench.units import GIB, format_bytes

_PANEL_IN = 1.45
_ROOM = 1.22  # above the largest reading, for the names of the phases
_NAMED_SHARE = 0.075  # of the width: a narrower phase is known by its colour alone
BUDGET_WITHIN = 1.6  # times the largest reading: a budget further up would press the lines to the ground
_SPAN_ALPHA = 0.28
_IN_MINUTES_FROM_S = 600


def draw_courses(courses: Sequence[MemoryCourse], theme: Theme) -> Figure:
    """A panel a trial, below each other on the same axes: bytes in use, the phases behind them, the budget above."""
    figure = Figure(figsize=(WIDTH_IN, 0.65 + _PANEL_IN * len(courses)), layout="constrained")
    panels = figure.subplots(len(courses), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    end = max(_end(course) for course in courses)
    top = max(course.peak[1] for course in courses) / GIB
    budgets = [course.budget_bytes / GIB for course in courses if course.budget_bytes is not None]
    shown = [budget for budget in budgets if budget <= BUDGET_WITHIN * top]
    top = max([top, *shown])
    for axes, course in zip(panels, courses, strict=True):
        _draw_spans(axes, course, end, theme)
        _draw_lines(axes, course, top, theme)
        axes.set_title(f"trial {course.trial}: {', '.join(course.why)}", loc="left", color=theme.ink)
        of_budget = "" if course.budget_bytes is None else f" of {format_bytes(course.budget_bytes)}"
        axes.set_title(f"peak {format_bytes(course.peak[1])}{of_budget}", loc="right", color=theme.muted)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(numbers())
    panels[0].set_xlim(0, end)
    panels[0].set_ylim(0, (top or 1.0) * _ROOM)
    is_long = end >= _IN_MINUTES_FROM_S
    panels[-1].set_xlabel(f"{'minutes' if is_long else 'seconds'} since the trial's start")
    if is_long:
        panels[-1].xaxis.set_major_locator(MultipleLocator(60 * math.ceil(end / 60 / 8)))
        panels[-1].xaxis.set_major_formatter(lambda seconds, _: f"{seconds / 60:,.0f}")
    figure.supylabel("memory in use (GiB)", fontsize=9, color=theme.muted)
    _legend(figure, courses, bool(shown), theme)
    return figure


def _end(course: MemoryCourse) -> float:
    return max([course.points[-1][0], *(span.end_s for span in course.spans)]) or 1.0


def _draw_spans(axes: Axes, course: MemoryCourse, end: float, theme: Theme) -> None:
    for span in course.spans:
        colour = theme.parts[SPAN_KINDS.index(span.kind)]
        axes.axvspan(span.start_s, span.end_s, color=colour, alpha=_SPAN_ALPHA, linewidth=0)
        if span.end_s - span.start_s >= _NAMED_SHARE * end:
            axes.text(
                (span.start_s + span.end_s) / 2, 0.97, span.kind, transform=axes.get_xaxis_transform(), ha="center",
                va="top", fontsize=7.5, color=theme.muted,
            )  # fmt: skip


def _draw_lines(axes: Axes, course: MemoryCourse, top: float, theme: Theme) -> None:
    for points in course.gpus.values():
        axes.plot([t for t, _ in points], [value / GIB for _, value in points], color=theme.muted, linewidth=0.8)
    axes.plot([t for t, _ in course.points], [value / GIB for _, value in course.points], color=theme.accent)
    at, peak = course.peak
    axes.scatter([at], [peak / GIB], s=22, color=theme.best, zorder=4)
    if RAN_OUT in course.why:
        last_at, last = course.points[-1]
        axes.scatter([last_at], [last / GIB], s=36, marker="x", color=theme.failed, linewidth=1.6, zorder=4)
    if course.budget_bytes is not None and course.budget_bytes / GIB <= top:
        _draw_budget(axes.axhline(course.budget_bytes / GIB), theme)


def _draw_budget(line: Line2D, theme: Theme) -> None:
    line.set(color=theme.failed, linewidth=1.2, linestyle=(0, (4, 3)))


def _legend(figure: Figure, courses: Sequence[MemoryCourse], has_budget: bool, theme: Theme) -> None:
    used = {span.kind for course in courses for span in course.spans}
    handles: list[Artist] = [
        Patch(color=colour, alpha=_SPAN_ALPHA, label=kind, linewidth=0)
        for kind, colour in zip(SPAN_KINDS, theme.parts, strict=True)
        if kind in used
    ]
    handles.append(Line2D([], [], marker="o", markersize=4.5, linestyle="", color=theme.best, label="peak"))
    if any(RAN_OUT in course.why for course in courses):
        handles.append(Line2D([], [], marker="x", linestyle="", color=theme.failed, label=RAN_OUT))
    if has_budget:
        budget = Line2D([], [], label="budget")
        _draw_budget(budget, theme)
        handles.append(budget)
    figure.legend(
        handles=handles, loc="outside upper left", ncols=len(handles), fontsize=8, labelcolor=theme.muted,
        handlelength=1.4,
    )  # fmt: skip


def draw_memory(data: History, budget_gib: float | None, theme: Theme) -> Figure:
    """The objective against peak memory; with the budget, where all trials have the same and it isn't far off."""
    figure = plots.draw_memory(data, theme)
    if budget_gib is not None:
        axes = figure.axes[0]
        _draw_budget(axes.axvline(budget_gib), theme)
        axes.annotate(
            "budget", (budget_gib, 0.02), xycoords=axes.get_xaxis_transform(), xytext=(-4, 2), ha="right", fontsize=8,
            textcoords="offset points", color=theme.failed,
        )  # fmt: skip
    return figure
