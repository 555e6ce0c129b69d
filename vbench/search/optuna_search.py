"""Random and TPE search by Optuna's ask and tell; the only module that imports optuna.

How an outcome is told (docs/architecture.md, "What the sampler hears"): measured → COMPLETE, with its constraints;
infeasible, unsupported, out of memory → PRUNED without a value, which TPE ranks last, so it leaves that region; crashes
of other causes → FAIL, which TPE ignores. No failure is ever a score.

A point is drawn from a throw-away Optuna trial (told FAIL), and what is learned goes in through `add_trial` from the
record, the same way live and on resume; with a sampler seeded anew for each ask, that makes a resumed study the same
as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.base import Asking, IsAllowed
from vbench.spec.space import Point, count_points, enumerate_points, point_of, walk
from vbench.spec.types import Choice, Domain, Objective, Parameter, Scalar

_MAX_DRAWS = 50  # of points that aren't allowed (mostly repeats), before one is picked from what is left
_MAX_ENUMERATED = 100_000
_DRAW = "draw"  # marks the throw-away trials
_STATES = {
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


class OptunaSearch:
    """A study in memory, rebuilt from records whenever it is needed."""

    def __init__(
        self, parameters: Sequence[Parameter], objective: Objective, method: Literal["random", "tpe"], seed: int,
        num_trials: int,
    ) -> None:  # fmt: skip
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._parameters = parameters
        self._objective = objective
        self._method = method
        self._seed = seed
        # A third at random before TPE's model speaks, but no more than Optuna's own default of 10.
        self._num_startup = max(4, min(10, num_trials // 3))
        self._study = optuna.create_study(direction=objective.direction)

    def ask(self, asking: Asking) -> Point | None:
        """A point that is allowed; one picked at random from the rest when the sampler keeps repeating itself."""
        number, is_allowed = asking.number, asking.is_allowed
        for draw in range(_MAX_DRAWS):
            self._study.sampler = self._sampler(_mix(self._seed, number, draw))
            trial = self._study.ask()
            trial.set_user_attr(_DRAW, True)
            point = walk(self._parameters, partial(_suggest, trial))
            self._study.tell(trial, state=TrialState.FAIL)
            if is_allowed(point):
                return point
        return self._pick_from_rest(number, is_allowed)

    def tell(self, record: TrialRecord) -> None:
        """Add the record to the study; one whose parameters aren't a point of this space teaches nothing."""
        point = point_of(self._parameters, record.parameters)
        if point is None:
            return
        state = _STATES[record.outcome]
        value = value_of(record.measurements, self._objective.metric) if record.outcome.is_measured else None
        if state == TrialState.COMPLETE and value is None:
            state = TrialState.FAIL  # completed without the objective's metric: nothing to learn from
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value if state == TrialState.COMPLETE else None,
                params=dict(point.parameters),
                distributions=self._distributions(point.parameters),
                constraints=_constraints(record) if state == TrialState.COMPLETE else None,
            )
        )

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """Add them as trials of their own."""
        for record in records:
            self.tell(record)

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """What was told, in order, without the throw-away draws."""
        return [trial for trial in self._study.get_trials(deepcopy=False) if not trial.user_attrs.get(_DRAW)]

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self._method == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=self._num_startup, multivariate=True, group=True, constant_liar=False
            )

    def _distributions(self, parameters: Mapping[str, Scalar]) -> dict[str, BaseDistribution]:
        found: dict[str, BaseDistribution] = {}

        def choose(name: str, domain: Domain) -> Scalar:
            found[name] = distribution_of(domain)
            return parameters[name]

        walk(self._parameters, choose)
        return found

    def _pick_from_rest(self, number: int, is_allowed: IsAllowed) -> Point | None:
        if count_points(self._parameters, limit=_MAX_ENUMERATED) is None:
            return None
        rest = [point for point in islice(enumerate_points(self._parameters), _MAX_ENUMERATED) if is_allowed(point)]
        return random.Random(_mix(self._seed, number, _MAX_DRAWS)).choice(rest) if rest else None


def distribution_of(domain: Domain) -> BaseDistribution:
    """Optuna's distribution of a domain. `high` is moved down to the last value that the step reaches."""
    if isinstance(domain, Choice):
        return CategoricalDistribution([option.label for option in domain.options])
    values = domain.values()
    high = domain.high if values is None else values[-1]
    if domain.is_int:
        return IntDistribution(int(domain.low), int(high), log=domain.log, step=int(domain.step or 1))
    step = None if domain.step is None else float(domain.step)
    return FloatDistribution(float(domain.low), float(high), log=domain.log, step=step)


def _suggest(trial: optuna.Trial, name: str, domain: Domain) -> Scalar:
    distribution = distribution_of(domain)
    if isinstance(distribution, CategoricalDistribution):
        return str(trial.suggest_categorical(name, distribution.choices))
    if isinstance(distribution, IntDistribution):
        low, high = distribution.low, distribution.high
        return int(trial.suggest_int(name, low, high, step=distribution.step, log=distribution.log))
    assert isinstance(distribution, FloatDistribution)
    low_f, high_f = distribution.low, distribution.high
    value = trial.suggest_float(name, low_f, high_f, step=distribution.step, log=distribution.log)
    return round(float(value), 12)  # 0.8500000000000001 is 0.85


def _constraints(record: TrialRecord) -> dict[str, float]:
    constraints: dict[str, Any] = dict(record.constraint_violations)
    if record.outcome is Outcome.OVER_BUDGET:
        constraints.setdefault("memory budget", 1.0)
    return constraints


def _mix(*parts: int) -> int:
    """One 32-bit seed from several numbers, the same in every process (unlike `hash`)."""
    digest = hashlib.sha256(",".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
