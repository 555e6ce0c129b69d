"""A report's plots, drawn: SVG for the page in both themes, PNG for the folder."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from vbench.report import plots
from vbench.report.blocks import Plot
from vbench.report.marks import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One plot. `file_stem` is the name of its files, with the mark of what isn't a plain measurement."""

    name: str
    file_stem: str
    light_uri: str
    dark_uri: str
    png: bytes


def draw_all(found: Iterable[Plot], mark: Mark | None) -> dict[str, Drawn]:
    """Every plot by its name."""
    return {plot.name: _drawn(plot, mark) for plot in found}


def _drawn(plot: Plot, mark: Mark | None) -> Drawn:
    picture = plots.render(plot.draw)
    return Drawn(
        name=plot.name,
        file_stem=f"{plot.name}-{mark.word}" if mark else plot.name,
        light_uri=_svg_uri(picture.light_svg),
        dark_uri=_svg_uri(picture.dark_svg),
        png=picture.png,
    )


def _svg_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
