"""A space in Optuna's words, and a record as one of its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.space import walk
from vbench.spec.types import Choice, Domain, Objective, Parameter, Scalar

STATES = {
    Outcome.COMPLETED: TrialState.COMPLETE,
    Outcome.OVER_BUDGET: TrialState.COMPLETE,
    Outcome.INFEASIBLE: TrialState.PRUNED,
    Outcome.UNSUPPORTED: TrialState.PRUNED,
    Outcome.OUT_OF_MEMORY: TrialState.PRUNED,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.TIMED_OUT: TrialState.FAIL,
    Outcome.CRASHED: TrialState.FAIL,
    Outcome.INTERRUPTED: TrialState.FAIL,
}


def distribution_of(domain: Domain) -> BaseDistribution:
    """Optuna's distribution of a domain. `high` is moved down to the last value that the step reaches."""
    if isinstance(domain, Choice):
        return CategoricalDistribution([option.label for option in domain.options])
    count = domain.num_values
    high = domain.high if count is None else domain.value(count - 1)
    if domain.is_int:
        return IntDistribution(int(domain.low), int(high), log=domain.log, step=int(domain.step or 1))
    step = None if domain.step is None else float(domain.step)
    return FloatDistribution(float(domain.low), float(high), log=domain.log, step=step)


def as_scalar(domain: Domain, value: Any) -> Scalar:
    """What Optuna drew, as a point holds it: a label, an int, or a float without binary dust (0.85)."""
    if isinstance(domain, Choice):
        return str(value)
    return int(value) if domain.is_int else round(float(value), 12)


def distributions_of(parameters: Sequence[Parameter], chosen: Mapping[str, Scalar]) -> dict[str, BaseDistribution]:
    """The distribution of every parameter that a point chose, by dotted name."""
    found: dict[str, BaseDistribution] = {}

    def choose(name: str, domain: Domain) -> Scalar:
        found[name] = distribution_of(domain)
        return chosen[name]

    walk(parameters, choose)
    return found


def told_as(record: TrialRecord, objectives: Sequence[Objective]) -> tuple[TrialState, list[float] | None]:
    """The state a record is told in, and its values when that is COMPLETE.

    Completed without one of the objectives' metrics is FAIL: there is nothing to learn from. With several objectives
    Optuna knows no pruned trials: FAIL too.
    """
    state = STATES[record.outcome]
    if state == TrialState.PRUNED and len(objectives) > 1:
        return TrialState.FAIL, None
    if state != TrialState.COMPLETE:
        return state, None
    values = [value_of(record.measurements, one.metric) for one in objectives]
    known = [value for value in values if value is not None]
    return (state, known) if len(known) == len(values) else (TrialState.FAIL, None)


def constraints_of(record: TrialRecord) -> dict[str, float]:
    """Violations by constraint, the memory budget as one of them; ≤ 0 is kept."""
    constraints: dict[str, float] = dict(record.constraint_violations)
    if record.outcome is Outcome.OVER_BUDGET:
        constraints.setdefault("memory budget", 1.0)
    return constraints
