"""An additive fit: the objective's logarithm as a sum of one part for each parameter, shrunk towards no effect.

Ridge regression on levels: a level with few trials is drawn towards the parameter's mean. The penalty is the one whose
errors are smallest when each trial is left out (PRESS). Settings multiply a throughput, so that their logarithms add;
an objective with values of 0 or less is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vbench.analysis.coded import NOT_SET, Coded, CodedParameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0)
"""As many trials as each level is drawn towards no effect by."""
MAX_TRIALS = 1000
"""More than this are thinned out evenly, in the order of trials: shares hardly change, and time stays short."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """The fit over the measured trials `rows` (their places in `Coded`)."""

    rows: NDArray[np.intp]
    parameters: tuple[CodedParameter, ...]
    """Those with two levels or more among `rows`."""
    blocks: tuple[NDArray[np.intp], ...]
    """Each parameter's columns of `design`."""
    design: Floats
    response: Floats
    """Centred."""
    penalty: float
    predicted: float
    """Share of the variation that is predicted of a trial left out of the fit; at most 1, below 0 where the mean does
    better."""
    is_log: bool

    def residuals(self, response: Floats) -> Floats:
        """What the fit of `response` (one, or one a column) leaves of it."""
        inner = self.design.T @ self.design + self.penalty * np.eye(self.design.shape[1])
        rest: Floats = response - self.design @ np.linalg.solve(inner, self.design.T @ response)
        return rest


def fit_additive(data: Coded) -> Fit | None:
    """None where nothing varies among the measured trials: no parameter, or not the objective."""
    rows = np.flatnonzero(data.is_measured())
    if len(rows) > MAX_TRIALS:
        rows = rows[np.linspace(0, len(rows) - 1, MAX_TRIALS).astype(np.intp)]
    kept = tuple(one for one in data.parameters if _num_levels(one.codes[rows]) > 1)
    values = data.values[rows]
    if not kept or np.ptp(values) == 0:
        return None
    is_log = bool(values.min() > 0)
    response = np.log(values) if is_log else values
    response = response - response.mean()
    columns = [_columns(one.codes[rows]) for one in kept]
    ends = np.cumsum([block.shape[1] for block in columns])
    design = np.concatenate(columns, axis=1)
    penalty, predicted = _penalty(design, response)
    return Fit(
        rows=rows, parameters=kept, design=design, response=response, penalty=penalty, predicted=predicted,
        blocks=tuple(np.arange(end - block.shape[1], end) for block, end in zip(columns, ends, strict=True)),
        is_log=is_log,
    )  # fmt: skip


def _num_levels(codes: NDArray[np.int16]) -> int:
    return len(np.unique(codes[codes != NOT_SET]))


def _columns(codes: NDArray[np.int16]) -> Floats:
    """A column a level, centred over the trials that have one; the others are at the middle: 0."""
    levels = np.unique(codes[codes != NOT_SET])
    is_set = codes != NOT_SET
    hot = (codes[:, None] == levels[None, :]).astype(np.float64)
    hot[is_set] -= hot[is_set].mean(axis=0)
    centred: Floats = hot - hot.mean(axis=0)
    return centred


def _penalty(design: Floats, response: Floats) -> tuple[float, float]:
    """The best of `PENALTIES`, and the share that it predicts of what is left out."""
    sizes, turned = np.linalg.eigh(design.T @ design)
    sizes, turned = np.maximum(sizes, 0.0), design @ turned
    side = turned.T @ response
    count = len(response)
    alone = response * count / (count - 1)  # what the mean of the others misses each by
    found: list[tuple[float, float]] = []
    for penalty in PENALTIES:
        rest = response - turned @ (side / (sizes + penalty))
        leverage = np.minimum(turned**2 @ (1 / (sizes + penalty)) + 1 / count, 1 - 1e-9)
        found.append((1 - float(np.sum((rest / (1 - leverage)) ** 2) / np.sum(alone**2)), penalty))
    predicted, penalty = max(found)
    return penalty, predicted


def explained(inner: Floats, outer: Floats, columns: Sequence[int] | NDArray[np.intp], penalty: float) -> Floats:
    """The part of the sum of squares that some columns explain, each of the stacked systems by itself: `inner` is
    X'X (n × p × p), `outer` is X'y (n × p)."""
    if len(columns) == 0:
        return np.zeros(len(outer))
    square = inner[:, columns][:, :, columns] + penalty * np.eye(len(columns))
    side = outer[:, columns]
    found: Floats = np.einsum("ni,ni->n", side, np.linalg.solve(square, side[:, :, None])[:, :, 0])
    return found
