"""Optuna as somebody would use it without vbench: a study, `suggest_…` by `suggest_…`, every default left alone.

A configuration that it suggests again is measured again and paid for again, as it would be. Only what is common to all
is spared: what the planner refuses costs nothing, and is told as pruned.
"""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import Trial, TrialState

from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.base import Asking
from vbench.search.optuna_space import distribution_of
from vbench.spec.space import Point, walk
from vbench.spec.types import Domain, Scalar, SweepSpec


class PlainTPE:
    """`optuna.samplers.TPESampler(seed=seed)` and nothing else; it allows itself repeats, whatever it is asked."""

    def __init__(self, spec: SweepSpec) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spec = spec
        sampler = optuna.samplers.TPESampler(seed=spec.search.seed)
        self._study = optuna.create_study(direction=spec.objective.direction, sampler=sampler)
        self._asked: Trial | None = None

    def ask(self, asking: Asking) -> Point | None:  # noqa: ARG002 -- plain Optuna isn't told what was tried
        """What the study suggests, repeats among them."""
        trial = self._asked = self._study.ask()
        return walk(self._spec.parameters, lambda name, domain: _suggest(trial, name, domain))

    def tell(self, record: TrialRecord) -> None:
        """The value of a completed trial; all others are pruned without one."""
        assert self._asked is not None
        value = value_of(record.measurements, self._spec.objective.metric)
        if record.outcome is Outcome.COMPLETED and value is not None:
            self._study.tell(self._asked, value)
        else:
            self._study.tell(self._asked, state=TrialState.PRUNED)

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """It has no earlier runs."""


def _suggest(trial: Trial, name: str, domain: Domain) -> Scalar:
    distribution = distribution_of(domain)
    if isinstance(distribution, CategoricalDistribution):
        return str(trial.suggest_categorical(name, distribution.choices))
    if isinstance(distribution, IntDistribution):
        return int(trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step))
    raise ValueError(f"{name}: only choices and whole numbers can be replayed")
