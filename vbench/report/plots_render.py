"""A figure as files: drawn once, saved as SVG and as PNG, with the mark of what isn't a plain measurement."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from vbench.report.plot_theme import LIGHT, Theme, style_of

MARK_IN = 0.24
"""Height of the strip above the plot that the mark stands in, in inches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One plot, drawn in the light theme: matplotlib's SVG, which `svg` makes fit for a page, and PNG."""

    svg: bytes
    png: bytes


def render(draw: Callable[[Theme], Figure], mark: str = "") -> Picture:
    """Draw with the mark above. matplotlib's settings hold only inside; the same data gives the same bytes."""
    with _settings():
        figure = draw(LIGHT)
        _lay_out(figure)
        canvas = _with_mark(figure, mark) if mark else None
        svg = _saved(figure, "svg", canvas, {"Date": None})
        png = _saved(figure, "png", canvas, {"Software": None})
    return Picture(svg=svg, png=png)


def warm_up() -> None:
    """Load what the first drawing needs and every other has: writers of files, and fonts."""
    figure = Figure(figsize=(1, 1))
    with _settings():
        figure.subplots().set_title("0")
        for kind in ("svg", "png"):
            _saved(figure, kind, None, {})


@contextmanager
def _settings() -> Iterator[None]:
    # matplotlib's defaults, not the user's matplotlibrc: a report looks the same everywhere. But for the backend, which
    # rc_context wouldn't put back and nothing here uses.
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if "backend" not in name}
    settings: Any = {**defaults, **style_of(LIGHT)}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # Letters that its font lacks are boxes in the PNG; in the page the browser draws them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _lay_out(figure: Figure) -> None:
    """Place everything once. With the engine taken out, saving draws once, not twice, and SVG and PNG are alike."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)


def _with_mark(figure: Figure, mark: str) -> Bbox:
    """Write the mark above the figure's upper edge, on the left, where a narrow screen begins; gives the paper that
    holds both."""
    width, height = figure.get_size_inches()
    figure.text(
        0.06 / width, 1 + 0.5 * MARK_IN / height, mark, ha="left", va="center", color=LIGHT.best, fontsize=9,
        fontweight="bold", in_layout=False,
    )  # fmt: skip
    for legend in figure.legends:
        # Legends outside of the axes would move to the new upper edge.
        if legend.get_bbox_to_anchor() is figure.bbox:
            legend.set_bbox_to_anchor((0, 0, 1, 1), transform=figure.transFigure)
    return Bbox.from_bounds(0, 0, width, height + MARK_IN)


def _saved(figure: Figure, kind: str, canvas: Bbox | None, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=metadata, bbox_inches=canvas)
    return buffer.getvalue()
