"""How the plots look: colours for light and dark pages, and matplotlib's settings as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FONT = "DejaVu Sans"
"""Comes with matplotlib, so a report looks the same everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of a page. Shape and place carry every distinction too: colour is never the only one."""

    ink: str
    muted: str
    grid: str
    surface: str
    accent: str
    best: str
    failed: str
    parts: tuple[str, str, str, str]


LIGHT = Theme(
    ink="#22262b", muted="#6b727b", grid="#e4e2dc", surface="#ffffff", accent="#1f6f78", best="#c2571a",
    failed="#a8434b", parts=("#c9a66b", "#9bb8bd", "#1f6f78", "#dcdad4"),
)  # fmt: skip
DARK = Theme(
    ink="#e6e4df", muted="#9aa1a9", grid="#34383d", surface="#1b1d20", accent="#5fb3bc", best="#f0955a",
    failed="#e0848b", parts=("#a98a55", "#41666b", "#5fb3bc", "#45484d"),
)  # fmt: skip


def style_of(theme: Theme, kind: str) -> dict[str, Any]:
    """matplotlib's settings for a plot of the theme; `kind` is `svg` (the page shows through) or `png`."""
    return {
        "font.family": FONT, "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "text.color": theme.ink,
        "axes.labelcolor": theme.muted, "axes.edgecolor": theme.grid, "axes.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "axes.grid": True,
        "axes.grid.axis": "y", "axes.axisbelow": True, "grid.color": theme.grid, "grid.linewidth": 0.8,
        "xtick.color": theme.grid, "ytick.color": theme.grid, "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted, "ytick.major.size": 0, "legend.frameon": False,
        "figure.facecolor": theme.surface if kind == "png" else "none", "svg.hashsalt": "vbench", "savefig.dpi": 160,
        "text.parse_math": False,  # foreign text: a $ is a $
    }  # fmt: skip
