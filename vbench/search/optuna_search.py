"""Optuna's samplers by its ask and tell.

How an outcome is told (docs/architecture.md, "What the sampler hears"): measured → COMPLETE, with its constraints;
infeasible, unsupported, out of memory, pruned → PRUNED without a value, which TPE ranks last, so it leaves that region;
crashes of other causes → FAIL, which samplers ignore. No failure is ever a score.

The sampler is made and seeded anew for each draw, and a point is drawn for a trial that no sampler learns from; what is
learned goes in from the record, the same way live and on resume. So a resumed study is the same as one that was never
interrupted. Samplers that keep generations need more: their told trial is one that
the sampler itself was asked for, seeded by its place, with the record's parameters put in (`_tell_own`), so it bears
the generation, and carries the state of CMA-ES, that follow from what was told before.
"""

from __future__ import annotations

import copy
import hashlib
import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import optuna
from optuna.trial import FrozenTrial, TrialState

from vbench.records.record import TrialRecord
from vbench.search.base import Asking, IsAllowed
from vbench.search.encoding import Encoding
from vbench.search.optuna_samplers import GENERATIONS, MEMORYLESS, check, make_sampler
from vbench.search.optuna_space import as_scalar, constraints_of, distribution_of, distributions_of, told_as
from vbench.spec.space import Point, count_points, enumerate_points, point_of, walk
from vbench.spec.types import Domain, Objective, Parameter, Scalar, SearchMethod

_MAX_DRAWS = 12  # of points that aren't allowed (mostly repeats), before one is picked from what is left
_MAX_DRAWS_WHERE_SLOW = 4  # where a draw is a fit of a second, or the next repeat is as likely as this one
_MAX_ENUMERATED = 100_000
_QMC_BLOCK = 1 << 16  # a repeat goes on so far along the sequence
_MODELS = ("gp", "botorch")
_DRAW = "draw"  # marks trials that were only drawn from


