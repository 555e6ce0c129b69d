"""The plots: data in, picture out. The only module that imports matplotlib, without pyplot and its global figures.

Each picture is drawn twice as SVG, for light and dark pages, and once as PNG for the plots folder.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vbench.analysis.effects import ParameterEffect
from vbench.analysis.timing import TimeSplit
from vbench.report.plot_data import History, TrialMark
from vbench.report.plot_theme import DARK, FONT, LIGHT, Theme, style_of
from vbench.report.text import FAKE_MARK, shorten, show_value
from vbench.units import format_number

MAX_PANELS = 12
"""Parameters drawn in the small multiples; the table has them all."""
MAX_CATEGORIES = 6
"""Up to here values are side by side, each with its median; more numbers than this get an axis to scale."""
_WIDTH_IN = 8.6


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
    failures = list(dict.fromkeys(mark.outcome for mark in data.marks if mark.value is None))
    height = 3.1 + 0.2 * len(failures) + (0.35 if failures else 0)
    figure = Figure(figsize=(_WIDTH_IN, height), layout="constrained")
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
    _draw_marks(top, data.marks, [float(mark.trial) for mark in data.marks], theme)
    top.set_ylabel(_safe(data.axis.title()))
    _widen(top)
    top.yaxis.set_major_formatter(_numbers())
    bottom.set_xlabel("trial")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom.set_xlim(data.marks[0].trial - 0.7, data.marks[-1].trial + 0.7)
    _legend(figure, top, theme, is_fake=data.is_fake)
    return figure


def _draw_marks(axes: Axes, marks: Sequence[TrialMark], places: Sequence[float], theme: Theme) -> None:
    """Filled: ranked; hollow: measured, but over the budget or beyond a constraint; ringed: the best."""
    for is_ranked, label, face in ((True, "ranked", theme.accent), (False, "measured, not ranked", "none")):
        xs: list[float] = []
        ys: list[float] = []
        for place, mark in zip(places, marks, strict=True):
            if mark.value is None or mark.is_ranked is not is_ranked:
                continue
            xs.append(place)
            ys.append(mark.value)
            if mark.low is not None and mark.high is not None:
                axes.vlines(place, mark.low, mark.high, color=theme.accent, linewidth=1.1, alpha=0.6)
        if xs:
            axes.scatter(xs, ys, s=26, facecolor=face, edgecolor=theme.accent, linewidth=1.1, label=label, zorder=3)
    for place, mark in zip(places, marks, strict=True):
        if mark.is_best and mark.value is not None:
            axes.scatter(
                [place], [mark.value], s=110, facecolor="none", edgecolor=theme.best, linewidth=1.8, zorder=4,
                label=f"best: trial {mark.trial}",
            )  # fmt: skip


def _draw_failure_rows(axes: Axes, marks: Sequence[TrialMark], outcomes: list[str], theme: Theme) -> None:
    for row, outcome in enumerate(outcomes):
        failed = [mark.trial for mark in marks if mark.value is None and mark.outcome == outcome]
        axes.scatter(failed, [row] * len(failed), marker="x", s=22, color=theme.failed, linewidth=1.4)
    axes.set_yticks(range(len(outcomes)), [outcome.replace("_", " ") for outcome in outcomes])
    axes.set_ylim(len(outcomes) - 0.4, -0.6)
    axes.grid(visible=False)


def draw_effects(effects: Sequence[ParameterEffect], data: History, scale: float, theme: Theme) -> Figure:
    """One panel a parameter, all on one objective axis: a dot a completed trial, a bar at each value's median."""
    shown = list(effects)[:MAX_PANELS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(_WIDTH_IN, 2.5 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for panel, effect in zip(panels, shown, strict=False):
        if effect.is_numeric and len(effect.values) > MAX_CATEGORIES:
            _draw_scaled_panel(panel, effect, scale, theme)
        else:
            _draw_category_panel(panel, effect, scale, theme)
        # Of a dotted name the end tells it apart: `speculative_config.ngram.num_speculative_tokens`.
        name = shorten(effect.name, 200)
        panel.set_title(_safe(name if len(name) <= 34 else "…" + name[-33:]), loc="left", color=theme.ink)
        panel.yaxis.set_major_formatter(_numbers())
    _widen(panels[0])
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    figure.supylabel(_safe(data.axis.title()), fontsize=9, color=theme.muted)
    if data.is_fake:
        figure.suptitle(FAKE_MARK, fontsize=9, color=theme.best, fontweight="bold", x=0.99, ha="right")
    return figure


def _draw_category_panel(axes: Axes, effect: ParameterEffect, scale: float, theme: Theme) -> None:
    labels: list[str] = []
    room = max(6, 30 // len(effect.values))
    for place, value in enumerate(effect.values):
        # Spread by a fixed pattern, not by chance: the same data gives the same picture.
        xs = [place + (0, 1, -1, 2, -2)[index % 5] * 0.055 for index in range(len(value.results))]
        axes.scatter(
            xs, [result / scale for _, result in value.results], s=18, color=theme.accent, alpha=0.75, zorder=3
        )
        if value.median is not None:
            axes.hlines(value.median / scale, place - 0.28, place + 0.28, color=theme.best, linewidth=1.8, zorder=4)
        failed = f"\n× {value.num_failed} failed" if value.num_failed else ""
        labels.append(_safe(shorten(show_value(value.value), room)) + failed)
    is_crowded = len(effect.values) > MAX_CATEGORIES
    axes.set_xticks(range(len(labels)), labels, rotation=90 if is_crowded else 0, fontsize=8)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _draw_scaled_panel(axes: Axes, effect: ParameterEffect, scale: float, theme: Theme) -> None:
    xs = [float(value.value) for value in effect.values for _ in value.results]
    ys = [result / scale for value in effect.values for _, result in value.results]
    axes.scatter(xs, ys, s=18, color=theme.accent, alpha=0.75, zorder=3)
    failed = [float(value.value) for value in effect.values if value.num_failed]
    axes.scatter(
        failed, [0.02] * len(failed), marker="x", s=18, color=theme.failed, linewidth=1.2,
        transform=axes.get_xaxis_transform(), clip_on=False,
    )  # fmt: skip
    numbers = [float(value.value) for value in effect.values]
    if min(numbers) > 0 and max(numbers) / min(numbers) >= 50:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(_numbers())
    axes.tick_params(axis="x", labelsize=8)


def draw_memory(data: History, theme: Theme) -> Figure:
    """The objective against peak memory: what more memory buys."""
    marks = [mark for mark in data.marks if mark.value is not None and mark.memory_gib is not None]
    figure = Figure(figsize=(_WIDTH_IN, 3.3), layout="constrained")
    axes = figure.subplots()
    _draw_marks(axes, marks, [mark.memory_gib or 0.0 for mark in marks], theme)
    axes.grid(visible=True, axis="both")
    axes.set_xlabel("peak memory (GiB)")
    axes.set_ylabel(_safe(data.axis.title()))
    axes.yaxis.set_major_formatter(_numbers())
    axes.margins(x=0.06, y=0.12)
    _widen(axes)
    _legend(figure, axes, theme, is_fake=data.is_fake)
    return figure


def draw_time(splits: Sequence[TimeSplit], is_fake: bool, theme: Theme) -> Figure:
    """Where each trial's time went: a stacked bar of start-up, warm-up, timed passes and the rest."""
    figure = Figure(figsize=(_WIDTH_IN, 2.9), layout="constrained")
    axes = figure.subplots()
    divisor, unit = (60.0, "min") if max(split.total_s for split in splits) >= 300 else (1.0, "s")
    trials = [split.trial for split in splits]
    base = [0.0] * len(splits)
    parts = (("start-up", "startup_s"), ("warm-up", "warmup_s"), ("timed passes", "timed_s"), ("other", "other_s"))
    for (label, field), colour in zip(parts, theme.parts, strict=True):
        heights = [float(getattr(split, field)) / divisor for split in splits]
        axes.bar(trials, heights, width=0.72, bottom=base, color=colour, label=label)
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xlabel("trial")
    axes.set_ylabel(f"time ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(_numbers())
    axes.set_xlim(trials[0] - 0.7, trials[-1] + 0.7)
    _legend(figure, axes, theme, is_fake=is_fake)
    return figure


def _widen(axes: Axes) -> None:
    """Show a tenth of the values' size at least: differences of a thousandth must not fill the plot."""
    low, high = axes.get_ylim()
    least = 0.1 * max(abs(low), abs(high))
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)


def _legend(figure: Figure, axes: Axes, theme: Theme, *, is_fake: bool) -> None:
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(loc="outside upper left", ncols=5, fontsize=8, labelcolor=theme.muted, handlelength=1.4)
    if is_fake:
        axes.set_title(FAKE_MARK, loc="right", color=theme.best, fontweight="bold")


def _numbers() -> FuncFormatter:
    return FuncFormatter(lambda value, _: format_number(value, 4) if value else "0")


@cache
def _drawable() -> frozenset[int]:
    """Code points that the font has: for others matplotlib warns and draws a box."""
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())


def _safe(text: str) -> str:
    """Foreign text as a label: what the font lacks becomes ▯."""
    return "".join(char if ord(char) in _drawable() else "▯" for char in text)
