"""What is believed of a space after what was told: how good a point is, whether it runs, what trying it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vbench.search.acquisition import below, truncated
from vbench.search.encoding import Encoding, Matrix
from vbench.search.gaussian import Data, Kernel, Prior, fitted
from vbench.search.observations import MAX_IN_FIT, Observation, Observations, chosen_for_fit
from vbench.search.posterior import Posterior

_EARLIER_NOISE = 0.05  # relative: another prompt set, another day
_CENSOR_ROUNDS = 3
_MAX_IN_HYPERPARAMETERS = 60
_FIT_EACH_UNTIL = 12
_FIT_GROWTH = 1.1
_DOUBT = 0.1  # of a forecast that nothing there runs, over the square of what has failed: edges aren't smooth
_VALUE = Prior()
_FAILED_OFTEN = 4
_OPTION_DOUBT = 1e-4  # of an option that failed so often and never ran, once more for each time that it fails again
_COST = Prior(effect=-2.5, interaction=-2.5, noise=0.1)
_RUNS = Prior(noise=0.1, least_noise=0.05)
_KEEPS = Prior(noise=0.02, least_noise=0.01)


def checkpoint(size: int) -> int:
    """Of so many observations, how many at the start the hyperparameters are fitted to: all of a few, later steps that
    grow. Nothing but the count decides it, so a resumed run fits what the uninterrupted one did."""
    step = float(_FIT_EACH_UNTIL)
    while step * _FIT_GROWTH < size + 1:
        step *= _FIT_GROWTH
    return min(size, int(step)) if size >= _FIT_EACH_UNTIL else size


class Fits:
    """The latest hyperparameters by what they are for, so that a question only fits what has grown a step."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, Matrix]] = {}

    def of(self, key: str | None, kernel: Kernel, size: int, data: Callable[[], Data]) -> Matrix:
        """Of the first `size` observations, `data()`; None: of nothing that comes again."""
        if key is None:
            return fitted(kernel, data())
        latest = self._latest.get(key)
        if latest is None or latest[0] != size:
            latest = self._latest[key] = (size, fitted(kernel, data()))
        return latest[1]


class Value:
    """Of the (logarithm of the) objective. A pruned trial that had completed its warm-up, or a pass, counts with what
    that foretells; one that hadn't, as somewhere below its bound, wherever the other trials put it: the mean of their
    belief cut off there, with its variance (a few rounds of expectation)."""

    def __init__(self, encoding: Encoding, told: Observations, weights: Matrix | None, fits: Fits) -> None:
        self._kernel = Kernel(encoding, _VALUE)
        self._told = told
        scores = told.to_raise(weights)
        chosen = chosen_for_fit(scores)
        self.used = [told.valued[index] for index in chosen]
        self._bounds = np.array([np.inf if one.bound is None else one.bound for one in self.used])
        runs = np.array([one.run for one in self.used], dtype=float)
        raw = _data(encoding, self.used, scores[chosen], _EARLIER_NOISE**2 * (runs > 0))
        data = self._with_foreseen(self.used, raw, len(scores))
        size = len(scores) - told.num_mine + checkpoint(told.num_mine)
        # Several objectives: each question has a scale of its own, so nothing can be kept between them.
        key = None if weights is not None else "value"
        self._theta = fits.of(key, self._kernel, size, lambda: self._for_hyperparameters(scores[:size]))
        self.data = self._imputed(data)

    def _for_hyperparameters(self, scores: Matrix) -> Data:
        """Without the pruned, where there is enough else."""
        told = self._told.valued[: len(scores)]
        known = [one.scores is not None or self._told.foreseen(one, len(scores)) is not None for one in told]
        places = np.flatnonzero(known) if sum(known) >= 5 else np.arange(len(scores))
        chosen = places[chosen_for_fit(scores[places], _MAX_IN_HYPERPARAMETERS)]
        used = [told[index] for index in chosen]
        runs = np.array([one.run for one in used])
        data = _data(self._kernel.encoding, used, scores[chosen], _EARLIER_NOISE**2 * (runs > 0))
        return self._with_foreseen(used, data, len(scores))

    def _with_foreseen(self, used: Sequence[Observation], data: Data, size: int) -> Data:
        """Pruned ones at what they had completed foretells, cut off at their bound."""
        values, noise = data.values.copy(), data.noise.copy()
        for index, one in enumerate(used):
            foreseen = None if one.bound is None else self._told.foreseen(one, size)
            if foreseen is not None:
                mean, variance = foreseen
                inside, left = truncated(np.array([mean]), np.sqrt([variance]), np.array([one.bound]))
                values[index], noise[index] = inside[0], left[0]
        return Data(rows=data.rows, values=values, noise=noise, run=data.run)

    def _imputed(self, data: Data) -> Data:
        size = len(self._told.valued)
        is_censored = np.isfinite(self._bounds)
        pruned = [one for one in self.used if one.bound is not None]
        foreseen = np.array([self._told.foreseen(one, size) or (0.0, np.inf) for one in pruned]).reshape(-1, 2)
        self.posterior = Posterior(self._kernel, self._theta, data)
        for _ in range(_CENSOR_ROUNDS if is_censored.any() else 0):
            mean, deviation = self.posterior.left_out()
            values, noise = data.values.copy(), data.noise.copy()
            mean, deviation = _both(mean[is_censored], deviation[is_censored], *foreseen.T)
            inside, variance = truncated(mean, deviation, self._bounds[is_censored])
            values[is_censored], noise[is_censored] = inside, variance
            data = Data(rows=data.rows, values=values, noise=noise, run=data.run)
            self.posterior = Posterior(self._kernel, self._theta, data, like=self.posterior)
        return data

    def with_running(self, rows: Matrix) -> None:
        """Count on the trials at these rows to come out as is believed now (constant liar, with the mean)."""
        if len(rows) == 0 or len(self.data.values) == 0:
            return
        mean = self.posterior.mean_at(rows)
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
        mean = self.posterior.mean_at(self.data.rows[places])
        order = np.argsort(-mean, kind="stable")
        return float(mean[order[0]]), self.data.rows[places[order[:5]]]


