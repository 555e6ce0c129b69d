"""What a model learns from records: a value, an upper bound on one, or only whether a place can be run at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.encoding import Matrix
from vbench.spec.types import Objective

_CANNOT_RUN = (Outcome.INFEASIBLE, Outcome.UNSUPPORTED, Outcome.OUT_OF_MEMORY, Outcome.OVER_BUDGET)
_RAN = (Outcome.COMPLETED, Outcome.PRUNED)
MAX_IN_FIT = 120


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
    can_run: bool | None = None
    if record.outcome in _RAN or record.outcome in _CANNOT_RUN:
        can_run = record.outcome in _RAN
    violations = list(record.constraint_violations.values())
    start_s = _start_s(record)
    work_s = None
    if record.outcome.is_measured and record.duration_s is not None:
        work_s = max(1e-3, record.duration_s - (start_s or 0.0))
    return Observation(
        row=row, run=run, scores=tuple(known) if len(known) == len(objectives) else None, bound=bound, can_run=can_run,
        violation=max(violations) if violations and record.outcome.is_measured else None, work_s=work_s,
        start_s=start_s if record.outcome.is_measured else None,
    )  # fmt: skip


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

    def add(self, one: Observation) -> None:
        """The next one told."""
        if one.scores is not None or one.bound is not None:
            self.valued.append(one)
            self.num_mine += one.run == 0
        if one.can_run is not None:
            self.labelled.append(one)
        if one.violation is not None:
            self.constrained.append(one)
        if one.work_s is not None:
            self.timed.append(one)

    def to_raise(self, weights: Matrix | None) -> Matrix:
        """Of each valued one the number to be raised: the objective's score (a pruned one's bound), or ParEGO's
        augmented Chebyshev value of several objectives under these weights."""
        if weights is None:
            return np.array([one.bound if one.scores is None else one.scores[0] for one in self.valued], dtype=float)
        scores = np.array([one.scores for one in self.valued]).reshape(len(self.valued), len(weights))
        if len(scores) == 0:
            return np.empty(0)
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
    rest = np.setdiff1d(np.arange(size), np.concatenate([best, latest]))
    room = count - (size - len(rest))
    spread = rest[np.linspace(0, len(rest) - 1, room).astype(int)]
    return np.sort(np.concatenate([np.union1d(best, latest), spread]))
