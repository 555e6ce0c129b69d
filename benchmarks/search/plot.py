"""The curve: how far the best so far is from the true best, over the share of the grid's engine-seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.search.scores import Searched
from vbench.report.plot_theme import LIGHT, style_of

_STYLES = {
    "default": (LIGHT.best, "-", 2.2), "tpe": (LIGHT.accent, "-", 1.6), "tpe-plain": (LIGHT.accent, ":", 1.6),
    "random": (LIGHT.muted, "-", 1.4), "grid": (LIGHT.ink, "--", 1.2), "grid-shuffled": (LIGHT.muted, ":", 1.4),
}  # fmt: skip
_FLOOR = 1e-3  # a logarithmic axis has no zero


def draw(scores: Mapping[str, Sequence[Searched]], shares: Sequence[float], path: Path) -> None:
    """Median regret (and for the default the 90th percentile, too) of each method that has a style, as a PNG."""
    with mpl.rc_context(style_of(LIGHT)):  # type: ignore[arg-type]
        figure = Figure(figsize=(8.6, 4.2), layout="constrained")
        axes = figure.subplots()
        for name, (color, line, width) in _STYLES.items():
            if name not in scores:
                continue
            curves = np.array([one.curve for one in scores[name]])
            median = np.maximum(_FLOOR, np.median(curves, axis=0))
            axes.plot([100 * x for x in shares], 100 * median, color=color, ls=line, lw=width, label=name)
            if name == "default":
                p90 = np.maximum(_FLOOR, np.percentile(curves, 90, axis=0))
                axes.plot([100 * x for x in shares], 100 * p90, color=color, lw=0.9, ls="-.", label="default, p90")
        axes.axhline(2, color=LIGHT.failed, lw=0.8)
        axes.text(100 * shares[-1], 2.1, "2 %", color=LIGHT.failed, ha="right", va="bottom")
        axes.set_yscale("log")
        axes.set_ylim(100 * _FLOOR * 0.9, 100)
        axes.set_yticks([0.1, 1, 10, 100], ["≤ 0.1 %", "1 %", "10 %", "100 %"])
        axes.set_xlabel("engine-seconds, % of the whole grid's")
        axes.set_ylabel("median regret of the best so far")
        figure.legend(loc="outside right upper")
        figure.savefig(path, metadata={"Software": None})
