"""How likely it is by chance that so many trials with a value failed."""

from __future__ import annotations

import pytest
from scipy.stats import hypergeom

from vbench.analysis.failing_values import _tail


@pytest.mark.parametrize(
    ("hits", "drawn", "marked", "total"),
    [(0, 5, 5, 10), (1, 5, 5, 10), (5, 5, 5, 10), (6, 5, 5, 10), (3, 8, 9, 10), (7, 8, 9, 10), (12, 60, 40, 1000),
     (40, 40, 40, 1000), (1700, 16_000, 10_000, 100_000), (10, 99_999, 10, 100_000)],
)  # fmt: skip
def test_it_is_the_hypergeometric_tail(hits: int, drawn: int, marked: int, total: int) -> None:
    expected = float(hypergeom.sf(hits - 1, total, marked, drawn))
    assert _tail(hits, drawn, marked, total) == pytest.approx(expected, rel=1e-6, abs=1e-300)
