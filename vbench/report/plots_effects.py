"""The parameters: how much each matters as bars, and the objective by value as small multiples."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.report.effect_panels import EffectPanels, Panel
from vbench.report.pair_maps import ShareBar
from vbench.report.plot_parts import WIDTH_IN, draw_bounds, link_to, numbers, safe, widen
from vbench.report.plot_theme import Theme

MAX_UPRIGHT = 5
"""Labels of more columns than this are turned."""


def draw_importance(bars: Sequence[ShareBar], theme: Theme) -> Figure:
    """A bar a parameter with its standard error; hollow where it can't be told from chance."""
    figure = Figure(figsize=(WIDTH_IN, 0.6 + 0.27 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for place, bar in enumerate(bars):
        axes.barh(
            place, bar.share, height=0.62, facecolor=theme.accent if bar.is_clear else "none", edgecolor=theme.accent,
            linewidth=1.0,
        )  # fmt: skip
        axes.hlines(place, max(0.0, bar.share - bar.error), bar.share + bar.error, color=theme.ink, linewidth=1.0)
        text = f"{bar.share:.0f}%" + ("" if bar.is_clear else ", could be chance")
        axes.annotate(
            text, (bar.share + bar.error, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8,
            color=theme.ink if bar.is_clear else theme.muted,
        )  # fmt: skip
    axes.set_yticks(range(len(bars)), [safe(bar.name) for bar in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(0, 1.3 * max([bar.share + bar.error for bar in bars] + [1.0]))
    axes.grid(visible=False)
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("share of the variation that it explains (%)")
    return figure


def draw_effects(data: EffectPanels, theme: Theme) -> Figure:
    """One panel a parameter, all on one objective axis: a dot a completed trial, a bar at each value's median."""
    columns = 2 if len(data.panels) == 4 else min(3, len(data.panels))
    rows = -(-len(data.panels) // columns)
    figure = Figure(figsize=(WIDTH_IN, 2.6 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    all_axes: list[Axes] = list(grid.flat)
    for axes, panel in zip(all_axes, data.panels, strict=False):
        _draw_panel(axes, panel, data, theme)
        axes.set_title(safe(panel.title), loc="left", color=theme.ink)
        if panel.note:
            axes.set_title(panel.note, loc="right", color=theme.muted, fontsize=8)
        axes.yaxis.set_major_formatter(numbers())
    widen(all_axes[0])
    for axes in all_axes[len(data.panels) :]:
        axes.set_axis_off()
    figure.supylabel(safe(data.axis.title()), fontsize=9, color=theme.muted)
    return figure


def _draw_panel(axes: Axes, panel: Panel, data: EffectPanels, theme: Theme) -> None:
    for middle in panel.middles:
        if middle.low is not None and middle.high is not None:
            axes.fill_between(
                [middle.start, middle.end], middle.low, middle.high, color=theme.best, alpha=0.18, linewidth=0, zorder=1
            )
        axes.hlines(middle.median, middle.start, middle.end, color=theme.best, linewidth=1.8, zorder=4)
    draw_bounds(axes, panel.bounds, theme, is_more_better=data.is_more_better)
    if panel.dots:
        marks = axes.scatter(
            [dot.x for dot in panel.dots], [dot.y for dot in panel.dots], s=16, color=theme.accent, alpha=0.75, zorder=3
        )
        if data.is_linked:
            marks.set_urls([link_to(dot.trial, dot.tip) for dot in panel.dots])
    for dot in panel.dots:
        if dot.is_best:
            axes.scatter([dot.x], [dot.y], s=80, facecolor="none", edgecolor=theme.best, linewidth=1.6, zorder=5)
    if panel.labels:
        is_crowded = len(panel.labels) > MAX_UPRIGHT
        rotation = 90 if is_crowded else 0
        axes.set_xticks(
            range(len(panel.labels)), [_label(one) for one in panel.labels], rotation=rotation, fontsize=7.5
        )
        axes.set_xlim(-0.6, len(panel.labels) - 0.4)
    else:
        _scale(axes, panel, theme)


def _label(text: str) -> str:
    return "\n".join(safe(line) for line in text.split("\n"))


def _scale(axes: Axes, panel: Panel, theme: Theme) -> None:
    axes.scatter(
        panel.failed, [0.02] * len(panel.failed), marker="x", s=18, color=theme.failed, linewidth=1.2,
        transform=axes.get_xaxis_transform(), clip_on=False,
    )  # fmt: skip
    if panel.is_log:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(numbers())
    axes.tick_params(axis="x", labelsize=8)
