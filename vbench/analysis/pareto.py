"""Several objectives: the trials that no other beats in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.remeasure import standing
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective


def pareto_front(records: Iterable[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """The trials that may be ranked by every objective and that no other dominates: at least as good in each and better
    in one. Best by the first objective first. Trials that are alike in all of them are all on the front.

    A finalist stands with its finals, every other trial with its first measurement: finals settle the first objective
    only, so that the front is not limited to them.
    """
    candidates = rankable_by_all(records, objectives)
    values = [_costs(record, objectives) for record in candidates]
    front: list[tuple[float, ...]] = []
    for costs in sorted(set(values)):  # what dominates a point comes before it, and is itself on the front
        if not any(all(a <= b for a, b in zip(other, costs, strict=True)) for other in front):
            front.append(costs)
    kept = set(front)
    return [record for record, costs in zip(candidates, values, strict=True) if costs in kept]


def rankable_by_all(records: Iterable[TrialRecord], objectives: Sequence[Objective]) -> list[TrialRecord]:
    """Trials that may be ranked and have a value of every objective, best by the first one first."""
    if not objectives:
        raise ValueError("a Pareto front needs an objective")
    found = [record for record in standing(records) if all(is_rankable(record, one) for one in objectives)]
    return sorted(found, key=lambda record: (_costs(record, objectives), record.trial))


def _costs(record: TrialRecord, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """The record's values, turned so that less is better."""
    values = [objective_value(record, one) for one in objectives]
    return tuple(
        -value if one.direction == "maximize" else value
        for value, one in zip(values, objectives, strict=True)
        if value is not None
    )
