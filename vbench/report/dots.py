"""Trials as dots that lead to their rows, and which of too many are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vbench.report.text import shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A completed trial, in the axis's unit; `tip` is what a pointer shows."""

    x: float
    y: float
    trial: int
    tip: str
    is_best: bool = False


def kept(values: Sequence[float], trials: Sequence[int], most: int, best: int | None) -> list[int]:
    """Places of about `most` of the trials, evenly from the lowest value to the highest; both ends, and the best trial,
    among them."""
    if len(values) <= most:
        return list(range(len(values)))
    numbers = np.asarray(trials)
    order = np.lexsort((numbers, np.asarray(values)))
    chosen = order[np.linspace(0, len(order) - 1, most).round().astype(np.intp)]
    return sorted({*chosen.tolist(), *np.flatnonzero(numbers == best).tolist()})


def end_of(name: str, limit: int) -> str:
    text = shorten(name, 200)
    return text if len(text) <= limit else "…" + text[1 - limit :]
