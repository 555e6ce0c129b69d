"""Quantiles of Student's t against printed tables."""

from __future__ import annotations

import itertools

import pytest

from vbench.analysis.student_t import student_quantile

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, and Abramowitz & Stegun, table 26.10.
TABLE = [
    (0.90, 1, 3.078),
    (0.975, 1, 12.706),
    (0.99, 1, 31.821),
    (0.99, 2, 6.965),
    (0.95, 3, 2.353),
    (0.99, 4, 3.747),
    (0.999, 5, 5.893),
    (0.95, 10, 1.812),
    (0.99, 30, 2.457),
    (0.975, 60, 2.000),
    (0.99, 100, 2.364),
    (0.99, 120, 2.358),
    (0.975, 1000, 1.962),
    (0.999, 100_000, 3.090),
]


@pytest.mark.parametrize(("probability", "dof", "value"), TABLE)
def test_quantiles_are_those_of_the_table(probability: float, dof: int, value: float) -> None:
    assert student_quantile(probability, dof) == pytest.approx(value, abs=0.0006)
    assert student_quantile(1 - probability, dof) == pytest.approx(-value, abs=0.0006)


def test_the_exact_distribution_and_the_expansion_meet() -> None:
    for probability in (0.6, 0.95, 0.99, 0.999, 0.9999):
        falling = [student_quantile(probability, dof) for dof in (98, 99, 100, 101, 102, 103)]
        steps = [before - after for before, after in itertools.pairwise(falling)]
        assert steps == pytest.approx([steps[0]] * 5, rel=0.1)


@pytest.mark.parametrize(("probability", "dof"), [(0.0, 3), (1.0, 3), (0.9, 0)])
def test_what_has_no_quantile_is_refused(probability: float, dof: int) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        student_quantile(probability, dof)
