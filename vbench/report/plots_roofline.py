"""The roofline plot: FLOP a second against FLOP a byte, under what the card could do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from vbench.report.plot_parts import WIDTH_IN, link_to, numbers, safe
from vbench.report.plot_theme import Theme

_ROOM = 3.0  # times what is shown, left and right


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineDot:
    """A trial. `name`: `best: trial 14`; empty for one that is there for comparison."""

    trial: int
    intensity: float
    tflops: float
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """A card's peaks: 10¹² FLOP and bytes a second."""

    title: str
    tflops: float
    tbytes_s: float


def draw_roofline(roof: Roof, dots: Sequence[RooflineDot], theme: Theme) -> Figure:
    """The roof as a line, best and baseline by name, others as small dots."""
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    axes = figure.subplots()
    ridge = roof.tflops / roof.tbytes_s
    left = min([ridge, *(dot.intensity for dot in dots)]) / _ROOM
    right = max([ridge, *(dot.intensity for dot in dots)]) * _ROOM
    axes.plot([left, ridge, right], [left * roof.tbytes_s, roof.tflops, roof.tflops], color=theme.muted, linewidth=1.4)
    axes.annotate(
        safe(f"{roof.title}: {roof.tflops:g} TFLOP/s"), (right, roof.tflops), xytext=(-4, 4), ha="right",
        textcoords="offset points", fontsize=8, color=theme.muted,
    )  # fmt: skip
    axes.annotate(
        f"{roof.tbytes_s * 1000:,.0f} GB/s", (left * 1.4, left * 1.4 * roof.tbytes_s), xytext=(0, 12), fontsize=8,
        textcoords="offset points", color=theme.muted, ha="center",
    )  # fmt: skip
    others = [dot for dot in dots if not dot.name]
    if others:
        axes.scatter(
            [dot.intensity for dot in others], [dot.tflops for dot in others], s=14, facecolor="none",
            edgecolor=theme.accent, linewidth=0.9, alpha=0.7,
            urls=[link_to(dot.trial, f"trial {dot.trial}") for dot in others],
        )  # fmt: skip
    _draw_named(axes, [dot for dot in dots if dot.name], theme)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(min([left * roof.tbytes_s, *(dot.tflops / _ROOM for dot in dots)]), roof.tflops * _ROOM)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(numbers())
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, axis="both")
    axes.set_xlabel("FLOP per byte read (estimate)")
    axes.set_ylabel("10¹² FLOP a second, of one GPU")
    return figure


def _draw_named(axes: Axes, named: Sequence[RooflineDot], theme: Theme) -> None:
    top = max((dot.tflops for dot in named), default=0.0)
    for dot in named:
        colour = theme.best if dot.name.startswith("best") else theme.ink
        up = 2 if dot.tflops == top else -9  # the upper one's name above it, so that two names don't meet
        axes.scatter([dot.intensity], [dot.tflops], s=44, color=colour, zorder=4, urls=[link_to(dot.trial, dot.name)])
        axes.annotate(
            dot.name, (dot.intensity, dot.tflops), xytext=(8, up), textcoords="offset points", fontsize=8,
            color=theme.ink,
        )  # fmt: skip
