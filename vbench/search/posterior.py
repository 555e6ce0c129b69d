"""What a Gaussian process (`gaussian`) knows of a space once it has seen data."""

from __future__ import annotations

import numpy as np

from vbench.search.encoding import Matrix
from vbench.search.gaussian import LEVEL_VARIANCE, Data, Kernel, common_noise, levels, standardised


class Posterior:
    """What is known after the data: mean and variance anywhere in the space, in the values' own unit."""

    def __init__(self, kernel: Kernel, theta: Matrix, data: Data, like: Posterior | None = None) -> None:
        """`like`: one with the same hyperparameters, of the same rows and runs with other values and noise."""
        self._kernel, self._theta, self._data = kernel, theta, data
        values, self._scale = standardised(data)
        mine = data.values[data.run == 0]
        self._level = float(mine.mean()) if len(mine) else 0.0
        self._before: Matrix = self._across(data.rows) + levels(data.run, data.run) if like is None else like._before
        whole = self._before + np.diag(common_noise(kernel, theta, self._scale) + data.noise / self._scale**2)
        self._inverse = np.linalg.inv(whole)
        self._inverse = (self._inverse + self._inverse.T) / 2
        self._weights = self._inverse @ values
        self._values = values

    def at(self, rows: Matrix) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of the true values there."""
        across = self._across(rows) + self._level_with_data()
        mean = across @ self._weights
        alone = self._alone()
        variance = alone - np.einsum("ij,ij->i", across @ self._inverse, across)
        deviation = np.sqrt(np.maximum(variance, 1e-10)) * self._scale
        return self._level + mean * self._scale, deviation

    def mean_at(self, rows: Matrix) -> Matrix:
        """The mean alone, which is quicker."""
        mean: Matrix = (self._across(rows) + self._level_with_data()) @ self._weights
        return self._level + mean * self._scale

    def covariance(self, rows: Matrix, others: Matrix) -> Matrix:
        """Between the true values at two sets of rows, given the data; in squares of the values' unit."""
        before = self._kernel.between(self._theta, rows, others) + LEVEL_VARIANCE
        left, right = (self._across(some) + self._level_with_data() for some in (rows, others))
        after: Matrix = before - left @ self._inverse @ right.T
        return after * self._scale**2

    def left_out(self) -> tuple[Matrix, Matrix]:
        """Mean and standard deviation of each value as the others foretell it (Rasmussen & Williams, 5.12)."""
        variance = 1 / np.maximum(np.diag(self._inverse), 1e-12)
        off = self._weights * variance * self._scale
        return self._data.values - off, np.sqrt(variance) * self._scale

    def _across(self, rows: Matrix) -> Matrix:
        return self._kernel.between(self._theta, rows, self._data.rows)

    def _level_with_data(self) -> Matrix:
        """Of rows of this run with the data."""
        return levels(np.zeros(1), self._data.run)

    def _alone(self) -> float:
        same = np.zeros((self._kernel.num_effects, 1, 1))
        return float(self._kernel.covariance(self._theta, same)[0, 0]) + LEVEL_VARIANCE
