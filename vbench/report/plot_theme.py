"""How the plots look: colours for light and dark pages, their CSS variables, and matplotlib's settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FONT = "DejaVu Sans"
"""Comes with matplotlib, so a report looks the same everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours of a page. Shape and place carry every distinction too: colour is never the only one.

    In the page each becomes a CSS variable, so that one drawing serves light and dark: draw with these colours alone,
    and for shades of one (a heat map) vary `alpha`.
    """

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
    failed="#a8434b", parts=("#b08a45", "#739aa1", "#1f6f78", "#94908a"),
)  # fmt: skip
DARK = Theme(
    ink="#e6e4df", muted="#9aa1a9", grid="#34383d", surface="#1b1d20", accent="#5fb3bc", best="#f0955a",
    failed="#e0848b", parts=("#a98a55", "#4d7a80", "#5fb3bc", "#6f747b"),
)  # fmt: skip


def roles(theme: Theme) -> Iterator[tuple[str, str]]:
    """Name of each CSS variable and its colour. The light theme's colours differ from each other, as the drawing in
    them is what the variables are put into; a colour that two roles share is one variable."""
    yield from (
        ("--plot-ink", theme.ink), ("--plot-muted", theme.muted), ("--plot-grid", theme.grid),
        ("--plot-surface", theme.surface), ("--plot-accent", theme.accent), ("--plot-best", theme.best),
        ("--plot-failed", theme.failed),
    )  # fmt: skip
    named = {theme.accent}
    yield from ((f"--plot-part-{place}", colour) for place, colour in enumerate(theme.parts) if colour not in named)


def plot_css() -> str:
    """The variables of both themes, for the page's style sheet; paper is always light."""
    light, dark = ("; ".join(f"{name}: {colour}" for name, colour in roles(theme)) for theme in (LIGHT, DARK))
    return f":root {{ {light}; }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}; }} }}"


def style_of(theme: Theme) -> dict[str, Any]:
    """matplotlib's settings for a plot of the theme. Text stays text in SVG: it can be selected and found, and the
    browser has fonts for what matplotlib's lacks."""
    return {
        "font.family": FONT, "font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "text.color": theme.ink,
        "axes.labelcolor": theme.muted, "axes.edgecolor": theme.grid, "axes.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "axes.grid": True,
        "axes.grid.axis": "y", "axes.axisbelow": True, "grid.color": theme.grid, "grid.linewidth": 0.8,
        "xtick.color": theme.grid, "ytick.color": theme.grid, "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted, "ytick.major.size": 0, "legend.frameon": False,
        "figure.facecolor": theme.surface, "svg.hashsalt": "vbench", "svg.fonttype": "none", "savefig.dpi": 130,
        "text.parse_math": False,  # foreign text: a $ is a $
    }  # fmt: skip
