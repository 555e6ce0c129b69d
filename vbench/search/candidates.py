"""What a model chooses among: all of a small space; of a large one a sample, and what lies next to the best."""

from __future__ import annotations

import numpy as np

from vbench.search.encoding import Encoding, Matrix
from vbench.spec.space import count_points

_MAX_ENUMERATED = 20_000
_MAX_SCORED = 1_000
"""Rows whose promise is computed for one question, so that its cost has a bound."""
_SAMPLED = 800
_MANY = 400
"""Trials after which a sample of `_FEWER` does: what lies next to the best is offered anyway."""
_FEWER = 300


class Candidates:
    """`told` rows are never offered again. What is offered depends on them and on the generator alone."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self.is_finite = count_points(encoding.parameters, limit=_MAX_ENUMERATED) is not None
        self._rows: Matrix | None = None
        self._num_told = 0
        self._place: dict[bytes, int] = {}
        self._is_told: np.ndarray = np.zeros(0, dtype=bool)
        self._is_refused: np.ndarray = np.zeros(0, dtype=bool)
        self._waiting: list[Matrix] = []

    def told(self, row: Matrix) -> None:
        """Leave that row out from now on."""
        self._num_told += 1
        if self.is_finite:
            self._waiting.append(row)

    def refused(self, row: Matrix) -> None:
        """Remember that it breaks a constraint on parameters. It is offered all the same, so that what is drawn for the
        others depends on nothing but what was told."""
        if self._rows is not None:
            self._is_refused[self._place[_key(row)]] = True

    def is_refused(self, row: Matrix) -> bool:
        """Whether that row was refused before."""
        return self._rows is not None and bool(self._is_refused[self._place[_key(row)]])

    def offered(self, best: Matrix, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
        """Rows to be scored, and rows to fall back on when none of these is allowed. `best`: rows of good points."""
        count = _SAMPLED if self._num_told < _MANY else _FEWER
        if not self.is_finite:
            rows = np.concatenate([self._encoding.neighbours(best, rng), self._encoding.sampled(count, rng)])
            return rows, rows[:0]
        rows = self._all()
        order = rng.permutation(len(rows))
        left = order[~self._is_told[order]]
        if len(left) <= _MAX_SCORED:
            return rows[left], np.empty((0, rows.shape[1]))
        near = self._encoding.neighbours(best, rng)
        places = [place for row in near if (place := self._place.get(_key(row))) is not None]
        first = left[:count]
        scored = np.unique(np.concatenate([first, np.array(places, dtype=int)]))
        return rows[scored[~self._is_told[scored]]], rows[left[count:]]

    def _all(self) -> Matrix:
        if self._rows is None:
            self._rows = self._encoding.every_row()
            self._place = {_key(row): index for index, row in enumerate(self._rows)}
            self._is_told = np.zeros(len(self._rows), dtype=bool)
            self._is_refused = np.zeros(len(self._rows), dtype=bool)
        for row in self._waiting:
            self._is_told[self._place[_key(row)]] = True
        self._waiting.clear()
        return self._rows


def _key(row: Matrix) -> bytes:
    return np.nan_to_num(row, nan=-1e300).tobytes()
