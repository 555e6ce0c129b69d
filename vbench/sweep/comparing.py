"""Two configurations measured again in turns, pair by pair, until enough is known. Whoever measures has a start of its
own for each value, so that what differs from start to start is in the spread.

The loop alone: what a measurement is, and where it is kept, is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from vbench.analysis.paired import FEWEST_PAIRS, first_of_pair, is_enough, ratio_of_pairs
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord

Side = Literal["A", "B"]
Pair = tuple[float, float]
"""What A and B measured next to each other."""
Measure = Callable[[Side, int], float | None]
"""Measure a side for a pair (from 0): its value, above 0; None when it gave none."""
SIDES: tuple[Side, Side] = ("A", "B")
DEFAULT_DETECT, DEFAULT_MOST = 0.03, 12


class Turns:
    """Whose turn it is. It follows from the pairs that are whole: one that was cut short is measured anew, for its two
    values are to be next to each other."""

    def __init__(
        self, pairs: Sequence[Pair] = (), *, detect: float = DEFAULT_DETECT, fewest: int = FEWEST_PAIRS,
        most: int = DEFAULT_MOST,
    ) -> None:  # fmt: skip
        self.pairs = list(pairs)
        self.detect, self.fewest, self.most = detect, fewest, most
        self._first: float | None = None
        """What the first side of the pair at hand measured."""

    @property
    def is_enough(self) -> bool:
        """Whether no more pairs are wanted."""
        if not self.pairs:
            return self.most <= 0
        return is_enough(self.pairs, self.detect, self.fewest, self.most)

    def next(self) -> tuple[Side, int] | None:
        """The side to be measured and its pair; None when it is enough."""
        if self.is_enough:
            return None
        number = len(self.pairs)
        first = first_of_pair(number)
        return (first if self._first is None else _other(first)), number

    def add(self, value: float) -> None:
        """What the side of `next` measured."""
        if self._first is None:
            self._first = value
            return
        is_a_first = first_of_pair(len(self.pairs)) == "A"
        self.pairs.append((self._first, value) if is_a_first else (value, self._first))
        self._first = None

    @property
    def expected_left(self) -> int:
        """About how many measurements are still to come, by the spread so far: the smallest change that can be seen
        shrinks with the root of the number of pairs."""
        if self.is_enough:
            return 0
        done = len(self.pairs)
        needed = float(self.most)
        seen = ratio_of_pairs(self.pairs).detectable if done > 1 else None
        if seen is not None:
            needed = min(self.most, max(self.fewest, done + 1, done * (seen / self.detect) ** 2))
        return round(2 * (max(needed, 1.0) - done)) - (self._first is not None)


def interleaved(
    measure: Measure, *, detect: float = DEFAULT_DETECT, fewest: int = FEWEST_PAIRS, most: int = DEFAULT_MOST,
    is_over: Callable[[], bool] = lambda: False,
) -> list[Pair]:  # fmt: skip
    """Measure in turns (A B B A A B B A …) until a true change of `detect` (a share) would be seen with 80 % power, or
    for `most` pairs; ends earlier once `is_over` says so, or a measurement gave nothing. The pairs that are whole.

    When it is enough is told by the spread alone, never by the ratio (`analysis.paired.is_enough`).
    """
    turns = Turns(detect=detect, fewest=fewest, most=most)
    while (turn := turns.next()) is not None and not is_over():
        value = measure(*turn)
        if value is None:
            break
        turns.add(value)
    return turns.pairs


def side_of(record: TrialRecord) -> tuple[Side, int] | None:
    """Which side a record of a comparison is of, and its pair; None for any other record."""
    extra = record.model_extra or {}
    side, pair = extra.get("side"), extra.get("pair")
    if record.origin != "compare" or side not in SIDES or not isinstance(pair, int):
        return None
    return ("A" if side == "A" else "B"), pair


def pairs_of_records(records: Sequence[TrialRecord]) -> list[tuple[TrialRecord, TrialRecord]]:
    """The whole pairs of a comparison, A's record and B's, in the order of their numbers. Of a pair that was begun anew
    what was measured last counts."""
    last: dict[int, dict[Side, TrialRecord]] = {}
    for record in records:
        turn = side_of(record)
        if turn is None or record.outcome is not Outcome.COMPLETED:
            continue
        side, number = turn
        if side == first_of_pair(number):
            last[number] = {}  # begun anew: what its other side measured before isn't next to this
        last.setdefault(number, {})[side] = record
    return [(pair["A"], pair["B"]) for _, pair in sorted(last.items()) if len(pair) == len(SIDES)]


def values_of_records(records: Sequence[TrialRecord], metric: str) -> list[Pair]:
    """As `pairs_of_records`, what they measured of a metric; without the pairs of which one lacks it."""
    pairs = pairs_of_records(records)
    values = [(value_of(a.measurements, metric), value_of(b.measurements, metric)) for a, b in pairs]
    return [(a, b) for a, b in values if a is not None and b is not None and a > 0 and b > 0]


def _other(side: Side) -> Side:
    return "B" if side == "A" else "A"
