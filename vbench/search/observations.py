"""What a model learns from records: a value, an upper bound on one, or only whether a place can be run at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.chunk_ratios import THROUGHPUTS, Spread, chunk_rates
from vbench.search.encoding import Matrix
from vbench.spec.types import Objective

_CANNOT_RUN = (Outcome.INFEASIBLE, Outcome.UNSUPPORTED, Outcome.OUT_OF_MEMORY, Outcome.OVER_BUDGET)
_RAN = (Outcome.COMPLETED, Outcome.PRUNED)
MAX_IN_FIT = 120
_PASS_DEVIATION = 0.05
_RAMP_UP_DEVIATION = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One told trial, as numbers. Everything is None where the trial doesn't say it."""

    row: Matrix
    run: int
    """0: this run; 1, 2, …: earlier ones."""
    scores: tuple[float, ...] | None
    """Logarithm of each objective, turned so that more is better."""
    bound: float | None
    """Of a pruned trial: the logarithm of what it can't have passed, turned likewise."""
    warmup: float | None
    """The logarithm of the warm-up's rate, where the objective is a throughput."""
    passes: float | None
    """Of a pruned trial: the mean logarithm of the rates of timed passes that it did complete."""
    can_run: bool | None
    """Within the memory budget."""
    violation: float | None
    """The worst over the constraints, relative to the bound; ≤ 0 keeps them."""
    work_s: float | None
    """The whole trial without the engine's start."""
    start_s: float | None

    @property
    def is_kept(self) -> bool:
        """Whether it was measured within every constraint."""
        return self.scores is not None and self.can_run is True and (self.violation is None or self.violation <= 0)


def observe(record: TrialRecord, row: Matrix, objectives: Sequence[Objective], run: int) -> Observation:
    """What the record says. Crashes, timeouts and interruptions say nothing, as they may have other causes."""
    scores = [_score(record, one) for one in objectives] if record.outcome.is_measured else [None]
    known = [one for one in scores if one is not None]
    bound = None
    if record.outcome is Outcome.PRUNED and record.stopped is not None and len(objectives) == 1:
        bound = _signed_log(record.stopped.bound, objectives[0])
    warmup, passes = _early_rates(record, objectives)
    can_run: bool | None = None
    if record.outcome in _RAN or record.outcome in _CANNOT_RUN:
        can_run = record.outcome in _RAN
    violations = list(record.constraint_violations.values())
    start_s = _start_s(record)
    work_s = None
    if record.outcome.is_measured and record.duration_s is not None:
        work_s = max(1e-3, record.duration_s - (start_s or 0.0))
    return Observation(
        row=row, run=run, scores=tuple(known) if len(known) == len(objectives) else None, bound=bound,
        warmup=warmup, passes=passes, can_run=can_run,
        violation=max(violations) if violations and record.outcome.is_measured else None, work_s=work_s,
        start_s=start_s if record.outcome.is_measured else None,
    )  # fmt: skip


def _early_rates(record: TrialRecord, objectives: Sequence[Objective]) -> tuple[float | None, float | None]:
    one = objectives[0]
    if len(objectives) > 1 or one.direction != "maximize" or one.metric not in THROUGHPUTS:
        return None, None
    if record.outcome not in _RAN:
        return None, None
    rates = chunk_rates(record, one.metric)
    timed = [rate for (phase, _), rate in rates.items() if phase == "pass"]
    is_pruned = record.outcome is Outcome.PRUNED
    return rates.get(("warmup", 0)), math.fsum(timed) / len(timed) if timed and is_pruned else None


def _score(record: TrialRecord, objective: Objective) -> float | None:
    value = value_of(record.measurements, objective.metric)
    return None if value is None else _signed_log(value, objective)


def _signed_log(value: float, objective: Objective) -> float:
    # A rate of zero (no request kept its bounds) has no logarithm: a thousandth of the unit stands for it.
    return (1 if objective.direction == "maximize" else -1) * math.log(max(value, 1e-3))


def _start_s(record: TrialRecord) -> float | None:
    """Seconds until the engine was ready; None where a running one served the trial, or none was started."""
    parts = [one.end_s - one.start_s for one in record.phases if one.name in ("start", "import", "load")]
    return sum(parts) if any(one.name == "load" for one in record.phases) else None


class Column:
    """Numbers that come one by one (`width` at a time), as an array that needn't be made anew."""

    def __init__(self, width: int = 1) -> None:
        self._room = np.empty((64, width))
        self._count = 0

    def add(self, numbers: Sequence[float]) -> None:
        """The next ones."""
        if self._count == len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[self._count] = numbers
        self._count += 1

    @property
    def all(self) -> Matrix:
        """Shape (count, width)."""
        return self._room[: self._count]


