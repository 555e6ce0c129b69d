"""What every plot shares: its width, legend, numbers, and labels that the font can draw."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vbench.report.plot_theme import FONT, Theme
from vbench.report.text import FAKE_MARK
from vbench.units import format_number

WIDTH_IN = 8.6


def draw_bounds(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    theme: Theme,
    *,
    is_more_better: bool,
) -> None:
    """Open arrowheads that point to where the values of stopped trials would have been: worse than this bound."""
    if points:
        axes.scatter(
            [x for x, _ in points], [y for _, y in points], marker="v" if is_more_better else "^", s=24,
            facecolor="none", edgecolor=theme.muted, linewidth=1.0, label="stopped early", zorder=2,
        )  # fmt: skip


def widen(axes: Axes) -> None:
    """Show a tenth of the values' size at least: differences of a thousandth must not fill the plot."""
    low, high = axes.get_ylim()
    least = 0.1 * max(abs(low), abs(high))
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)


def legend(figure: Figure, axes: Axes, theme: Theme, *, is_fake: bool) -> None:
    """Above the plot; with the mark of the fake engine where it ran."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        columns = 6 if len(handles) <= 6 else 4
        figure.legend(loc="outside upper left", ncols=columns, fontsize=8, labelcolor=theme.muted, handlelength=1.4)
    if is_fake:
        axes.set_title(FAKE_MARK, loc="right", color=theme.best, fontweight="bold")


def numbers() -> FuncFormatter:
    """Ticks as four digits, thousands separated."""
    return FuncFormatter(lambda value, _: format_number(value, 4) if value else "0")


@cache
def _drawable() -> frozenset[int]:
    """Code points that the font has: for others matplotlib warns and draws a box."""
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())


def safe(text: str) -> str:
    """Foreign text as a label: what the font lacks becomes ▯."""
    return "".join(char if ord(char) in _drawable() else "▯" for char in text)