class OptunaSearch:
    """A study in memory, rebuilt from records whenever it is needed; empty for methods that learn nothing."""

    def __init__(
        self, parameters: Sequence[Parameter], objectives: Sequence[Objective], method: SearchMethod, seed: int,
        num_trials: int, *, is_parallel: bool = False,
    ) -> None:  # fmt: skip
        check(method, parameters, objectives)
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it says at each draw what it draws at random
        self._parameters = parameters
        self._objectives = objectives
        self._method = method
        self._seed = seed
        self._num_trials = num_trials
        self._is_parallel = is_parallel
        self._num_told = 0
        self._study = self._new_study()
        self._every_distribution = {one.name: distribution_of(one.domain) for one in Encoding(parameters).dimensions}

    def ask(self, asking: Asking) -> Point | None:
        """A point that is allowed; one of the rest that is most like what the sampler drew, when it keeps repeating
        itself."""
        study = self._study_with(asking.running)
        drawn = []
        for draw in range(_MAX_DRAWS_WHERE_SLOW if self._method in (*_MODELS, "qmc") else _MAX_DRAWS):
            sampler = self._sampler(_mix(self._seed, asking.number, draw), asking.number + draw * _QMC_BLOCK)
            point = self._draw(study, sampler)
            if asking.is_allowed(point):
                return point
            drawn.append(point)
        return self._pick_from_rest(asking.number, asking.is_allowed, drawn)

    def tell(self, record: TrialRecord) -> None:
        """Add the record to the study; one whose parameters aren't a point of this space teaches nothing."""
        point = point_of(self._parameters, record.parameters)
        if point is None or self._method in MEMORYLESS:
            return
        self._num_told += 1
        if self._method in GENERATIONS:
            self._tell_own(record, point)
            return
        state, values = told_as(record, self._objectives)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=values,
                params=dict(point.parameters),
                distributions=distributions_of(self._parameters, point.parameters),
                constraints=constraints_of(record) if state == TrialState.COMPLETE else None,
            )
        )

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """Add them as trials of their own. Optuna's samplers take their values for this run's."""
        for record in records:
            self.tell(record)

    @property
    def trials(self) -> list[FrozenTrial]:
        """What was told, in order, without the throw-away draws."""
        return [trial for trial in self._study.get_trials(deepcopy=False) if not trial.user_attrs.get(_DRAW)]

    def _new_study(self) -> optuna.Study:
        study = optuna.create_study(
            directions=[one.direction for one in self._objectives], sampler=optuna.samplers.RandomSampler(seed=0)
        )
        if self._method not in _MODELS:
            study.ask().set_user_attr(_DRAW, True)
        return study

    def _study_with(self, running: Sequence[Point]) -> optuna.Study:
        """The study, or for samplers that care a copy of it in which trials run at these points."""
        if not running or self._method in (*MEMORYLESS, *GENERATIONS):
            return self._study
        study = self._new_study()
        study.add_trials(self.trials)
        for point in running:
            distributions = distributions_of(self._parameters, point.parameters)
            study.add_trial(
                optuna.trial.create_trial(
                    state=TrialState.RUNNING, params=dict(point.parameters), distributions=distributions
                )
            )
        return study

    def _sampler(self, seed: int, index: int) -> optuna.samplers.BaseSampler:
        return make_sampler(
            self._method, seed, num_trials=self._num_trials, study_seed=self._seed, index=index,
            is_parallel=self._is_parallel,
        )  # fmt: skip

    def _draw(self, study: optuna.Study, sampler: optuna.samplers.BaseSampler) -> Point:
        """What the sampler proposes for an empty trial. Such a trial runs in the study for ever (its first), so that
        draws don't pile up; models count the notes that they take on running trials, and get one that then fails."""
        study = _looked_at_anew(study)
        own = study.ask() if self._method in _MODELS else None
        blank = copy.copy(study.get_trials(deepcopy=False)[-1 if own is not None else 0])
        blank.system_attrs = {}
        space = self._every_distribution
        if self._method != "qmc":
            space = sampler.infer_relative_search_space(study, blank)
        relative = sampler.sample_relative(study, blank, space)

        def choose(name: str, domain: Domain) -> Scalar:
            if name in relative:
                return as_scalar(domain, relative[name])
            return as_scalar(domain, sampler.sample_independent(study, blank, name, distribution_of(domain)))

        point = walk(self._parameters, choose)
        if own is not None:
            own.set_user_attr(_DRAW, True)
            study.tell(own, state=TrialState.FAIL)
        return point

    def _tell_own(self, record: TrialRecord, point: Point) -> None:
        """Ask the sampler for a trial, put the record's parameters into it, and tell that one."""
        study = self._study
        study.sampler = self._sampler(_mix(self._seed, self._num_told, -1), 0)
        study.enqueue_trial(dict(point.parameters))
        trial = study.ask(distributions_of(self._parameters, point.parameters))
        _ = trial.relative_params  # computed when looked at: that is when the sampler notes the generation
        state, values = told_as(record, self._objectives)
        for name, violation in constraints_of(record).items() if state == TrialState.COMPLETE else ():
            trial.set_constraint(name, violation)
        study.tell(trial, values=values, state=state)
        # Parents are chosen once a generation, and kept by the study: now, not at a question that a resumed study
        # wouldn't be asked.
        self._draw(study, self._sampler(_mix(self._seed, self._num_told, -2), 0))

    def _pick_from_rest(self, number: int, is_allowed: IsAllowed, drawn: Sequence[Point]) -> Point | None:
        """The allowed point whose values the sampler drew most often; among equals, one at random."""
        if count_points(self._parameters, limit=_MAX_ENUMERATED) is None:
            return None
        rest = [point for point in islice(enumerate_points(self._parameters), _MAX_ENUMERATED) if is_allowed(point)]
        drawn_often = Counter(item for point in drawn for item in point.parameters.items())

        def liked(point: Point) -> float:
            # A mean over the point's own parameters, as conditional ones make some points longer than others.
            logs = [math.log(0.5 + drawn_often[item]) for item in point.parameters.items()]
            return math.fsum(logs) / max(1, len(logs))

        random.Random(_mix(self._seed, number, _MAX_DRAWS)).shuffle(rest)
        return max(rest, key=liked, default=None)


def _looked_at_anew(study: optuna.Study) -> optuna.Study:
    """The same study without what samplers remember of its trials until the next `Study.ask`, which isn't called for
    each draw. What that asks, it asks a quick sampler, for nothing."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.load_study(study_name=study.study_name, storage=study._storage, sampler=sampler)


def _mix(*parts: int) -> int:
    """One 32-bit seed from several numbers, the same in every process (unlike `hash`)."""
    digest = hashlib.sha256(",".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big")
