"""False alarms and power of a comparison in pairs, by simulation: the table of `docs/comparing.md`.

    python -m benchmarks.comparing_rule --comparisons 4000

Each comparison goes on until `analysis.paired.is_enough` says so, and is then judged by `ratio_of_pairs`: once with two
sides that are the same (A/A), once with a true change of just what was to be detected.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from vbench.analysis.paired import FEWEST_PAIRS, Ratio, first_of_pair, is_enough, ratio_of_pairs

MOST = 24
CASES = ((0.005, 0.03), (0.01, 0.03), (0.02, 0.03), (0.02, 0.05), (0.04, 0.05), (0.04, 0.03))
"""Spread of a single value (standard deviation of its log), and the change to be detected."""
Noise = Callable[[random.Random, float], list[float]]


def normal(draw: random.Random, spread: float) -> list[float]:
    """Logs of what the same engine measures, one after another."""
    return [draw.gauss(0, spread) for _ in range(2 * MOST)]


def heavy(draw: random.Random, spread: float) -> list[float]:
    """One value in twenty is 10 % smaller."""
    return [value - (0.1 if draw.random() < 0.05 else 0.0) for value in normal(draw, spread)]


def drift(draw: random.Random, spread: float) -> list[float]:
    """10 % slower from the first to the last, steadily."""
    return [value - 0.1 * turn / (2 * MOST - 1) for turn, value in enumerate(normal(draw, spread))]


def walk(draw: random.Random, spread: float) -> list[float]:
    """A random walk beside it, of steps half as large as the spread."""
    place = 0.0
    values = []
    for value in normal(draw, spread):
        place += draw.gauss(0, spread / 2)
        values.append(value + place)
    return values


NOISES: dict[str, Noise] = {"normal": normal, "heavy-tailed": heavy, "drift": drift, "random walk": walk}


@dataclass(frozen=True, slots=True)
class Cell:
    """Of so many comparisons: shares, and how many pairs were asked for."""

    false_alarms: float
    power: float
    """Of all; where the most pairs weren't enough too."""
    asked: float
    """The share of comparisons in which the rule was content, at the most pairs or before."""
    pairs: float


def compared(noise: Noise, draw: random.Random, spread: float, change: float, detect: float) -> Ratio:
    """One comparison under the rule, with a true change."""
    values = [math.exp(value) for value in noise(draw, spread)]
    pairs: list[tuple[float, float]] = []
    while not (pairs and is_enough(pairs, detect, FEWEST_PAIRS, MOST)):
        one, two = values[2 * len(pairs) : 2 * len(pairs) + 2]
        a, b = (one, two) if first_of_pair(len(pairs)) == "A" else (two, one)
        pairs.append((a, b * (1 + change)))
    return ratio_of_pairs(pairs)


def cell(noise: Noise, spread: float, detect: float, comparisons: int) -> Cell:
    """Seeded: the same numbers each time."""
    draw = random.Random(5)
    same = [compared(noise, draw, spread, 0.0, detect) for _ in range(comparisons)]
    changed = [compared(noise, draw, spread, detect, detect) for _ in range(comparisons)]
    return Cell(
        sum(one.is_clear for one in same) / comparisons,
        sum(one.low > 1 for one in changed) / comparisons,
        sum(one.detectable is not None and one.detectable <= detect for one in changed) / comparisons,
        sum(one.num_pairs for one in changed) / comparisons,
    )


def _percent(share: float, decimals: int = 0) -> str:
    return f"{share * 100:.{decimals}f} %"


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=4000, help="of each cell, and of each kind")
    count = parser.parse_args().comparisons
    print("| noise | spread of a value | to detect | A/A called different | power | enough within 24 | pairs |")
    print("|---|---|---|---|---|---|---|")
    for name, noise in NOISES.items():
        for spread, detect in CASES:
            found = cell(noise, spread, detect, count)
            print(
                f"| {name} | {_percent(spread, 1)} | {_percent(detect)} | {_percent(found.false_alarms, 1)} | "
                f"{_percent(found.power)} | {_percent(found.asked)} | {found.pairs:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