@dataclass(slots=True)
class Observations:
    """Everything told so far, in order, by what it is good for, so that no question goes through all of it."""

    valued: list[Observation] = field(default_factory=list)
    """With scores or a bound on them."""
    labelled: list[Observation] = field(default_factory=list)
    """With a word on whether they ran."""
    constrained: list[Observation] = field(default_factory=list)
    """Measured against constraints."""
    timed: list[Observation] = field(default_factory=list)
    num_mine: int = 0
    """Valued ones of this run."""
    labels: Column = field(default_factory=Column)
    """Of the labelled: 1 where they ran, -1 elsewhere."""
    kept: Column = field(default_factory=Column)
    """Of the constrained: how far within the bounds, from -1 to 1. A quarter beyond a bound or within it counts as far
    as it gets: where the bound lies is what matters."""
    ramp_ups: Column = field(default_factory=lambda: Column(3))
    """After each of the valued: over the trials of this run that completed, the number, mean and standard deviation of
    the logarithm of value ÷ warm-up's rate."""
    ran: Counter[tuple[int, float]] = field(default_factory=Counter)
    """By column and number in it, how many of the labelled ran."""
    failed: Counter[tuple[int, float]] = field(default_factory=Counter)
    """And how many couldn't."""
    _ramp_up: Spread = field(default_factory=Spread)
    _scores: Column | None = None

    def add(self, one: Observation) -> None:
        """The next one told."""
        if one.scores is not None or one.bound is not None:
            self.valued.append(one)
            self.num_mine += one.run == 0
            scores = (one.bound or 0.0,) if one.scores is None else one.scores
            self._scores = self._scores or Column(len(scores))
            self._scores.add(scores)
            if one.scores is not None and one.warmup is not None and one.run == 0:
                self._ramp_up.add(one.scores[0] - one.warmup)
            self.ramp_ups.add((self._ramp_up.count, self._ramp_up.mean, self._ramp_up.deviation))
        if one.can_run is not None:
            self.labelled.append(one)
            self.labels.add((1.0 if one.can_run else -1.0,))
            places = [(column, float(number)) for column, number in enumerate(one.row) if not math.isnan(number)]
            (self.ran if one.can_run else self.failed).update(places)
        if one.violation is not None:
            self.constrained.append(one)
            self.kept.add((-math.tanh(4 * one.violation),))
        if one.work_s is not None:
            self.timed.append(one)

    def foreseen(self, one: Observation, size: int) -> tuple[float, float] | None:
        """Of a pruned one: its value as what it had completed tells, and the variance of that; None where it tells
        nothing. Known are the first `size` of the valued; two thoughts of 0.3 stand beside what their ramp-ups differ
        by, as some compile at first."""
        if one.passes is not None:
            return one.passes, _PASS_DEVIATION**2
        count, mean, deviation = (float(number) for number in self.ramp_ups.all[size - 1])
        if one.warmup is None or count == 0 or one.run != 0:
            return None
        squares = deviation**2 * (count - 1) + 2 * _RAMP_UP_DEVIATION**2
        return one.warmup + mean, squares / (count + 1) * (1 + 1 / count)

    def to_raise(self, weights: Matrix | None) -> Matrix:
        """Of each valued one the number to be raised: the objective's score (a pruned one's bound), or ParEGO's
        augmented Chebyshev value of several objectives under these weights."""
        if self._scores is None:
            return np.empty(0)
        scores = self._scores.all
        if weights is None:
            return scores[:, 0]
        best, worst = scores.max(axis=0), scores.min(axis=0)
        lost = weights * (best - scores) / np.maximum(best - worst, 1e-9)
        raised: Matrix = -(lost.max(axis=1) + 0.05 * lost.sum(axis=1))
        return raised


def chosen_for_fit(scores: Matrix, count: int = MAX_IN_FIT) -> Matrix:
    """Indices, in order, of so many observations at most: the best, the latest, and an even spread over the others."""
    size = len(scores)
    if size <= count:
        return np.arange(size)
    best = np.argsort(-scores, kind="stable")[: count * 2 // 5]
    latest = np.arange(size - count // 5, size)
    is_chosen = np.zeros(size, dtype=bool)
    is_chosen[best] = is_chosen[latest] = True
    rest = np.flatnonzero(~is_chosen)
    is_chosen[rest[np.linspace(0, len(rest) - 1, count - (size - len(rest))).astype(int)]] = True
    return np.flatnonzero(is_chosen)
