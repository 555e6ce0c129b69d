"""What is believed of a space after what was told: how good a point is, whether it runs, what trying it costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vbench.search.acquisition import below, truncated
from vbench.search.encoding import Encoding, Matrix
from vbench.search.gaussian import Data, Kernel, Posterior, Prior, fitted
from vbench.search.observations import Observation, Observations, chosen_for_fit

_EARLIER_NOISE = 0.05  # relative: another prompt set, another day
_CENSOR_ROUNDS = 3
_MAX_IN_HYPERPARAMETERS = 60
_FIT_EACH_UNTIL = 40
_FIT_EVERY = 10
_VALUE = Prior()
_COST = Prior(effect=-2.5, interaction=-2.5, noise=0.1)
_RUNS = Prior(noise=0.1, least_noise=0.05)
_KEEPS = Prior(noise=0.02, least_noise=0.01)


class Value:
    """Of the (logarithm of the) objective. A pruned trial counts as somewhere below its bound, wherever the other
    trials put it: the mean of their belief cut off there, with its variance (a few rounds of expectation)."""

    def __init__(self, encoding: Encoding, told: Observations, weights: Matrix | None) -> None:
        self._kernel = Kernel(encoding, _VALUE)
        scores = told.to_raise(weights)
        chosen = chosen_for_fit(scores)
        self.used = [told.valued[index] for index in chosen]
        self._bounds = np.array([np.inf if one.bound is None else one.bound for one in self.used])
        runs = np.array([one.run for one in self.used], dtype=float)
        data = _data(encoding, self.used, scores[chosen], _EARLIER_NOISE**2 * (runs > 0))
        self._theta = fitted(self._kernel, self._for_hyperparameters(data))
        self.data = self._imputed(data)
        self.posterior = Posterior(self._kernel, self._theta, self.data)

    def _for_hyperparameters(self, data: Data) -> Data:
        """A prefix that grows in steps, so that a long run doesn't fit anew each time but a resumed one fits the same;
        without the pruned, where there is enough else."""
        size = len(data.values)
        prefix = np.arange(size if size < _FIT_EACH_UNTIL else size - size % _FIT_EVERY)
        measured = prefix[np.isinf(self._bounds[prefix])]
        places = measured if len(measured) >= 5 else prefix
        return data.part(places[chosen_for_fit(data.values[places], _MAX_IN_HYPERPARAMETERS)])

    def _imputed(self, data: Data) -> Data:
        is_censored = np.isfinite(self._bounds)
        for _ in range(_CENSOR_ROUNDS if is_censored.any() else 0):
            mean, deviation = Posterior(self._kernel, self._theta, data).left_out()
            values, noise = data.values.copy(), data.noise.copy()
            inside, variance = truncated(mean[is_censored], deviation[is_censored], self._bounds[is_censored])
            values[is_censored], noise[is_censored] = inside, variance
            data = Data(rows=data.rows, values=values, noise=noise, run=data.run)
        return data

    def with_running(self, rows: Matrix) -> None:
        """Count on the trials at these rows to come out as is believed now (constant liar, with the mean)."""
        if len(rows) == 0 or len(self.data.values) == 0:
            return
        mean, _ = self.posterior.at(rows)
        self.data = Data(
            rows=np.concatenate([self.data.rows, rows]),
            values=np.concatenate([self.data.values, mean]),
            noise=np.concatenate([self.data.noise, np.zeros(len(rows))]),
            run=np.concatenate([self.data.run, np.zeros(len(rows))]),
        )
        self.posterior = Posterior(self._kernel, self._theta, self.data)

    def incumbents(self) -> tuple[float, Matrix]:
        """The best believed value among measured points that keep the constraints, and the rows of the best five;
        where nothing does, the best of all."""
        kept = [index for index, one in enumerate(self.used) if one.is_kept]
        places = np.array(kept or list(range(len(self.used))), dtype=int)
        if len(places) == 0:
            return 0.0, self.data.rows[:0]
        mean, _ = self.posterior.at(self.data.rows[places])
        order = np.argsort(-mean, kind="stable")
        return float(mean[order[0]]), self.data.rows[places[order[:5]]]


class Feasibility:
    """The probability that a point runs and keeps the constraints: a Gaussian process on ±1, and one on the worst
    violation; each only once there is something to tell apart."""

    def __init__(self, encoding: Encoding, told: Observations) -> None:
        self._parts: list[Posterior] = []
        labels = np.array([1.0 if one.can_run else -1.0 for one in told.labelled])
        self._add(Kernel(encoding, _RUNS), told.labelled, labels)
        violations = np.array([one.violation for one in told.constrained], dtype=float)
        # A quarter beyond the bound or within it counts as far as it gets: where the bound lies is what matters.
        self._add(Kernel(encoding, _KEEPS), told.constrained, -np.tanh(4 * violations))

    def _add(self, kernel: Kernel, told: Sequence[Observation], kept: Matrix) -> None:
        if len(kept) == 0 or kept.min() > 0:
            return
        # Of many that failed and many that didn't, each kind is worth keeping: the rarer one counts as "best".
        rarer = -kept if (kept > 0).mean() > 0.5 else kept
        chosen = chosen_for_fit(rarer)
        used = [told[index] for index in chosen]
        data = _data(kernel.encoding, used, kept[chosen], np.zeros(len(used)), is_one_run=True)
        for_fit = data.part(chosen_for_fit(rarer[chosen], _MAX_IN_HYPERPARAMETERS))
        self._parts.append(Posterior(kernel, fitted(kernel, for_fit), data))

    def at(self, rows: Matrix) -> Matrix:
        """Of each row; 1 where nothing ever failed."""
        probability = np.ones(len(rows))
        for part in self._parts:
            mean, deviation = part.at(rows)
            probability *= np.clip(below(mean / deviation), 1e-10, 1.0)
        return probability


class Cost:
    """Expected seconds of a trial: its work by a Gaussian process on the logarithm, and the engine's start."""

    def __init__(self, encoding: Encoding, told: Observations) -> None:
        latest = told.timed[-_MAX_IN_HYPERPARAMETERS:]
        works = np.log([one.work_s for one in latest if one.work_s is not None])
        self._posterior: Posterior | None = None
        if latest:
            kernel = Kernel(encoding, _COST)
            self._posterior = Posterior(kernel, kernel.centre, _data(encoding, latest, works, np.zeros(len(latest))))
        starts = [one.start_s for one in latest if one.start_s is not None]
        self.start_s = float(np.median(starts)) if starts else 0.0

    def work_s(self, rows: Matrix) -> Matrix:
        """Of each row; 1 before anything was timed."""
        if self._posterior is None:
            return np.ones(len(rows))
        return np.exp(self._posterior.at(rows)[0])


def _data(
    encoding: Encoding, told: Sequence[Observation], values: Matrix, noise: Matrix, *, is_one_run: bool = False
) -> Data:
    rows = np.array([one.row for one in told]).reshape(len(told), len(encoding.dimensions))
    run = np.array([0 if is_one_run else one.run for one in told], dtype=float)
    return Data(rows=rows, values=np.asarray(values, dtype=float), noise=noise, run=run)
