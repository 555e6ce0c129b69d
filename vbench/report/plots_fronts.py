"""The objective against what it costs: a panel a cost, with the trials that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.report.dots import Dot
from vbench.report.fronts_data import FrontPanel, FrontsPlot
from vbench.report.plot_parts import WIDTH_IN, link_to, numbers, safe, widen
from vbench.report.plot_theme import Theme


def draw_fronts(data: FrontsPlot, theme: Theme) -> Figure:
    """Small multiples on one axis of the objective. Filled and joined: the front; hollow: beaten; ringed: the best."""
    columns = 2 if len(data.panels) == 4 else min(3, len(data.panels))
    rows = -(-len(data.panels) // columns)
    figure = Figure(figsize=(WIDTH_IN, 0.5 + 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    all_axes: list[Axes] = list(grid.flat)
    for axes, panel in zip(all_axes, data.panels, strict=False):
        _draw_panel(axes, panel, theme, is_linked=data.is_linked)
    widen(all_axes[0])
    for axes in all_axes[len(data.panels) :]:
        axes.set_axis_off()
    figure.supylabel(safe(data.y_title), fontsize=9, color=theme.muted)
    # A panel without anything beaten has one label fewer: the legend is of all panels' labels, each once.
    handles = {
        label: handle for axes in all_axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=4, fontsize=8, labelcolor=theme.muted,
        handlelength=1.4,
    )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, panel: FrontPanel, theme: Theme, *, is_linked: bool) -> None:
    if len(panel.steps) > 1:
        # Steps: between two trials of the front nothing was measured, so that what is had is the nearer one's.
        where: Literal["post", "pre"] = "pre" if panel.is_more_better else "post"
        axes.step(*zip(*panel.steps, strict=True), where=where, color=theme.accent, linewidth=1.2, alpha=0.6, zorder=2)
    _draw_dots(axes, panel.beaten, "none", theme.muted, "beaten by another", is_linked=is_linked)
    _draw_dots(axes, panel.front, theme.accent, theme.accent, "on the front", is_linked=is_linked)
    for dot in (*panel.front, *panel.beaten):
        if dot.is_best:
            axes.scatter([dot.x], [dot.y], s=100, facecolor="none", edgecolor=theme.best, linewidth=1.7, zorder=5,
                         label=f"the best: trial {dot.trial}")  # fmt: skip
    axes.grid(visible=True, axis="both")
    axes.set_xlabel(safe(panel.x_title))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(numbers())
    axes.yaxis.set_major_formatter(numbers())
    axes.margins(x=0.08, y=0.12)


def _draw_dots(axes: Axes, dots: Sequence[Dot], face: str, edge: str, label: str, *, is_linked: bool) -> None:
    if not dots:
        return
    marks = axes.scatter(
        [dot.x for dot in dots], [dot.y for dot in dots], s=24, facecolor=face, edgecolor=edge, linewidth=1.0,
        label=label, zorder=3,
    )  # fmt: skip
    if is_linked:
        marks.set_urls([link_to(dot.trial, dot.tip) for dot in dots])
