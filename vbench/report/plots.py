"""The plots: data in, picture out. Only they (`plots*`, `plot_parts`) import matplotlib, without pyplot and its global
figures.

Each picture is drawn twice as SVG, for light and dark pages, and once as PNG for the plots folder.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.analysis.timing import TimeSplit
from vbench.report.plot_data import History, TrialMark
from vbench.report.plot_parts import WIDTH_IN, draw_bounds, legend, numbers, safe, widen
from vbench.report.plot_theme import DARK, LIGHT, Theme, style_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One plot, drawn: SVG for the page in both themes, PNG for the folder."""

    light_svg: bytes
    dark_svg: bytes
    png: bytes


def render(draw: Callable[[Theme], Figure]) -> Picture:
    """Draw in each theme. matplotlib's settings hold only inside; the same data gives the same bytes."""
    return Picture(
        light_svg=_save(draw, LIGHT, "svg"), dark_svg=_save(draw, DARK, "svg"), png=_save(draw, LIGHT, "png")
    )


def _save(draw: Callable[[Theme], Figure], theme: Theme, kind: str) -> bytes:
    # matplotlib's defaults, not the user's matplotlibrc: a report looks the same everywhere. But for the backend, which
    # rc_context wouldn't put back and nothing here uses.
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if "backend" not in name}
    settings: Any = {**defaults, **style_of(theme, kind)}
    with mpl.rc_context(settings):
        buffer = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        draw(theme).savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def draw_history(data: History, theme: Theme) -> Figure:
    """The objective by trial with its interval, the best so far as a line; below, one row a kind of failure."""
    failures = list(dict.fromkeys(mark.outcome for mark in data.marks if mark.value is None and mark.bound is None))
    height = 3.1 + 0.2 * len(failures) + (0.35 if failures else 0)
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    if failures:
        top, rows = figure.subplots(2, 1, sharex=True, height_ratios=(3.1, 0.2 * len(failures) + 0.1))
        _draw_failure_rows(rows, data.marks, failures, theme)
        top.tick_params(axis="x", length=0, labelbottom=False)
        bottom = rows
    else:
        top = bottom = figure.subplots()
    if data.baseline is not None:
        top.axhline(data.baseline, color=theme.muted, linewidth=1, linestyle=(0, (4, 3)), label="baseline")
    if data.incumbent:
        steps = [*data.incumbent, (data.marks[-1].trial + 0.5, data.incumbent[-1][1])]
        top.step(*zip(*steps, strict=True), where="post", color=theme.accent, linewidth=1.4, label="best so far")
    draw_bounds(
        top,
        [(float(mark.trial), mark.bound) for mark in data.marks if mark.bound is not None],
        theme,
        is_more_better=data.is_more_better,
    )
    _draw_marks(top, data.marks, [float(mark.trial) for mark in data.marks], theme)
    _draw_finals(top, data.marks, theme)
    top.set_ylabel(safe(data.axis.title()))
    widen(top)
    top.yaxis.set_major_formatter(numbers())
    bottom.set_xlabel("trial")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom.set_xlim(data.marks[0].trial - 0.7, data.marks[-1].trial + 0.7)
    legend(figure, top, theme, is_fake=data.is_fake)
    return figure


def _draw_marks(axes: Axes, marks: Sequence[TrialMark], places: Sequence[float], theme: Theme) -> None:
    """Filled: ranked; hollow: measured, but over the budget or beyond a constraint; square: of the random arm; ringed:
    the best."""
    kinds: tuple[tuple[str, str, str, Callable[[TrialMark], bool]], ...] = (
        ("ranked", "o", theme.accent, lambda mark: mark.is_ranked and not mark.is_random),
        ("measured, not ranked", "o", "none", lambda mark: not mark.is_ranked and not mark.is_random),
        ("random arm", "s", theme.accent, lambda mark: mark.is_ranked and mark.is_random),
        ("random arm, not ranked", "s", "none", lambda mark: not mark.is_ranked and mark.is_random),
    )
    for label, shape, face, is_kind in kinds:
        xs: list[float] = []
        ys: list[float] = []
        for place, mark in zip(places, marks, strict=True):
            if mark.value is None or mark.is_final or not is_kind(mark):
                continue
            xs.append(place)
            ys.append(mark.value)
            if mark.low is not None and mark.high is not None:
                axes.vlines(place, mark.low, mark.high, color=theme.accent, linewidth=1.1, alpha=0.6)
        if xs:
            axes.scatter(
                xs, ys, s=26, marker=shape, facecolor=face, edgecolor=theme.accent, linewidth=1.1, label=label, zorder=3
            )
    for place, mark in zip(places, marks, strict=True):
        if mark.is_best and mark.value is not None:
            axes.scatter(
                [place], [mark.value], s=110, facecolor="none", edgecolor=theme.best, linewidth=1.8, zorder=4,
                label=f"best: trial {mark.trial}",
            )  # fmt: skip


