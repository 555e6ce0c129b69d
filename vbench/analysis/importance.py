"""How much of the objective's variation each parameter explains, over the trials that were measured.

Method: an additive fit (`additive`), of which each parameter gets its Shapley share: what it adds to the part that is
explained, averaged over the orders in which parameters can be added, so that parameters that changed together share
what they explain. All shares together are what the fit predicts of trials left out of it; the rest is interactions and
noise. Whether a share is more than chance is decided by permuting what the other parameters leave (Freedman and Lane
1983), and Holm's correction for asking of several parameters at once.

Shares are of the trials that were tried. A search tries few settings that it knows to be bad, so that its shares are
not those of the whole space; and permuting takes trials as if chosen without regard to results, so that the test is an
approximation there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vbench.analysis.additive import Fit, explained, fit_additive
from vbench.analysis.coded import Coded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MIN_TRIALS = 10
"""Measured trials below which no share is stated."""
LEVEL = 0.05
NUM_PERMUTATIONS = 499
"""At least; more where so many parameters are asked about that the rarest result of these couldn't be clear."""
NUM_GROUPS = 20
"""Parts of the trials that are left out in turn, for the standard errors."""
MAX_EXACT = 8
"""Up to as many parameters every order is counted; beyond it a fixed sample of orders."""
NUM_ORDERS = 16
_SEED = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One parameter's share of the variation. `error` is the standard error; `p_value` is corrected for the number of
    parameters."""

    name: str
    share: float
    error: float
    p_value: float

    @property
    def is_clear(self) -> bool:
        """Whether it can be told from chance."""
        return self.p_value <= LEVEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What the parameters explain; `shares` is empty where that can't be said, for the reason in `why_not`."""

    num_trials: int
    """Measured trials that the fit is over."""
    num_measured: int
    predicted: float | None
    shares: tuple[Share, ...] = ()
    """Largest first."""
    is_log: bool = True
    why_not: str = ""


def importance(data: Coded, fit: Fit | None = None) -> Importance:
    """The shares. `fit` is `fit_additive(data)` where it was made already."""
    count = int(data.is_measured().sum())
    if count < MIN_TRIALS:
        return _none(count, f"{count} completed trials are too few to say how much each parameter matters: it takes "
                            f"{MIN_TRIALS}")  # fmt: skip
    fit = fit or fit_additive(data)
    if fit is None:
        return _none(count, "nothing that varied among the completed trials could have made a difference")
    if fit.predicted <= 0:
        return _none(
            count,
            f"the settings, taken one by one, predict a trial of the {count} no better than the mean of the others "
            "does: how much each matters can't be said",
            fit.predicted,
        )
    sizes, errors = _shares(fit)
    # Holm multiplies the smallest by the number of parameters; half of what would just be clear leaves room for chance.
    permutations = max(NUM_PERMUTATIONS, int(2 * len(fit.parameters) / LEVEL))
    shuffled = _shuffled(len(fit.response), permutations)
    p_values = _holm([_p_value(fit, place, shuffled) for place in range(len(fit.parameters))])
    scale = fit.predicted / sizes.sum() if sizes.sum() > 0 else 0.0
    shares = [
        Share(name=one.name, share=float(size * scale), error=float(error * scale), p_value=p_value)
        for one, size, error, p_value in zip(fit.parameters, sizes, errors, p_values, strict=True)
    ]
    return Importance(
        num_trials=len(fit.rows), num_measured=count, predicted=fit.predicted, is_log=fit.is_log,
        shares=tuple(sorted(shares, key=lambda one: (-one.share, one.name))),
    )  # fmt: skip


def _none(count: int, why_not: str, predicted: float | None = None) -> Importance:
    return Importance(num_trials=0, num_measured=count, predicted=predicted, why_not=why_not)


