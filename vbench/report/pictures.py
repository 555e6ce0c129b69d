"""A report's plots, drawn: SVG that stands in the page, and files of each for other documents."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat

from markupsafe import Markup

from vbench.report import plots_render
from vbench.report.blocks import Plot
from vbench.report.marks import Mark
from vbench.report.svg import clean, inline, standalone
from vbench.report.text import printable, shorten

MAX_MARK = 80
"""Characters of a mark on a plot: about what the width takes."""
_WORTH_A_PROCESS = 4
"""Plots from which on other processes draw them: a few are done sooner than a process is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One plot. `file_stem` is the name of its files, with the mark of what isn't a plain measurement."""

    name: str
    file_stem: str
    svg: Markup
    """For the page: coloured by its variables (`plot_theme.plot_css`)."""
    svg_file: bytes
    png: bytes


def draw_all(found: Iterable[Plot], mark: Mark | None) -> dict[str, Drawn]:
    """Every plot by its name, in order; the same whether several processes draw or one."""
    plots = list(found)
    # What was read stays as it is: the collector needn't walk it again and again, and copies of the process share it.
    gc.freeze()
    try:
        drawn = _drawn_apart(plots, mark) if _can_fork(len(plots)) else None
        return {one.name: one for one in drawn or (draw_one(plot, mark) for plot in plots)}
    finally:
        gc.unfreeze()


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


def _can_fork(num_plots: int) -> bool:
    # A thread of ours could hold a lock at that moment, which the copy would wait for forever. Elsewhere than on Linux
    # a process starts by importing everything again, which takes longer than to draw.
    is_alone = threading.active_count() == 1
    return num_plots > _WORTH_A_PROCESS and sys.platform == "linux" and is_alone and len(os.sched_getaffinity(0)) > 1


def _drawn_apart(plots: Sequence[Plot], mark: Mark | None) -> list[Drawn] | None:
    """None where it didn't work out: nothing is lost, they are drawn here then."""
    workers = min(len(os.sched_getaffinity(0)), 4, len(plots) // 2)
    try:
        with warnings.catch_warnings():
            # Python warns of the numeric libraries' idle threads. What they hold, a copy that draws doesn't ask for.
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(workers, mp_context=context, initializer=gc.disable) as pool:
                return list(pool.map(draw_one, plots, repeat(mark)))
    except Exception:  # drawn here instead, where what is wrong with a plot comes up as it is
        return None
