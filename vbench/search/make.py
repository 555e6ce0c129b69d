"""The searcher that a sweep asks for."""

from __future__ import annotations

from vbench.search.base import Searcher
from vbench.spec.config import baseline_point
from vbench.spec.space import count_points, point_of
from vbench.spec.types import SearchMethod, SweepSpec

DEFAULT_TRIALS = 30


def make_searcher(spec: SweepSpec) -> Searcher:
    """The method of `search.method`; optuna and numpy are imported only when they are needed.

    Raises UsageError for a method that can't search this space or these objectives, or whose package isn't there.
    """
    method = method_of(spec)
    if method == "grid":
        from vbench.search.grid import GridSearch

        return GridSearch(spec.parameters)
    objectives = (spec.objective, *spec.more_objectives)
    if method == "surrogate":
        from vbench.search.surrogate import SurrogateSearch

        return SurrogateSearch(spec.parameters, objectives, spec.search.seed)
    from vbench.search.optuna_search import OptunaSearch

    return OptunaSearch(
        spec.parameters, objectives, method, spec.search.seed, num_trials=planned_trials(spec),
        is_parallel=spec.search.parallel_trials > 1,
    )  # fmt: skip


def check_method(spec: SweepSpec) -> None:
    """Raise what `make_searcher` would of a method that can't be had here, before anything is made."""
    method = method_of(spec)
    if method not in ("grid", "surrogate"):
        from vbench.search.optuna_samplers import check

        check(method, spec.parameters, (spec.objective, *spec.more_objectives))


def method_of(spec: SweepSpec) -> SearchMethod:
    """The method that `auto` stands for: a grid where the trials cover the whole space, else the surrogate."""
    if spec.search.method != "auto":
        return spec.search.method
    size = count_points(spec.parameters)
    wanted = spec.search.trials if spec.search.trials is not None else DEFAULT_TRIALS + (spec.baseline is not None)
    return "grid" if size is not None and size + _baseline_beside(spec) <= wanted else "surrogate"


def planned_trials(spec: SweepSpec) -> int:
    """How many trials are to be started at most, the baseline included: `search.trials`, or all that there are."""
    size = count_points(spec.parameters)
    has_baseline = spec.baseline is not None
    wanted = spec.search.trials
    if wanted is None:
        wanted = has_baseline + (size if spec.search.method == "grid" and size is not None else DEFAULT_TRIALS)
    return wanted if size is None else min(wanted, size + _baseline_beside(spec))


def _baseline_beside(spec: SweepSpec) -> int:
    """1 where the baseline is a trial more than the space's points; 0 where there is none or it is one of them."""
    baseline = baseline_point(spec)
    if baseline is None:
        return 0
    same = point_of(spec.parameters, baseline.parameters)
    return int(same is None or same.settings != baseline.settings)
