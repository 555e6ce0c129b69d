"""Measured in turns: the loop alone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from vbench.analysis.paired import FEWEST_PAIRS, ratio_of_pairs
from vbench.sweep.comparing import Pair, Side, Turns, interleaved


def measured(values: Callable[[Side, int], float | None], heard: list[tuple[Side, int]], **how: Any) -> list[Pair]:
    def measure(side: Side, pair: int) -> float | None:
        heard.append((side, pair))
        return values(side, pair)

    return interleaved(measure, **how)


def test_the_sides_take_turns_and_without_noise_the_fewest_pairs_do() -> None:
    heard: list[tuple[Side, int]] = []
    pairs = measured(lambda side, _: 100.0 if side == "A" else 101.0, heard)
    assert pairs == [(100.0, 101.0)] * FEWEST_PAIRS
    assert "".join(side for side, _ in heard) == "ABBA" * (FEWEST_PAIRS // 2)
    assert [pair for _, pair in heard] == [pair for pair in range(FEWEST_PAIRS) for _ in "AB"]


def test_it_goes_on_until_so_small_a_change_would_be_seen() -> None:
    heard: list[tuple[Side, int]] = []
    noise = random.Random(1)

    def value(side: Side, _: int) -> float:
        return noise.gauss(100, 2) if side == "A" else noise.gauss(103, 2)

    pairs = measured(value, heard, detect=0.02, most=100)
    assert FEWEST_PAIRS < len(pairs) < 100
    assert (ratio_of_pairs(pairs).detectable or 1.0) <= 0.02
    assert (ratio_of_pairs(pairs[:-1]).detectable or 0.0) > 0.02
    assert len(measured(value, heard, detect=0.001, most=9)) == 9


def test_a_steady_drift_cancels() -> None:
    clock = iter(range(1000))
    pairs = measured(lambda side, _: (100.0 if side == "A" else 102.0) * math.exp(-0.01 * next(clock)), [], most=8)
    assert ratio_of_pairs(pairs).ratio == pytest.approx(1.02)
    assert len({round(b / a, 6) for a, b in pairs}) == 2  # each pair alone is off, one way and the other


def test_it_ends_when_time_is_over_or_a_side_gives_nothing() -> None:
    heard: list[tuple[Side, int]] = []
    assert measured(lambda *_: 1.0, heard, is_over=lambda: len(heard) == 5) == [(1.0, 1.0)] * 2
    heard.clear()
    assert measured(lambda side, pair: None if (side, pair) == ("B", 1) else 1.0, heard) == [(1.0, 1.0)]
    assert heard == [("A", 0), ("B", 0), ("B", 1)]
    assert measured(lambda *_: 1.0, heard, most=0) == []


def test_what_is_left_is_told_by_the_spread() -> None:
    assert Turns(most=12).expected_left == 24
    assert Turns([(1.0, 1.0)] * 3, fewest=8, most=12).expected_left == 10
    wide = [(1.0, 1.1), (1.1, 1.0)] * 2
    assert Turns(wide, most=12).expected_left == 16
    begun = Turns(wide, most=12)
    begun.add(1.0)
    assert begun.expected_left == 15
    assert Turns([(1.0, 1.0)] * 8).expected_left == 0
