"""A Gaussian process over a space of settings, in numpy alone.

Covariance: Σ a_d k_d + r (Π (1 + a_d k_d) − 1 − Σ a_d k_d), with k_d the correlation along parameter d (Matérn 5/2
along numbers, a fixed one between options), a_d the variance of its main effect, and r how far parameters interact
(after Duvenaud et al., Additive Gaussian Processes, 2011, with one weight for all orders above the first). On the
logarithm of a throughput the effects of settings add up, so main effects come first. Each run has a level of its own,
of wide prior variance: earlier runs say what is better than what, never how much is reached here.

Hyperparameters are those of greatest posterior density under weak log-normal priors, by BFGS with exact derivatives
from the priors' centre: a function of the data alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vbench.search.encoding import Encoding, Matrix

LEVEL_VARIANCE = 9.0  # of a run's own level, in units of the data's variance
_OPTION_CORRELATION = 0.1
_SQRT5 = math.sqrt(5.0)
_STEPS = 25
_BLOCK = 8192  # numbers: 64 KiB, which malloc takes from what it has
_LARGEST_MOVE = 1.5  # of a log hyperparameter in one step


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Observations: rows of the encoding, values, their own noise variance beside the common one, and their run."""

    rows: Matrix
    values: Matrix
    noise: Matrix
    run: Matrix
    """0: this run; 1, 2, …: earlier ones."""

    def part(self, chosen: Matrix) -> Data:
        """Those of these indices (or where this is true)."""
        return Data(rows=self.rows[chosen], values=self.values[chosen], noise=self.noise[chosen], run=self.run[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Centres and widths (natural logs) of the priors; noise is a standard deviation in the values' own unit."""

    effect: float = math.log(0.4)
    effect_width: float = 1.3
    length: float = math.log(0.7)
    length_width: float = 0.6
    interaction: float = math.log(0.25)
    interaction_width: float = 1.2
    noise: float = 0.015
    noise_width: float = 0.5
    least_noise: float = 0.01


class Kernel:
    """The covariance for one vector of log hyperparameters: effects, lengths (of ordered ones), interaction, noise."""

    def __init__(self, encoding: Encoding, prior: Prior) -> None:
        self.encoding, self.prior = encoding, prior
        self.ordered = [index for index, one in enumerate(encoding.dimensions) if one.is_ordered]
        self.num_effects = len(encoding.dimensions)
        effects, lengths = [prior.effect] * self.num_effects, [prior.length] * len(self.ordered)
        self.centre = np.array([*effects, *lengths, prior.interaction, 0.0])
        widths = [prior.effect_width] * self.num_effects + [prior.length_width] * len(self.ordered)
        self.width = np.array([*widths, prior.interaction_width, prior.noise_width])

    def correlations(self, theta: Matrix, squared: Matrix) -> Matrix:
        """k_d for each parameter, from squared distances."""
        found = np.where(squared > 0, _OPTION_CORRELATION, 1.0)
        for place, index in enumerate(self.ordered):
            scaled = _SQRT5 * np.sqrt(squared[index]) / math.exp(theta[self.num_effects + place])
            found[index] = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        return found

    def covariance(self, theta: Matrix, squared: Matrix) -> Matrix:
        """Between rows, without noise and without the runs' levels."""
        parts = np.exp(theta[: self.num_effects])[:, None, None] * self.correlations(theta, squared)
        main = parts.sum(axis=0)
        interaction = math.exp(theta[-2])
        covariance: Matrix = main * (1 - interaction) + interaction * (np.prod(1 + parts, axis=0) - 1)
        return covariance

    def between(self, theta: Matrix, rows: Matrix, others: Matrix) -> Matrix:
        """The covariance of rows with others. A column has few different numbers, so each pair of them is compared once
        and the result looked up; a few rows at a time, as the memory for all at once is slower than the arithmetic."""
        parts = [self._part_table(theta, index, rows, others) for index in range(self.num_effects)]
        interaction = math.exp(theta[-2])
        found = np.empty((len(rows), len(others)))
        step = max(1, _BLOCK // max(1, len(others)))
        for start in range(0, len(rows), step):
            block = found[start : start + step]
            block[:], product = 0.0, np.ones_like(block)
            for table, places in parts:
                part = table[places[start : start + step]]
                block += part
                part += 1.0
                product *= part
            product -= 1.0
            product *= interaction
            block *= 1 - interaction
            block += product
        return found

    def _part_table(self, theta: Matrix, index: int, rows: Matrix, others: Matrix) -> tuple[Matrix, Matrix]:
        """One parameter's part of the covariance: of each different number among rows with others, and the places of
        rows in it."""
        left, left_at = np.unique(rows[:, index], return_inverse=True)
        right, right_at = np.unique(others[:, index], return_inverse=True)
        squared = self.encoding.squared_distance(index, left, right)
        if self.encoding.dimensions[index].is_ordered:
            scaled = _SQRT5 * np.sqrt(squared) / math.exp(theta[self.num_effects + self.ordered.index(index)])
            alike = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        else:
            alike = np.where(squared > 0, _OPTION_CORRELATION, 1.0)
        return (math.exp(theta[index]) * alike)[:, right_at], left_at

    def derivatives(self, theta: Matrix, squared: Matrix) -> tuple[Matrix, Matrix]:
        """The covariance, and its derivative by each log hyperparameter but the noise."""
        correlations = self.correlations(theta, squared)
        parts = np.exp(theta[: self.num_effects])[:, None, None] * correlations
        product, main, interaction = np.prod(1 + parts, axis=0), parts.sum(axis=0), math.exp(theta[-2])
        by_part = (1 - interaction) + interaction * product / (1 + parts)
        slopes = [parts * by_part]
        for place, index in enumerate(self.ordered):
            scaled = _SQRT5 * np.sqrt(squared[index]) / math.exp(theta[self.num_effects + place])
            by_length = scaled**2 * (1 + scaled) / 3 * np.exp(-scaled)
            slopes.append((math.exp(theta[index]) * by_length * by_part[index])[None])
        beyond = interaction * (product - 1 - main)
        return main + beyond, np.concatenate([*slopes, beyond[None]])

    @property
    def variance_at_centre(self) -> float:
        """Of any single value, under the priors' centre."""
        return float(self.covariance(self.centre, np.zeros((self.num_effects, 1, 1)))[0, 0])


def fitted(kernel: Kernel, data: Data) -> Matrix:
    """The log hyperparameters of greatest posterior density; the priors' centre where there are under 3 values."""
    theta = kernel.centre.copy()
    if len(data.values) < 3:
        return theta
    squared = kernel.encoding.squared_distances(data.rows, data.rows)
    values, scale = standardised(data)
    inverse = np.diag(0.25 * kernel.width**2)
    here, slope = _density(kernel, theta, squared, data, values, scale)
    for _ in range(_STEPS):
        step = -inverse @ slope
        step *= min(1.0, _LARGEST_MOVE / (float(np.abs(step).max()) + 1e-12))
        taken = _descend(kernel, theta, step, (here, slope), squared, data, values, scale)
        if taken is None:
            break
        moved, there, slope_there = taken
        inverse = _updated(inverse, moved - theta, slope_there - slope)
        is_done = here - there < 1e-3
        theta, here, slope = moved, there, slope_there
        if is_done:
            break
    return theta


def _descend(
    kernel: Kernel, theta: Matrix, step: Matrix, at: tuple[float, Matrix], squared: Matrix, data: Data, values: Matrix,
    scale: float,
) -> tuple[Matrix, float, Matrix] | None:  # fmt: skip
    here, slope = at
    for length in (1.0, 0.4, 0.1, 0.02):
        moved = theta + length * step
        there, slope_there = _density(kernel, moved, squared, data, values, scale)
        if there < here + 1e-4 * length * float(slope @ step):
            return moved, there, slope_there
    return None


def _updated(inverse: Matrix, step: Matrix, change: Matrix) -> Matrix:
    curvature = float(step @ change)
    if curvature < 1e-10:
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / curvature
    updated: Matrix = left @ inverse @ left.T + np.outer(step, step) / curvature
    return updated


def _density(
    kernel: Kernel, theta: Matrix, squared: Matrix, data: Data, values: Matrix, scale: float
) -> tuple[float, Matrix]:
    """Minus the log posterior density, and its derivative."""
    covariance, slopes = kernel.derivatives(theta, squared)
    common = common_noise(kernel, theta, scale)
    size = len(values)
    whole = covariance + levels(data.run, data.run) + np.diag(common + data.noise / scale**2)
    try:
        factor = np.linalg.cholesky(whole)
    except np.linalg.LinAlgError:
        return math.inf, np.zeros_like(theta)
    inverse_factor = np.linalg.solve(factor, np.eye(size))
    inverse = inverse_factor.T @ inverse_factor
    weights = inverse @ values
    off = (theta - kernel.centre) / kernel.width
    density = 0.5 * float(values @ weights) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(off @ off)
    outer = inverse - np.outer(weights, weights)
    slope = np.empty_like(theta)
    slope[:-1] = 0.5 * np.einsum("ij,kij->k", outer, slopes)
    by_noise = 2.0 * (common - (kernel.prior.least_noise / scale) ** 2)
    slope[-1] = 0.5 * float(np.trace(outer)) * by_noise
    return density, slope + off / kernel.width


def common_noise(kernel: Kernel, theta: Matrix, scale: float) -> float:
    """The variance of any measurement, in squares of `scale`."""
    prior = kernel.prior
    return float((prior.least_noise**2 + (prior.noise * math.exp(theta[-1])) ** 2) / scale**2)


def levels(run: Matrix, others: Matrix) -> Matrix:
    """What two values have in common by being of one run."""
    shared: Matrix = LEVEL_VARIANCE * (run[:, None] == others[None, :])
    return shared


def standardised(data: Data) -> tuple[Matrix, float]:
    """The values about their run's mean and over their common spread, and that spread: at least 20 %, as those that
    were let run to their end lie closer together than the space does."""
    values = data.values.copy()
    for run in np.unique(data.run):
        values[data.run == run] -= data.values[data.run == run].mean()
    spread = max(0.2, float(np.sqrt(np.mean(values**2)))) if len(values) else 1.0
    return values / spread, spread
