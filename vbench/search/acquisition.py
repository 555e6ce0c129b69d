"""How much a point promises: the logarithm of the improvement to be expected, and what it is divided by."""

from __future__ import annotations

import math

import numpy as np

from vbench.search.encoding import Matrix

_TAIL = -6.0
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def log_expected_improvement(mean: Matrix, deviation: Matrix, best: float) -> Matrix:
    """log E[max(0, y − best)] for normal y; finite however unlikely an improvement is (Ament et al., 2023)."""
    z = (mean - best) / deviation
    safe = np.maximum(z, _TAIL)
    near = np.log(density(safe) + safe * below(safe))
    far = -np.minimum(z, _TAIL)
    tail = -(far**2) / 2 - _LOG_ROOT_2PI - 2 * np.log(far) + np.log1p(-3 / far**2 + 15 / far**4)
    improvement: Matrix = np.where(z > _TAIL, near, tail) + np.log(deviation)
    return improvement


def density(z: Matrix) -> Matrix:
    """The standard normal density."""
    found: Matrix = np.exp(-(z**2) / 2 - _LOG_ROOT_2PI)
    return found


def below(z: Matrix) -> Matrix:
    """The standard normal distribution function."""
    flat = np.array([math.erfc(-one / math.sqrt(2)) / 2 for one in np.ravel(z)])
    return flat.reshape(np.shape(z))


def truncated(mean: Matrix, deviation: Matrix, bound: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and variance of a normal variable that is known not to pass the bound."""
    z = np.maximum((bound - mean) / deviation, _TAIL)
    ratio = density(z) / np.maximum(below(z), 1e-300)
    inside = np.minimum(mean - deviation * ratio, bound)
    return inside, deviation**2 * np.clip(1 - z * ratio - ratio**2, 1e-6, 1.0)
