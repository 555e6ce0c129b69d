"""Values with which trials fail more often than with the others, beyond chance (Fisher's exact test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.effects import ParameterEffect

LEVEL = 0.05


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
    """How likely at least so many of `marked` are among `drawn` of `total`, drawn blindly."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, total, marked, drawn))
