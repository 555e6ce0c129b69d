"""Writes sweeps/prompts/arc.jsonl: grid puzzles as text, each with its answer. The same file on every run.

    .venv/bin/python tools/arc_prompts.py

A puzzle hides one rule. It shows the rule in two to four pairs of grids and asks for the output of one more grid. The
rules are written here; no puzzle is taken from elsewhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

Grid = list[list[int]]
OUT = Path(__file__).parent.parent / "sweeps" / "prompts" / "arc.jsonl"
INTRODUCTION = """\
Below are pairs of grids. A digit from 0 to 9 stands for the colour of a cell, and 0 is the empty background. One and \
the same rule turns the input of each pair into its output. Find the rule, and apply it to the test input.

Work in this order:
1. Compare the sizes of input and output. Does the rule keep the size, or does it cut, repeat or scale the grid?
2. Name what stays, what moves and what changes its colour, and test that on every pair, not only on the first.
3. Say the rule in one sentence.
4. Write the output grid for the test input, one row a line, its cells separated by spaces, after a line that reads \
"Output:". Write nothing after the grid.
"""


def mirrored(grid: Grid) -> Grid:
    """Left and right change places."""
    return [row[::-1] for row in grid]


def upside_down(grid: Grid) -> Grid:
    """Top and bottom change places."""
    return grid[::-1]


def turned(grid: Grid) -> Grid:
    """A quarter to the right."""
    return [list(row) for row in zip(*grid[::-1], strict=True)]


def transposed(grid: Grid) -> Grid:
    """Rows become columns."""
    return [list(row) for row in zip(*grid, strict=True)]


def fallen(grid: Grid) -> Grid:
    """Every coloured cell drops as far as it can; those of a column keep their order."""
    columns = []
    for column in zip(*grid, strict=True):
        kept = [cell for cell in column if cell]
        columns.append([0] * (len(column) - len(kept)) + kept)
    return [list(row) for row in zip(*columns, strict=True)]


def cropped(grid: Grid) -> Grid:
    """The smallest box around all that is coloured."""
    rows = [index for index, row in enumerate(grid) if any(row)]
    columns = [index for index, column in enumerate(zip(*grid, strict=True)) if any(column)]
    return [row[columns[0] : columns[-1] + 1] for row in grid[rows[0] : rows[-1] + 1]]


def tiled(grid: Grid) -> Grid:
    """Two by two copies."""
    return [row + row for row in grid] + [row + row for row in grid]


def kaleidoscope(grid: Grid) -> Grid:
    """Four copies, mirrored at both axes."""
    half = [row + row[::-1] for row in grid]
    return half + half[::-1]


def doubled(grid: Grid) -> Grid:
    """Each cell becomes a block of two by two."""
    wide = [[cell for cell in row for _ in range(2)] for row in grid]
    return [list(row) for row in wide for _ in range(2)]


def swapped(grid: Grid) -> Grid:
    """The commonest and the rarest of the colours change places; the background isn't one."""
    counts = colour_counts(grid)
    common, rare = max(counts, key=lambda c: (counts[c], -c)), min(counts, key=lambda c: (counts[c], c))
    return [[{common: rare, rare: common}.get(cell, cell) for cell in row] for row in grid]


def commonest_only(grid: Grid) -> Grid:
    """What isn't of the commonest colour is wiped out."""
    counts = colour_counts(grid)
    kept = max(counts, key=lambda c: (counts[c], -c))
    return [[cell if cell == kept else 0 for cell in row] for row in grid]


def framed(grid: Grid) -> Grid:
    """A frame of the commonest colour is laid around the grid."""
    counts = colour_counts(grid)
    colour = max(counts, key=lambda c: (counts[c], -c))
    edge = [colour] * (len(grid[0]) + 2)
    return [edge, *([colour, *row, colour] for row in grid), edge]


RULES: tuple[Callable[[Grid], Grid], ...] = (
    mirrored, upside_down, turned, transposed, fallen, cropped, tiled, kaleidoscope, doubled, swapped, commonest_only,
    framed,
)  # fmt: skip
SMALL = (tiled, kaleidoscope, doubled)
BY_COUNT = (swapped, commonest_only, framed)


def colour_counts(grid: Grid) -> dict[int, int]:
    """How often each colour but the background is there."""
    cells = [cell for row in grid for cell in row if cell]
    return {colour: cells.count(colour) for colour in cells}


class Puzzles:
    """Grids drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed).random  # the one method that gives the same numbers on every Python

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return low + int(self.draw() * (high - low + 1))

    def grid(self, rule: Callable[[Grid], Grid], colours: list[int], largest: int) -> Grid:
        """A grid on which the rule does something and leaves no doubt."""
        while True:
            height, width = (self.number(3, 5 if rule in SMALL else largest) for _ in range(2))
            share = 0.3 if rule is cropped else 0.55
            grid = [
                [colours[self.number(0, len(colours) - 1)] if self.draw() < share else 0 for _ in range(width)]
                for _ in range(height)
            ]
            if rule is cropped:
                grid = surrounded(grid, self.number(1, 3), self.number(1, 3))
            counts = sorted(colour_counts(grid).values())
            if len(counts) < 2 or (rule in BY_COUNT and (counts[-1] == counts[-2] or counts[0] == counts[1])):
                continue
            if rule(grid) != grid:
                return grid

    def puzzle(self, rule: Callable[[Grid], Grid], pairs: int, largest: int) -> tuple[str, str]:
        """The prompt and its answer."""
        colours: list[int] = []
        while len(colours) < 3:
            colour = self.number(1, 9)
            colours += [colour] if colour not in colours else []
        parts = [INTRODUCTION]
        for index in range(1, pairs + 1):
            grid = self.grid(rule, colours, largest)
            parts.append(f"Pair {index}\nInput:\n{written(grid)}\nOutput:\n{written(rule(grid))}\n")
        test = self.grid(rule, colours, largest)
        parts.append(f"Test\nInput:\n{written(test)}\n")
        return "\n".join(parts), written(rule(test))


def surrounded(grid: Grid, rows: int, columns: int) -> Grid:
    """Empty rows and columns on all sides."""
    width = len(grid[0]) + 2 * columns
    middle = [[0] * columns + row + [0] * columns for row in grid]
    return [[0] * width for _ in range(rows)] + middle + [[0] * width for _ in range(rows)]


def written(grid: Grid) -> str:
    """A row a line."""
    return "\n".join(" ".join(map(str, row)) for row in grid)


def lines() -> list[str]:
    """The file's lines: every rule twice, the second time with more and larger grids."""
    puzzles = Puzzles(seed=20)
    made = []
    for pairs, largest in ((3, 8), (4, 11)):
        for index, rule in enumerate(RULES):
            prompt, answer = puzzles.puzzle(rule, pairs - (index % 2), largest)
            name = f"{rule.__name__.replace('_', '-')}-{pairs - 2}"
            made.append(json.dumps({"id": name, "prompt": prompt, "answer": answer}))
    return made


if __name__ == "__main__":
    OUT.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
