"""Values with which trials fail more often than with the others, beyond chance (Fisher's exact test)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.effects import ParameterEffect

LEVEL = 0.05
_NEGLIGIBLE = 1e-17


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingValue:
    """`num_failed` of the `num_trials` with the value failed; `other_failed` of the `other_trials` with another one.
    `p_value` is corrected for the number of values that were looked at."""

    name: str
    value: Any
    num_failed: int
    num_trials: int
    other_failed: int
    other_trials: int
    p_value: float


def failing_values(effects: Sequence[ParameterEffect]) -> list[FailingValue]:
    """Those that clearly fail more often, surest first. A trial that was stopped early didn't fail."""
    found: list[FailingValue] = []
    num_asked = 0
    for effect in effects:
        trials = sum(one.num_trials for one in effect.values)
        failed = sum(one.num_failed for one in effect.values)
        if not failed or len(effect.values) < 2:
            continue
        num_asked += len(effect.values)
        for one in effect.values:
            p_value = _tail(one.num_failed, one.num_trials, failed, trials) if one.num_failed > 1 else 1.0
            found.append(
                FailingValue(
                    name=effect.name, value=one.value, num_failed=one.num_failed, num_trials=one.num_trials,
                    other_failed=failed - one.num_failed, other_trials=trials - one.num_trials, p_value=p_value,
                )
            )  # fmt: skip
    clear = [one for one in found if one.p_value * num_asked <= LEVEL]
    return sorted(clear, key=lambda one: (one.p_value, one.name))


def _tail(hits: int, drawn: int, marked: int, total: int) -> float:
    """How likely at least so many of `marked` are among `drawn` of `total`, drawn blindly: of the hypergeometric
    distribution, whose terms are added up from the first one, each by its ratio to the one before."""
    most, fewest = min(drawn, marked), max(0, drawn + marked - total)
    if hits <= fewest:
        return 1.0
    if hits > most:
        return 0.0
    first = _log_ways(marked, hits) + _log_ways(total - marked, drawn - hits) - _log_ways(total, drawn)
    term = added = 1.0
    for hit in range(hits, most):
        term *= (marked - hit) * (drawn - hit) / ((hit + 1) * (total - marked - drawn + hit + 1))
        added += term
        if term < _NEGLIGIBLE * added:
            break
    return min(1.0, math.exp(first + math.log(added)))


def _log_ways(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)
