"""A report's plots, drawn: SVG that stands in the page, and files of each for other documents."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass

from markupsafe import Markup

from vbench.report import plots_render
from vbench.report.blocks import Plot
from vbench.report.marks import Mark
from vbench.report.svg import clean, inline, standalone
from vbench.report.text import printable, shorten

MAX_MARK = 80
"""Characters of a mark on a plot: about what the width takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One plot. `file_stem` is the name of its files, with the mark of what isn't a plain measurement."""

    name: str
    file_stem: str
    svg: Markup
    """For the page: coloured by its variables (`plot_theme.plot_css`)."""
    svg_file: bytes
    png: bytes


class Drawing:
    """Plots that are being drawn in other processes, where there are such, as soon as they are known."""

    def __init__(self, pool: Executor | None) -> None:
        self._pool = pool
        self._begun: dict[str, Future[Drawn]] = {}

    def begin(self, found: Iterable[Plot], mark: Mark | None) -> None:
        """Have them drawn."""
        if self._pool is None:
            return
        for plot in found:
            with suppress(RuntimeError):  # the processes are gone: they are drawn here then
                self._begun[plot.name] = self._pool.submit(draw_one, plot, mark)

    def result(self, plot: Plot) -> Drawn | None:
        """Waits for it; None where it wasn't begun or didn't work out."""
        begun = self._begun.get(plot.name)
        if begun is None:
            return None
        try:
            return begun.result()
        except Exception:  # drawn here instead, where what is wrong with a plot comes up as it is
            return None


def draw_all(found: Iterable[Plot], mark: Mark | None, drawing: Drawing | None = None) -> dict[str, Drawn]:
    """Every plot by its name, in order; the same whether other processes draw or this one."""
    # What was read stays as it is: the collector, which figures need, needn't walk it again and again.
    gc.freeze()
    was_enabled = gc.isenabled()
    gc.enable()
    try:
        return {plot.name: (drawing.result(plot) if drawing else None) or draw_one(plot, mark) for plot in found}
    finally:
        gc.unfreeze()
        if not was_enabled:
            gc.disable()


def draw_one(plot: Plot, mark: Mark | None) -> Drawn:
    """A plot with its mark."""
    picture = plots_render.render(plot.draw, shorten(mark.text, MAX_MARK) if mark else "")
    alt, root = printable(plot.alt), clean(picture.svg, plot.name)
    return Drawn(
        name=plot.name,
        file_stem=f"{plot.name}-{mark.word}" if mark else plot.name,
        svg=inline(root, alt),
        svg_file=standalone(root, alt),
        png=picture.png,
    )
