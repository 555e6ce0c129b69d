"""The searcher that a sweep asks for."""

from __future__ import annotations

from vbench.search.base import Searcher
from vbench.spec.space import count_points
from vbench.spec.types import SweepSpec

DEFAULT_TRIALS = 30


def make_searcher(spec: SweepSpec) -> Searcher:
    """The method of `search.method`; optuna is imported only when it is needed."""
    if spec.search.method == "grid":
        from vbench.search.grid import GridSearch

        return GridSearch(spec.parameters)
    from vbench.search.optuna_search import OptunaSearch

    return OptunaSearch(
        spec.parameters, spec.objective, spec.search.method, spec.search.seed, num_trials=planned_trials(spec)
    )


def planned_trials(spec: SweepSpec) -> int:
    """How many trials the sweep is to have, the baseline included: `search.trials`, or all that there are."""
    size = count_points(spec.parameters)
    has_baseline = spec.baseline is not None
    wanted = spec.search.trials
    if wanted is None:
        wanted = has_baseline + (size if spec.search.method == "grid" and size is not None else DEFAULT_TRIALS)
    # A baseline may lie within the space or outside it; at most one more than the points there are.
    return wanted if size is None else min(wanted, size + has_baseline)
