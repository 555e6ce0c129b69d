"""What a record says of a trial that was stopped early, in words. Other words are `report`'s and `cli`'s."""

from __future__ import annotations

from vbench.metrics import metric_of
from vbench.outcome import Outcome
from vbench.records.record import Stopped, TrialRecord
from vbench.spec.types import Objective
from vbench.units import format_bytes, format_number

_PLACES = {"probe": "the probe", "warmup": "warm-up pass {}", "pass": "pass {}"}


def explain_stop(stopped: Stopped, objective: Objective) -> str:
    """`stopped 1.3 s into pass 1: at most 210 tok/s, the best then had 405 tok/s (trial 3), error rate 5%`.

    Passes are counted from 1, as in the live view.
    """
    place = _PLACES.get(stopped.phase, f"{stopped.phase} {{}}").format(stopped.index + 1)
    side = "at most" if objective.direction == "maximize" else "at least"
    bound, best = _quantity(objective, stopped.bound), _quantity(objective, stopped.incumbent_value)
    return (
        f"stopped {stopped.after_s:.1f} s into {place}: {side} {bound}, the best then had {best} "
        f"(trial {stopped.incumbent_trial}), error rate {stopped.error_rate * 100:.3g}%"
    )


def bound_text(record: TrialRecord, objective: Objective) -> str | None:
    """`≤ 210 tok/s` of a trial that was stopped early (`≥` when minimizing); None of any other."""
    if record.outcome is not Outcome.PRUNED or record.stopped is None:
        return None
    sign = "≤" if objective.direction == "maximize" else "≥"
    return f"{sign} {_quantity(objective, record.stopped.bound)}"


def _quantity(objective: Objective, value: float) -> str:
    unit = metric_of(objective.metric).unit
    return format_bytes(value) if unit == "B" else f"{format_number(value)} {unit}".strip()
