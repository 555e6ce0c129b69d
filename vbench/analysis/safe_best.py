"""The fastest configuration with room to spare, for those who can't have it run out of memory in the ninth hour.

Longer prompts, another driver or a neighbour on the card take memory that a short measurement never saw, and a bound
that is only just kept is broken on a slower day. So a safe configuration keeps its distance from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vbench.analysis.headroom import RunFacts, headroom_share, metric_constraint
from vbench.analysis.pareto import rankable_by_all
from vbench.analysis.ranking import ranked
from vbench.analysis.remeasure import was_remeasured
from vbench.metrics import metric_of, value_of
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

MIN_HEADROOM = 0.10
"""Of the memory budget."""
MIN_DISTANCE = 0.05
"""Of a constraint's bound."""
RULE = (
    f"leaves at least {MIN_HEADROOM:.0%} of its memory budget free, preempts no request, and stays {MIN_DISTANCE:.0%} "
    "clear of every bound on speed, latency or memory"
)
"""Continues "a safe setting"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeBest:
    """The best trial that is safe. `is_remeasured`: it stands with its finals, where there were any at all."""

    record: TrialRecord
    is_remeasured: bool


def find_safe(
    records: Sequence[TrialRecord],
    objective: Objective,
    facts: RunFacts,
    order: Sequence[TrialRecord] | None = None,
) -> SafeBest | None:
    """Of the ranked trials the first that is safe; where none of them is, the first of all that completed within their
    constraints. None where no trial is known to be safe. `order`: the trials as `ranked`, where they were."""
    order = ranked(records, objective) if order is None else order
    had_finals = any(was_remeasured(record) for record in order)
    for record in order:
        if is_safe(record, facts):
            return SafeBest(record=record, is_remeasured=not had_finals or bool(was_remeasured(record)))
    listed = {record.trial for record in order}
    if had_finals:
        for record in rankable_by_all(records, (objective,)):
            if record.trial not in listed and is_safe(record, facts):
                return SafeBest(record=record, is_remeasured=False)
    return None


def is_safe(record: TrialRecord, facts: RunFacts) -> bool:
    """Whether nothing speaks against it. Unknown headroom does."""
    return next(_risks(record, facts), None) is None


def risks(record: TrialRecord, facts: RunFacts) -> tuple[str, ...]:
    """What speaks against calling it safe, each a clause for people; empty of a safe trial."""
    return tuple(_risks(record, facts))


def _risks(record: TrialRecord, facts: RunFacts) -> Iterator[str]:
    share = headroom_share(record, facts)
    if share is None:
        yield "how much memory it leaves is not known"
    elif share < MIN_HEADROOM:
        yield f"it leaves {max(share, 0.0):.1%} of its memory budget free"
    preempted = value_of(record.measurements, "num_preemptions")
    if preempted:
        yield f"it preempted {preempted:,.0f} request{'s' if preempted > 1 else ''}"
    for text, distance in _close_bounds(record.constraint_violations.items()):
        yield f"it is {max(distance, 0.0):.1%} from breaking {text}"


def _close_bounds(violations: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Bounds of what varies from run to run: a setting, a count or a share of 1 is where it is by its nature."""
    for text, by in violations:
        bound = metric_constraint(text)
        if bound is not None and -by < MIN_DISTANCE and metric_of(bound.quantity).unit not in ("", "nat"):
            yield text, -by
