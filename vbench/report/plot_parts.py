"""What every plot shares: its width, legend, numbers, and labels that the font can draw."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vbench.report.plot_data import Cell
from vbench.report.plot_theme import Theme
from vbench.report.svg import LINK_SEPARATOR
from vbench.report.text import printable
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


def draw_best(axes: Axes, x: float, y: float, theme: Theme, label: str) -> None:
    """A ring around the best."""
    axes.scatter([x], [y], s=110, facecolor="none", edgecolor=theme.best, linewidth=1.8, zorder=4, label=label)


def draw_cells(axes: Axes, cells: Sequence[Cell], theme: Theme) -> None:
    """Squares for many points each, the stronger the more; grey where none of them was ranked."""
    shades = (
        (1, 1, "1 trial", 0.25),
        (2, 9, "2 to 9", 0.45),
        (10, 99, "10 to 99", 0.7),
        (100, 10**9, "100 or more", 1),
    )
    for has_ranked, colour in ((False, theme.muted), (True, theme.accent)):
        for least, most, label, alpha in shades:
            found = [cell for cell in cells if least <= cell.count <= most and cell.has_ranked is has_ranked]
            if found:
                axes.scatter(
                    [cell.x for cell in found], [cell.y for cell in found], s=28, marker="s", zorder=2, linewidth=0,
                    color=colour, alpha=alpha, label=label if has_ranked else None,
                )  # fmt: skip


def link_to(trial: int, tip: str = "") -> str:
    """For an artist's `urls`: in the page the mark leads to the trial's row and shows `tip` when pointed at."""
    return f"#trial-{trial}{LINK_SEPARATOR}{safe(tip)}"


def widen(axes: Axes) -> None:
    """Show a tenth of the values' size at least: differences of a thousandth must not fill the plot."""
    low, high = axes.get_ylim()
    least = 0.1 * max(abs(low), abs(high))
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)


def legend(figure: Figure, axes: Axes, theme: Theme) -> None:
    """Above the plot. The mark of what isn't a plain measurement is the drawing pipeline's: every plot gets it."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        columns = 6 if len(handles) <= 6 else 4
        figure.legend(loc="outside upper left", ncols=columns, fontsize=8, labelcolor=theme.muted, handlelength=1.4)


def numbers() -> FuncFormatter:
    """Ticks as four digits, thousands separated."""
    return FuncFormatter(lambda value, _: format_number(value, 4) if value else "0")


def safe(text: str) -> str:
    """Foreign text as a label: as it is, but for what can't be shown. What matplotlib's font lacks is left in: the
    browser draws it, in the PNG it is a box."""
    return printable(text).replace("\n", " ").replace("\t", " ")
