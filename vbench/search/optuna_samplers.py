"""Optuna's samplers by the names that a sweep file gives them, and what each can't do.

random   any space
qmc      any space: a scrambled Sobol sequence over all parameters, those that don't apply drawn and left out
tpe      any space; multivariate, grouped by what applies together; constant liar where trials run side by side
gp       what applies to every trial; what applies only to some is drawn at random. Needs torch and scipy
cmaes    ranges that apply to every trial; all else is drawn at random. One objective. Needs cmaes
nsga2    any space, several objectives; small populations, as a sweep has tens of trials, not thousands
nsga3    the same
botorch  as gp. Needs optuna-integration with BoTorch
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import optuna

from vbench.errors import UsageError
from vbench.spec.types import Objective, Parameter, Range, SearchMethod

_NEEDS: dict[str, tuple[tuple[str, ...], str]] = {
    "qmc": (("scipy",), "search"),
    "gp": (("scipy", "torch"), "search"),
    "cmaes": (("cmaes",), "search"),
    "botorch": (("optuna_integration", "botorch"), "botorch"),
}
GENERATIONS = ("cmaes", "nsga2", "nsga3")
"""Samplers that keep what generation a trial belongs to in the trial itself."""
MEMORYLESS = ("random", "qmc")
"""Samplers that learn nothing from what is told."""


def check(method: SearchMethod, parameters: Sequence[Parameter], objectives: Sequence[Objective]) -> None:
    """Raise UsageError, with what to do, for a method that can't be had here or can't search this."""
    packages, extra = _NEEDS.get(method, ((), ""))
    missing = [name.replace("_", "-") for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        install = "torch" if missing == ["torch"] else f"'vbench[{extra}]'" + " torch" * ("torch" in missing)
        raise UsageError(f"search.method {method} needs {' and '.join(missing)}: pip install {install}")
    if method == "cmaes" and len(objectives) > 1:
        raise UsageError("search.method cmaes takes one objective: use nsga2, nsga3, tpe or surrogate for several")
    if method == "cmaes" and not any(isinstance(one.domain, Range) for one in parameters):
        raise UsageError(
            "search.method cmaes searches ranges, and every parameter here is a choice: write numbers as "
            "{low: …, high: …}, or use tpe or surrogate"
        )


class _IndexedQMC(optuna.samplers.QMCSampler):  # type: ignore[misc]  # optuna isn't followed by mypy
    """Takes its place in the sequence from the trial's number, not from a count that a resumed study wouldn't have."""

    def __init__(self, *, seed: int, index: int) -> None:
        super().__init__(seed=seed, scramble=True)
        self._index = index

    def _find_sample_id(self, study: optuna.Study, search_space: Any) -> int:  # noqa: ARG002 -- Optuna's signature
        return self._index


def make_sampler(
    method: SearchMethod, seed: int, *, num_trials: int, study_seed: int = 0, index: int = 0, is_parallel: bool = False
) -> optuna.samplers.BaseSampler:
    """The sampler, seeded. `index` and `study_seed` are for qmc: the place in the sequence, and what scrambles it."""
    # A third at random before a model speaks, but no more than Optuna's own default of 10.
    num_startup = max(4, min(10, num_trials // 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match method:
            case "random":
                return optuna.samplers.RandomSampler(seed=seed)
            case "qmc":
                return _IndexedQMC(seed=study_seed, index=index)
            case "tpe":
                return optuna.samplers.TPESampler(
                    seed=seed, n_startup_trials=num_startup, multivariate=True, group=True, constant_liar=is_parallel,
                )  # fmt: skip
            case "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=num_startup)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(seed=seed)
            case "nsga2":
                return optuna.samplers.NSGAIISampler(seed=seed, population_size=population_size(num_trials))
            case "nsga3":
                return optuna.samplers.NSGAIIISampler(seed=seed, population_size=population_size(num_trials))
            case "botorch":
                from optuna_integration import BoTorchSampler

                sampler: optuna.samplers.BaseSampler = BoTorchSampler(seed=seed, n_startup_trials=num_startup)
                return sampler
    raise ValueError(f"{method} is not a sampler of Optuna")


def population_size(num_trials: int) -> int:
    """Of NSGA: a fifth of the trials, so that there are generations to learn from; at most Optuna's default of 50."""
    return max(4, min(50, num_trials // 5))
