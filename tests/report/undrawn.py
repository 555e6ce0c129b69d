"""Reports without the time that drawing takes, for tests of all else."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace

import pytest
from markupsafe import Markup

from vbench.report import build
from vbench.report.blocks import Plot
from vbench.report.marks import Mark
from vbench.report.pictures import Drawn


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Plots without anything on them, and no processes to draw them."""
    patch.setattr(build, "beside", lambda **_: nullcontext())
    patch.setattr(build, "draw_all", _draw_all)


def _draw_all(found: Iterable[Plot], mark: Mark | None, _: object) -> dict[str, Drawn]:
    empty = Drawn(name="", file_stem="none", svg=Markup("<svg></svg>"), svg_file=b"", png=b"")
    return {plot.name: replace(empty, file_stem=f"none-{mark.word}" if mark else "none") for plot in found}
