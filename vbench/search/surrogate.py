"""vbench's own method: a model of the whole space that asks for what promises most per second.

A Gaussian process (`gaussian`) on the logarithm of the objective foretells every point. Asked is the point of greatest
expected improvement, times the probability that it runs and keeps the constraints, over the seconds that it is expected
to take; a running engine saves the start. Before that, a few points tell most about the space per second. Several
objectives are drawn together anew for each question (ParEGO, Knowles 2006).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vbench.records.record import TrialRecord
from vbench.search.acquisition import log_expected_improvement
from vbench.search.base import Asking
from vbench.search.beliefs import Cost, Feasibility, Fits, Value
from vbench.search.blas import use_one_thread
from vbench.search.candidates import Candidates
from vbench.search.encoding import Encoding, Matrix
from vbench.search.observations import Observation, Observations, observe
from vbench.spec.calling import RUN_TIME_SECTIONS
from vbench.spec.space import Point, point_of
from vbench.spec.types import Objective, Parameter

_LEAST_START, _MOST_START = 4, 6  # trials before the model's promises count
_NUM_REFERENCE = 200
_NUM_CHEAP_TESTED = 256
_CURIOSITY = 1e-4  # of a standard deviation: the least improvement expected of any point
_JITTER = 0.02  # of a log promise: the seed decides between points that are all but equal


class SurrogateSearch:
    """Any space; one objective or several. What `ask` costs has a bound, however many trials were told."""

    def __init__(self, parameters: Sequence[Parameter], objectives: Sequence[Objective], seed: int) -> None:
        use_one_thread()
        self._parameters = parameters
        self._objectives = objectives
        self._seed = seed
        self._encoding = Encoding(parameters)
        self._candidates = Candidates(self._encoding)
        self._told = Observations()
        self._fits = Fits()
        self._num_earlier_runs = 0
        self._num_start = max(_LEAST_START, min(_MOST_START, len(self._encoding.dimensions)))
        self._is_run_time = np.array(
            [one.name.partition(".")[0] in RUN_TIME_SECTIONS for one in self._encoding.dimensions], dtype=bool
        )
        self._latest: Matrix | None = None

    def tell(self, record: TrialRecord) -> None:
        """Learn from a record; one that is no point of this space teaches nothing."""
        seen = self._observation(record, run=0)
        if seen is not None:
            self._told.add(seen)
            self._candidates.told(seen.row)
            self._latest = seen.row

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """Learn what is better than what, not how much is reached: each earlier run has a level of its own."""
        self._num_earlier_runs += 1
        for record in records:
            seen = self._observation(record, run=self._num_earlier_runs)
            if seen is not None:
                self._told.add(seen)

    def ask(self, asking: Asking) -> Point | None:
        """The allowed point of the greatest promise; None when nothing allowed is left."""
        rng = np.random.default_rng([self._seed, asking.number])
        weights = rng.dirichlet(np.ones(len(self._objectives))) if len(self._objectives) > 1 else None
        value = Value(self._encoding, self._told, weights, self._fits)
        running = [point_of(self._parameters, one.parameters) for one in asking.running]
        rows = [self._encoding.row(point) for point in running if point is not None]
        value.with_running(np.array(rows).reshape(len(rows), len(self._encoding.dimensions)))
        best, best_rows = value.incumbents()
        offered, later = self._candidates.offered(best_rows, rng)
        if len(offered) == 0:
            return None
        if self._is_starting(len(rows)):
            promise = self._information(value, offered, rng)
        else:
            mean, deviation = value.posterior.at(offered)
            # Where nothing promises anything, what is least known does, rather than what can't run.
            promise = np.logaddexp(log_expected_improvement(mean, deviation, best), np.log(_CURIOSITY * deviation))
        promise = promise + np.log(Feasibility(self._encoding, self._told, self._fits).at(offered))
        promise = promise + _JITTER * rng.standard_normal(len(offered))
        promise = promise - self._log_cost(asking, offered, promise)
        ranked = offered[np.argsort(-promise, kind="stable")]
        return self._first_allowed(asking, ranked, later)

    def _observation(self, record: TrialRecord, run: int) -> Observation | None:
        point = point_of(self._parameters, record.parameters)
        return None if point is None else observe(record, self._encoding.row(point), self._objectives, run)

    def _is_starting(self, num_running: int) -> bool:
        mine = self._told.num_mine + num_running
        earlier = len(self._told.valued) - self._told.num_mine
        return mine < (1 if earlier >= self._num_start else self._num_start)

    def _information(self, value: Value, rows: Matrix, rng: np.random.Generator) -> Matrix:
        """Logarithm of what measuring each row would tell of the space: the variance that it takes away at points
        drawn from it (Cohn's criterion)."""
        reference = self._encoding.sampled(_NUM_REFERENCE, rng)
        across = value.posterior.covariance(rows, reference)
        _, deviation = value.posterior.at(rows)
        told: Matrix = np.log(np.maximum((across**2).mean(axis=1) / deviation**2, 1e-12))
        return told

    def _log_cost(self, asking: Asking, rows: Matrix, promise: Matrix) -> Matrix:
        cost = Cost(self._encoding, self._told)
        work_s = cost.work_s(rows)
        start_s = np.full(len(rows), cost.start_s)
        if asking.is_cheap is not None:
            for index in self._worth_testing(rows, promise - np.log(work_s)):
                if asking.is_cheap(self._encoding.point(rows[index])):
                    start_s[index] = 0.0
        seconds: Matrix = np.log(work_s + start_s)
        return seconds

    def _worth_testing(self, rows: Matrix, promise: Matrix) -> Iterator[int]:
        """The most promising rows, and the most promising of those that differ from the latest trial only in what is
        asked of a running engine: to look at all of them would take too long."""
        order = np.argsort(-promise, kind="stable")
        tested = order[:_NUM_CHEAP_TESTED]
        if self._latest is not None and self._is_run_time.any():
            fixed = ~self._is_run_time
            same = np.nan_to_num(rows[:, fixed], nan=-1) == np.nan_to_num(self._latest[fixed], nan=-1)
            alike = order[same.all(axis=1)[order]]
            tested = np.union1d(tested, alike[:_NUM_CHEAP_TESTED])
        yield from (int(index) for index in tested)

    def _first_allowed(self, asking: Asking, ranked: Matrix, later: Matrix) -> Point | None:
        running = [one.parameters for one in asking.running]
        for rows in (ranked, later):
            for row in rows:
                if self._candidates.is_refused(row):
                    continue
                point = self._encoding.point(row)
                if asking.is_allowed(point):
                    return point
                if point.parameters not in running:
                    self._candidates.refused(row)
        return None
