"""The planner's estimates against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.report.plot_parts import WIDTH_IN, numbers
from vbench.report.plot_theme import Theme

_ROOM = 1.08
_SMALLEST, _LARGEST = 22.0, 130.0  # a mark's area, of one trial and of the most


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsPanel:
    """One quantity: points are measured, planned and how many trials stand there."""

    title: str
    unit: str
    points: tuple[tuple[float, float, int], ...]


def draw_estimates(panels: Sequence[PairsPanel], theme: Theme) -> Figure:
    """A panel a quantity: planned over measured, and the line on which both are the same."""
    figure = Figure(figsize=(WIDTH_IN, 3.1), layout="constrained")
    columns = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(columns, panels, strict=True):
        _draw_panel(axes, panel, theme)
    columns[0].set_ylabel("planned")
    return figure


def _draw_panel(axes: Axes, panel: PairsPanel, theme: Theme) -> None:
    end = _ROOM * max(max(x, y) for x, y, _ in panel.points)
    axes.plot([0, end], [0, end], color=theme.muted, linewidth=1, linestyle=(0, (4, 3)))
    most = max(count for _, _, count in panel.points)
    sizes = [_SMALLEST + (_LARGEST - _SMALLEST) * (count - 1) / max(1, most - 1) for _, _, count in panel.points]
    axes.scatter(
        [x for x, _, _ in panel.points], [y for _, y, _ in panel.points], s=sizes, facecolor=theme.accent, alpha=0.75,
        edgecolor=theme.accent, zorder=3,
    )  # fmt: skip
    axes.set_title(panel.title, loc="left", color=theme.ink)
    axes.set_xlim(0, end)
    axes.set_ylim(0, end)
    axes.set_xlabel(f"measured ({panel.unit})")
    axes.grid(visible=True, axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
        axis.set_major_formatter(numbers())
