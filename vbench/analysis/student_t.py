"""Quantiles of Student's t distribution, so that no bound needs SciPy."""

from __future__ import annotations

import functools
import math
import statistics

_MOST_SUMMED = 100
_HALVINGS = 60


@functools.lru_cache(maxsize=1024)
def student_quantile(probability: float, dof: int) -> float:
    """The value that Student's t with `dof` degrees of freedom (1 or more) stays below with that probability.

    Up to 100 degrees of freedom by halving on the exact distribution (Abramowitz & Stegun, *Handbook of Mathematical
    Functions*, 26.7.3 and 26.7.4), beyond by its expansion around the normal quantile (26.7.5, wrong by < 1e-6 there
    for probabilities up to 0.9999). Raises ValueError for a probability outside (0, 1) or no degree of freedom.
    """
    if not 0 < probability < 1 or dof < 1:
        raise ValueError(f"no quantile at {probability} with {dof} degrees of freedom")
    if probability < 0.5:
        return -student_quantile(1 - probability, dof)
    if dof > _MOST_SUMMED:
        return _expanded(statistics.NormalDist().inv_cdf(probability), dof)
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if (1 + _central(middle, dof)) / 2 < probability:
            low = middle
        else:
            high = middle
    return math.sqrt(dof) * math.tan(low)


def _central(angle: float, dof: int) -> float:
    """The probability of |t| < √dof · tan(angle)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    if dof % 2 == 0:
        term = total = 1.0
        for number in range(2, dof, 2):
            term *= cosine**2 * (number - 1) / number
            total += term
        return sine * total
    term = total = cosine if dof > 1 else 0.0
    for number in range(3, dof, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    return 2 / math.pi * (angle + sine * total)


def _expanded(z: float, dof: int) -> float:
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / dof + second / dof**2 + third / dof**3