def _draw_finals(axes: Axes, marks: Sequence[TrialMark], theme: Theme) -> None:
    finals = [mark for mark in marks if mark.is_final and mark.value is not None]
    for mark in finals:
        if mark.low is not None and mark.high is not None:
            axes.vlines(mark.trial, mark.low, mark.high, color=theme.best, linewidth=1.1, alpha=0.6)
    if finals:
        axes.scatter(
            [mark.trial for mark in finals], [mark.value or 0.0 for mark in finals], marker="D", s=22, zorder=3,
            facecolor=theme.best, edgecolor=theme.best, linewidth=1.1, label="measured again",
        )  # fmt: skip


def _draw_failure_rows(axes: Axes, marks: Sequence[TrialMark], outcomes: list[str], theme: Theme) -> None:
    for row, outcome in enumerate(outcomes):
        failed = [mark.trial for mark in marks if mark.value is None and mark.bound is None and mark.outcome == outcome]
        axes.scatter(failed, [row] * len(failed), marker="x", s=22, color=theme.failed, linewidth=1.4)
    axes.set_yticks(range(len(outcomes)), [outcome.replace("_", " ") for outcome in outcomes])
    axes.set_ylim(len(outcomes) - 0.4, -0.6)
    axes.grid(visible=False)


def draw_memory(data: History, theme: Theme) -> Figure:
    """The objective against peak memory: what more memory buys."""
    marks = [
        mark for mark in data.marks if mark.value is not None and mark.memory_gib is not None and not mark.is_final
    ]
    figure = Figure(figsize=(WIDTH_IN, 3.3), layout="constrained")
    axes = figure.subplots()
    _draw_marks(axes, marks, [mark.memory_gib or 0.0 for mark in marks], theme)
    axes.grid(visible=True, axis="both")
    axes.set_xlabel("peak memory (GiB)")
    axes.set_ylabel(safe(data.axis.title()))
    axes.yaxis.set_major_formatter(numbers())
    axes.margins(x=0.06, y=0.12)
    widen(axes)
    legend(figure, axes, theme, is_fake=data.is_fake)
    return figure


def draw_time(splits: Sequence[TimeSplit], is_fake: bool, theme: Theme) -> Figure:
    """Where each trial's time went: a stacked bar of start-up, warm-up, timed passes and the rest."""
    figure = Figure(figsize=(WIDTH_IN, 2.9), layout="constrained")
    axes = figure.subplots()
    divisor, unit = (60.0, "min") if max(split.total_s for split in splits) >= 300 else (1.0, "s")
    trials = [split.trial for split in splits]
    base = [0.0] * len(splits)
    before = "probe, warm-up" if any(split.probe_s for split in splits) else "warm-up"
    parts: tuple[tuple[str, Callable[[TimeSplit], float]], ...] = (
        ("start-up", lambda split: split.startup_s),
        (before, lambda split: split.probe_s + split.warmup_s),
        ("timed passes", lambda split: split.timed_s),
        ("other", lambda split: split.closing_s + split.other_s),
    )
    for (label, seconds_of), colour in zip(parts, theme.parts, strict=True):
        heights = [seconds_of(split) / divisor for split in splits]
        axes.bar(trials, heights, width=0.72, bottom=base, color=colour, label=label)
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xlabel("trial")
    axes.set_ylabel(f"time ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(numbers())
    axes.set_xlim(trials[0] - 0.7, trials[-1] + 0.7)
    legend(figure, axes, theme, is_fake=is_fake)
    return figure