def _shares(fit: Fit) -> tuple[Floats, Floats]:
    """Shapley shares of the sum of squares, and their standard errors by a jackknife over groups of trials."""
    count = len(fit.response)
    groups = np.random.default_rng(_SEED).permutation(count) % min(NUM_GROUPS, count)
    inner, outer, total = [fit.design.T @ fit.design], [fit.design.T @ fit.response], [fit.response @ fit.response]
    for group in range(groups.max() + 1):
        left, rest = fit.design[groups == group], fit.response[groups == group]
        inner.append(inner[0] - left.T @ left)
        outer.append(outer[0] - left.T @ rest)
        total.append(total[0] - rest @ rest)
    found = _shapley(fit, np.stack(inner), np.stack(outer)) / np.array(total)
    again = found[:, 1:]
    num = again.shape[1]
    spread = np.sum((again - again.mean(axis=1, keepdims=True)) ** 2, axis=1)
    return found[:, 0], np.sqrt((num - 1) / num * spread)


def _shapley(fit: Fit, inner: Floats, outer: Floats) -> Floats:
    """A row a parameter, a column a system."""
    known: dict[frozenset[int], Floats] = {}

    def worth(members: frozenset[int]) -> Floats:
        if members not in known:
            columns = np.concatenate([fit.blocks[one] for one in sorted(members)]) if members else np.array([], int)
            known[members] = explained(inner, outer, columns, fit.penalty)
        return known[members]

    count = len(fit.blocks)
    found = np.zeros((count, len(outer)))
    if count <= MAX_EXACT:
        for one in range(count):
            others = [other for other in range(count) if other != one]
            for size in range(count):
                weight = math.factorial(size) * math.factorial(count - 1 - size) / math.factorial(count)
                for members in map(frozenset, itertools.combinations(others, size)):
                    found[one] += weight * (worth(members | {one}) - worth(members))
        return found
    draw = np.random.default_rng(_SEED)
    firsts = [draw.permutation(count) for _ in range(NUM_ORDERS // 2)]
    orders = [order for first in firsts for order in (first, first[::-1])]
    for order in orders:
        before: frozenset[int] = frozenset()
        for one in map(int, order):
            found[one] += (worth(before | {one}) - worth(before)) / len(orders)
            before |= {one}
    return found


def _shuffled(count: int, permutations: int) -> NDArray[np.intp]:
    """Places of the trials, shuffled: a column a permutation, the first as it is."""
    places = np.tile(np.arange(count)[:, None], (1, permutations + 1))
    places[:, 1:] = np.random.default_rng(_SEED).permuted(places[:, 1:], axis=0)
    return places


def _p_value(fit: Fit, place: int, shuffled: NDArray[np.intp]) -> float:
    """How often chance alone adds as much, when the rest of the fit stays as it is."""
    design, response = fit.design, fit.response
    others = np.setdiff1d(np.arange(design.shape[1]), fit.blocks[place])
    inner = design.T @ design + fit.penalty * np.eye(design.shape[1])
    reduced = design[:, others]
    fitted = reduced @ np.linalg.solve(inner[np.ix_(others, others)], reduced.T @ response)
    tried = fitted[:, None] + (response - fitted)[shuffled]
    outer = design.T @ tried
    whole = np.sum(outer * np.linalg.solve(inner, outer), axis=0)
    part = np.sum(outer[others] * np.linalg.solve(inner[np.ix_(others, others)], outer[others]), axis=0)
    total = np.sum(tried**2, axis=0) - len(response) * tried.mean(axis=0) ** 2
    ratios = (whole - part) / np.maximum(total - whole, 1e-12)
    return float(np.sum(ratios >= ratios[0] - 1e-12) / len(ratios))


def _holm(p_values: Iterable[float]) -> list[float]:
    """Corrected so that any false claim among them is as rare as one."""
    listed = list(p_values)
    order = sorted(range(len(listed)), key=lambda place: listed[place])
    corrected, largest = [0.0] * len(listed), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(listed) - rank) * listed[place]))
        corrected[place] = largest
    return corrected
