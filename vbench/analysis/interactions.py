"""What pairs of parameters do together: the objective by both, and whether that is more than each does alone.

A pair's interaction is what its cells (a value of one with a value of the other) explain of what the additive fit
leaves. Chance is what they explain after that rest was permuted and fitted again; the largest over all pairs is
compared, so that looking at many pairs doesn't find one by chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vbench.analysis.additive import Fit
from vbench.analysis.coded import NOT_SET, RUN, Coded, CodedParameter
from vbench.analysis.importance import LEVEL, MIN_TRIALS, Importance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_PARAMETERS = 12
"""Of the most important ones every pair is looked at."""
MAX_SHOWN = 3
MIN_PAIRS_SHOWN = 2
NUM_PERMUTATIONS = 199
_DRAWN_TO_ZERO_BY = 1.0
"""As many trials as a cell is drawn towards no interaction by."""
_SEED = 20260102


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The trials that had both values. `median` is over the measured ones, None where there is none."""

    median: float | None
    num_measured: int
    num_failed: int
    num_pruned: int

    @property
    def is_tried(self) -> bool:
        """Whether any trial had both."""
        return bool(self.num_measured or self.num_failed or self.num_pruned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two parameters and the cells, a row a level of the first. `ratio` and `at` tell of the cell that is furthest from
    what the two do one by one: how many times the objective is of what they would give; None where it isn't clear."""

    first: CodedParameter
    second: CodedParameter
    cells: tuple[tuple[Cell, ...], ...]
    p_value: float
    at: tuple[int, int] | None = None
    ratio: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the two together do more than each alone, beyond chance."""
        return self.p_value <= LEVEL


def interactions(data: Coded, fit: Fit | None, found: Importance) -> tuple[Pair, ...]:
    """The pairs to look at: those that clearly interact, strongest first, then those of the most important parameters.
    Empty where there are too few trials."""
    if fit is None or len(fit.rows) < MIN_TRIALS:
        return ()
    rank = {share.name: place for place, share in enumerate(found.shares)}
    settings = [place for place, one in enumerate(fit.parameters) if one.name != RUN]
    order = sorted(settings, key=lambda one: rank.get(fit.parameters[one].name, one))
    chosen = order[:MAX_PARAMETERS]
    pairs = [pair for pair in itertools.combinations(chosen, 2) if _is_crossed(fit, *pair)]
    if not pairs:
        return ()
    rest = fit.residuals(_with_shuffled(fit.residuals(fit.response)))
    tested = _tested(fit, pairs, rest)
    clear = [(pair, p_value) for _, pair, p_value in tested if p_value <= LEVEL][:MAX_SHOWN]
    shown = {pair for pair, _ in clear}
    p_values = {pair: p_value for _, pair, p_value in tested}
    others = (one for one in sorted(pairs, key=lambda one: sum(map(order.index, one))) if one not in shown)
    fill = [(pair, p_values[pair]) for pair in itertools.islice(others, max(0, MIN_PAIRS_SHOWN - len(clear)))]
    return tuple(_pair(data, fit, pair, p_value, rest[:, 0]) for pair, p_value in (*clear, *fill))


def _is_crossed(fit: Fit, one: int, other: int) -> bool:
    """Whether both vary where both are set; not so of a setting and what belongs to one of its values only."""
    first, second = (fit.parameters[place].codes[fit.rows] for place in (one, other))
    both = (first != NOT_SET) & (second != NOT_SET)
    return len(np.unique(first[both])) > 1 and len(np.unique(second[both])) > 1


def _with_shuffled(rest: Floats) -> Floats:
    places = np.tile(np.arange(len(rest))[:, None], (1, NUM_PERMUTATIONS + 1))
    places[:, 1:] = np.random.default_rng(_SEED).permuted(places[:, 1:], axis=0)
    shuffled: Floats = rest[places]
    return shuffled


def _tested(fit: Fit, pairs: Sequence[tuple[int, int]], rest: Floats) -> list[tuple[float, tuple[int, int], float]]:
    """Each pair with how far beyond chance it is (in standard deviations) and its corrected p; strongest first."""
    scores = np.stack([_strength(fit, pair, rest) for pair in pairs])
    chance = scores[:, 1:]
    spread = np.maximum(chance.std(axis=1), 1e-12)
    standard = (scores - chance.mean(axis=1)[:, None]) / spread[:, None]
    largest = standard[:, 1:].max(axis=0)
    found = [
        (float(value), pair, float((1 + np.sum(largest >= value)) / (1 + NUM_PERMUTATIONS)))
        for pair, value in zip(pairs, standard[:, 0], strict=True)
    ]
    return sorted(found, key=lambda one: (-one[0], one[1]))


def _strength(fit: Fit, pair: tuple[int, int], rest: Floats) -> Floats:
    """The part of each column's sum of squares that the pair's cells explain."""
    places, is_in = _places(fit, pair)
    cells = np.unique(places[is_in])
    hot = ((places[:, None] == cells[None, :]) & is_in[:, None]).astype(np.float64)
    found: Floats = np.sum((hot.T @ rest) ** 2 / (hot.sum(axis=0) + _DRAWN_TO_ZERO_BY)[:, None], axis=0)
    return found


def _places(fit: Fit, pair: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Each trial's cell, as one number, and whether it is in any."""
    first, second = (fit.parameters[one] for one in pair)
    one, other = first.codes[fit.rows].astype(np.intp), second.codes[fit.rows].astype(np.intp)
    return one * len(second.levels) + other, (one != NOT_SET) & (other != NOT_SET)


def _pair(data: Coded, fit: Fit, pair: tuple[int, int], p_value: float, rest: Floats) -> Pair:
    first, second = (fit.parameters[one] for one in pair)
    at = ratio = None
    if p_value <= LEVEL:
        places, is_in = _places(fit, pair)
        sums, counts = np.bincount(places[is_in], rest[is_in]), np.bincount(places[is_in])
        shrunk = sums / (counts + _DRAWN_TO_ZERO_BY)
        cell = int(np.argmax(np.abs(shrunk)))
        at = divmod(cell, len(second.levels))
        ratio = float(np.exp(shrunk[cell])) if fit.is_log else None
    return Pair(first=first, second=second, cells=_cells(data, first, second), p_value=p_value, at=at, ratio=ratio)


def _cells(data: Coded, first: CodedParameter, second: CodedParameter) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        tuple(_cell(data, (first.codes == one) & (second.codes == other)) for other in range(len(second.levels)))
        for one in range(len(first.levels))
    )


def _cell(data: Coded, is_in: NDArray[np.bool_]) -> Cell:
    values = data.values[is_in]
    measured = values[np.isfinite(values)]
    return Cell(
        median=float(np.median(measured)) if len(measured) else None,
        num_measured=len(measured),
        num_failed=int(data.is_failed[is_in].sum()),
        num_pruned=int(data.is_pruned[is_in].sum()),
    )


def level_text(parameter: CodedParameter, level: int, show: Any) -> str:
    """A level as text: a value, a bin's ends, or what pools the rare ones. `show` writes a value."""
    if parameter.num_pooled and level == len(parameter.levels) - 1:
        return f"{parameter.num_pooled} others"
    value = parameter.levels[level]
    if not parameter.is_binned:
        return str(show(value))
    low, high = value
    return str(show(low)) if low == high else f"{show(low)} – {show(high)}"