class Feasibility:
    """The probability that a point runs and keeps the constraints: a Gaussian process on ±1, and one on the worst
    violation; each only once there is something to tell apart."""

    def __init__(self, encoding: Encoding, told: Observations, fits: Fits) -> None:
        self._parts: list[tuple[Posterior, float]] = []
        self._failing = _always_failing(told)
        self._add("runs", Kernel(encoding, _RUNS), told.labelled, told.labels.all[:, 0], fits)
        self._add("keeps", Kernel(encoding, _KEEPS), told.constrained, told.kept.all[:, 0], fits)

    def _add(self, key: str, kernel: Kernel, told: Sequence[Observation], kept: Matrix, fits: Fits) -> None:
        if len(kept) == 0 or kept.min() > 0:
            return

        def chosen_of(size: int, count: int) -> Data:
            # Of many that failed and many that didn't, each kind is worth keeping: the rarer one counts as "best".
            first = kept[:size]
            chosen = chosen_for_fit(-first if (first > 0).mean() > 0.5 else first, count)
            used = [told[index] for index in chosen]
            return _data(kernel.encoding, used, first[chosen], np.zeros(len(used)), is_one_run=True)

        # The first that fail say most, so they make a step of their own.
        failed = np.flatnonzero(kept <= 0)
        size = max(checkpoint(len(kept)), int(failed[checkpoint(len(failed)) - 1]) + 1)
        theta = fits.of(key, kernel, size, lambda: chosen_of(size, _MAX_IN_HYPERPARAMETERS))
        least = _DOUBT / (1 + len(failed)) ** 2
        self._parts.append((Posterior(kernel, theta, chosen_of(len(kept), MAX_IN_FIT)), least))

    def at(self, rows: Matrix) -> Matrix:
        """Of each row; 1 where nothing ever failed."""
        probability = np.ones(len(rows))
        for part, least in self._parts:
            mean, deviation = part.at(rows)
            probability *= np.clip(below(mean / deviation), least, 1.0)
        for (column, number), failed in self._failing.items():
            probability[rows[:, column] == number] *= _OPTION_DOUBT ** (failed - _FAILED_OFTEN + 1)
        return probability


def _always_failing(told: Observations) -> dict[tuple[int, float], int]:
    """Options and numbers that never ran, by column, and how often they failed: what the engine can't do, or what never
    fits, needn't be tried with every other setting."""
    often = {place: failed for place, failed in told.failed.items() if failed >= _FAILED_OFTEN}
    return {place: failed for place, failed in often.items() if not told.ran[place]}


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
        return np.exp(self._posterior.mean_at(rows))


def _both(mean: Matrix, deviation: Matrix, other: Matrix, variance: Matrix) -> tuple[Matrix, Matrix]:
    """Two independent beliefs of the same as one; an infinite variance says nothing."""
    precision = 1 / deviation**2 + 1 / variance
    both: Matrix = (mean / deviation**2 + other / variance) / precision
    return both, 1 / np.sqrt(precision)


def _data(
    encoding: Encoding, told: Sequence[Observation], values: Matrix, noise: Matrix, *, is_one_run: bool = False
) -> Data:
    rows = np.array([one.row for one in told]).reshape(len(told), len(encoding.dimensions))
    run = np.array([0 if is_one_run else one.run for one in told], dtype=float)
    return Data(rows=rows, values=np.asarray(values, dtype=float), noise=noise, run=run)
