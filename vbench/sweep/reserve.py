"""When the search ends for the sake of what comes after it.

The random arm and the finals are paid from the same time and GPU-hours. A search that spent them all would leave the
best unchecked, so it ends as soon as what is left is what they will take: by the mean of this run's trials.
"""

from __future__ import annotations

from vbench.progress import Standing
from vbench.sweep.budget import Budget

_MOST_FOR_FINALS = 1 / 3  # of the whole budget: a search that has no time has nothing to check


def search_stop(budget: Budget, standing: Standing) -> str | None:
    """Why the search may start no further trial on one GPU; None while it may."""
    reason = budget.may_start()
    if reason is not None or not standing.num_timed:
        return reason
    left, limits = budget.left(), budget.limits
    gpus = max(1.0, budget.spent_gpu_s / standing.trials_s) if standing.trials_s > 0 else 1.0
    if left.time_s is not None and left.time_s < later_s(standing, limits.timeout_s or 0.0):
        return "out_of_time"
    if left.gpu_s is not None and left.gpu_s < gpus * later_s(standing, (limits.gpu_hours or 0.0) * 3600 / gpus):
        return "gpu_hours"
    return None


def later_s(standing: Standing, budget_s: float) -> float:
    """Seconds that the random arm and the finals will take of a budget of so many, at most.

    >>> later_s(Standing(planned=9, finals_expected=6, trials_s=20.0, num_timed=2), 90.0)
    30.0
    >>> later_s(Standing(planned=9, has_random_arm=True, search_s=20.0, trials_s=20.0, num_timed=2), 90.0)
    20.0
    """
    mean_s = standing.trials_s / max(1, standing.num_timed)
    finals_s = min(standing.finals_expected * mean_s, budget_s * _MOST_FOR_FINALS)
    return finals_s + (max(0.0, standing.search_s - standing.random_s) if standing.has_random_arm else 0.0)
