"""Small multiples: the objective by value, a panel a parameter."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.analysis.effects import ParameterEffect
from vbench.report.plot_data import History
from vbench.report.plot_parts import WIDTH_IN, draw_bounds, numbers, safe, widen
from vbench.report.plot_theme import Theme
from vbench.report.text import FAKE_MARK, shorten, show_value

MAX_PANELS = 12
"""Parameters drawn in the small multiples; the table has them all."""
MAX_CATEGORIES = 6
"""Up to here values are side by side, each with its median; more numbers than this get an axis to scale."""


def draw_effects(effects: Sequence[ParameterEffect], data: History, scale: float, theme: Theme) -> Figure:
    """One panel a parameter, all on one objective axis: a dot a completed trial, a bar at each value's median."""
    shown = list(effects)[:MAX_PANELS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(WIDTH_IN, 2.5 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for panel, effect in zip(panels, shown, strict=False):
        if effect.is_numeric and len(effect.values) > MAX_CATEGORIES:
            _draw_scaled_panel(panel, effect, data, scale, theme)
        else:
            _draw_category_panel(panel, effect, data, scale, theme)
        # Of a dotted name the end tells it apart: `speculative_config.ngram.num_speculative_tokens`.
        name = shorten(effect.name, 200)
        panel.set_title(safe(name if len(name) <= 34 else "…" + name[-33:]), loc="left", color=theme.ink)
        panel.yaxis.set_major_formatter(numbers())
    widen(panels[0])
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    figure.supylabel(safe(data.axis.title()), fontsize=9, color=theme.muted)
    if data.is_fake:
        figure.suptitle(FAKE_MARK, fontsize=9, color=theme.best, fontweight="bold", x=0.99, ha="right")
    return figure


def _draw_category_panel(axes: Axes, effect: ParameterEffect, data: History, scale: float, theme: Theme) -> None:
    labels: list[str] = []
    room = max(6, 30 // len(effect.values))
    for place, value in enumerate(effect.values):
        xs = _spread(place, len(value.results))
        axes.scatter(
            xs, [result / scale for _, result in value.results], s=18, color=theme.accent, alpha=0.75, zorder=3
        )
        bounds = [bound / scale for _, bound in value.bounds]
        draw_bounds(
            axes,
            list(zip(_spread(place, len(bounds)), bounds, strict=True)),
            theme,
            is_more_better=data.is_more_better,
        )
        if value.median is not None:
            axes.hlines(value.median / scale, place - 0.28, place + 0.28, color=theme.best, linewidth=1.8, zorder=4)
        stopped = f"\n{'▽' if data.is_more_better else '△'} {value.num_pruned}" if value.num_pruned else ""
        failed = f"\n× {value.num_failed} failed" if value.num_failed else ""
        labels.append(safe(shorten(show_value(value.value), room)) + stopped + failed)
    is_crowded = len(effect.values) > MAX_CATEGORIES
    axes.set_xticks(range(len(labels)), labels, rotation=90 if is_crowded else 0, fontsize=8)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _spread(place: float, count: int) -> list[float]:
    """Places side by side, by a fixed pattern, not by chance: the same data gives the same picture."""
    return [place + (0, 1, -1, 2, -2)[index % 5] * 0.055 for index in range(count)]


def _draw_scaled_panel(axes: Axes, effect: ParameterEffect, data: History, scale: float, theme: Theme) -> None:
    xs = [float(value.value) for value in effect.values for _ in value.results]
    ys = [result / scale for value in effect.values for _, result in value.results]
    bounds = [(float(value.value), bound / scale) for value in effect.values for _, bound in value.bounds]
    draw_bounds(axes, bounds, theme, is_more_better=data.is_more_better)
    axes.scatter(xs, ys, s=18, color=theme.accent, alpha=0.75, zorder=3)
    failed = [float(value.value) for value in effect.values if value.num_failed]
    axes.scatter(
        failed, [0.02] * len(failed), marker="x", s=18, color=theme.failed, linewidth=1.2,
        transform=axes.get_xaxis_transform(), clip_on=False,
    )  # fmt: skip
    places = [float(value.value) for value in effect.values]
    if min(places) > 0 and max(places) / min(places) >= 50:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(numbers())
    axes.tick_params(axis="x", labelsize=8)
