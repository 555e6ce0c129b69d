"""What the plots of importance and of pairs show, as plain data: bars, and grids of cells."""

from __future__ import annotations

from dataclasses import dataclass

from vbench.analysis.answer import Answer
from vbench.analysis.importance import Importance
from vbench.analysis.interactions import Pair, level_text
from vbench.report.dots import end_of
from vbench.report.plot_data import scale_of
from vbench.report.text import shorten, show_value

MAX_BARS = 12
"""Parameters that have a bar; the table has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBar:
    """A parameter's share of the variation, in percent, with its standard error."""

    name: str
    share: float
    error: float
    is_clear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMap:
    """A pair. `cells` are rows of (text, shade from 0 to 1 or None where nothing was measured, was it tried)."""

    first: str
    second: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[tuple[str, float | None, bool], ...], ...]
    title: str


def share_bars(found: Importance) -> tuple[ShareBar, ...]:
    """The largest `MAX_BARS`."""
    return tuple(
        ShareBar(name=end_of(one.name, 48), share=100 * one.share, error=100 * one.error, is_clear=one.is_clear)
        for one in found.shares[:MAX_BARS]
    )


def cell_map(pair: Pair, answer: Answer) -> CellMap:
    """The pair as a grid; the shade goes from the lowest median of its cells to the highest."""
    medians = [cell.median for row in pair.cells for cell in row if cell.median is not None]
    low, high = min(medians, default=0.0), max(medians, default=0.0)
    cells = tuple(
        tuple(
            (
                _cell_text(cell.median, cell.num_measured, cell.num_failed, cell.num_pruned, answer),
                None if cell.median is None else (cell.median - low) / (high - low) if high > low else 0.5,
                cell.is_tried,
            )
            for cell in row
        )
        for row in pair.cells
    )
    names = end_of(pair.first.name, 40), end_of(pair.second.name, 40)
    return CellMap(
        first=names[0],
        second=names[1],
        rows=tuple(shorten(level_text(pair.first, level, show_value), 16) for level in range(len(pair.first.levels))),
        columns=tuple(
            shorten(level_text(pair.second, level, show_value), 12) for level in range(len(pair.second.levels))
        ),
        cells=cells,
        title="more than each alone" if pair.is_clear else "no more than each alone, as far as can be told",
    )


def _cell_text(median: float | None, measured: int, failed: int, pruned: int, answer: Answer) -> str:
    """Three lines at most, for the cells are low; the signs are those of the panels by value."""
    bound = "▽" if answer.objective.direction == "maximize" else "△"
    others = [f"{bound} {pruned}" if pruned else "", f"× {failed}" if failed else ""]
    lines = [
        "" if median is None else f"{median / scale_of(answer):,.4g}",
        f"n {measured}" if measured else "",
        ", ".join(one for one in others if one),
    ]
    return "\n".join(one for one in lines if one)
