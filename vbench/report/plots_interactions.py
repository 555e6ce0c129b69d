"""Pairs of parameters as small heat maps, with the numbers in the cells."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vbench.report.pair_maps import CellMap
from vbench.report.plot_parts import WIDTH_IN, safe
from vbench.report.plot_theme import Theme

_PALEST, _STRONGEST = 0.06, 0.62
"""Opacity of the lowest and the highest cell: the numbers stay readable on all of them."""


def draw_pairs(maps: Sequence[CellMap], theme: Theme) -> Figure:
    """One below the other: a row a value of the first parameter, a column a value of the second."""
    heights = [0.9 + 0.42 * len(one.rows) for one in maps]
    figure = Figure(figsize=(WIDTH_IN, sum(heights)), layout="constrained")
    grid = figure.subplots(len(maps), 1, squeeze=False, height_ratios=heights)
    for axes, one in zip(grid.flat, maps, strict=True):
        _draw_map(axes, one, theme)
    return figure


def _draw_map(axes: Axes, data: CellMap, theme: Theme) -> None:
    size = 7.5 if len(data.columns) <= 6 else 6.5
    for row, cells in enumerate(data.cells):
        for column, (text, shade, is_tried) in enumerate(cells):
            corner = (column - 0.49, row - 0.47)
            if shade is not None:
                opacity = _PALEST + shade * (_STRONGEST - _PALEST)
                axes.add_patch(Rectangle(corner, 0.98, 0.94, facecolor=theme.accent, alpha=opacity, linewidth=0))
            elif is_tried:
                axes.add_patch(Rectangle(corner, 0.98, 0.94, facecolor="none", edgecolor=theme.failed, linewidth=0.8))
            else:
                axes.add_patch(
                    Rectangle(corner, 0.98, 0.94, facecolor="none", edgecolor=theme.grid, hatch="////", linewidth=0)
                )
                continue
            axes.text(
                column, row, safe_lines(text), ha="center", va="center", fontsize=size, color=theme.ink, linespacing=1.1
            )
    axes.set_xlim(-0.55, len(data.columns) - 0.45)
    axes.set_ylim(len(data.rows) - 0.45, -0.55)
    axes.set_xticks(range(len(data.columns)), [safe(one) for one in data.columns], fontsize=8)
    axes.set_yticks(range(len(data.rows)), [safe(one) for one in data.rows], fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False)
    axes.set_xlabel(safe(data.second))
    axes.set_ylabel(safe(data.first), color=theme.muted)
    axes.set_title(data.title, loc="left", color=theme.muted, fontsize=8)


def safe_lines(text: str) -> str:
    """Each line made fit to print; the breaks between them stay."""
    return "\n".join(safe(line) for line in text.split("\n"))
