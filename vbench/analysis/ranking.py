"""Which trial is best, and by how much. Decides who may be ranked at all and how ties are broken.

Ranked are completed trials that have a value and keep every constraint. A trial over its memory budget is never ranked,
whatever it scored. Once finalists were measured again, these are ranked, by their finals (`remeasure`), and of what
came after the finals only what is clearly ahead of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vbench.analysis.remeasure import REPEATS, finals_of, standing, was_remeasured
from vbench.analysis.remeasure import remeasured as remeasured  # noqa: PLC0414 -- re-exported
from vbench.analysis.statistics import Interval, interval_of, pass_values, ratio_interval
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The best so far once `trial` had ended; both None while nothing could be ranked."""

    trial: int
    best_trial: int | None
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A trial against the baseline. `ratio` > 1 is better than the baseline, whichever the objective's direction."""

    ratio: float
    interval: Interval | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval, as far as it can tell, excludes that nothing changed."""
        interval = self.interval
        return interval is not None and interval.kind != "single" and not interval.low <= 1 <= interval.high


def objective_value(record: TrialRecord, objective: Objective) -> float | None:
    """The record's value of the objective's metric; None where it wasn't measured."""
    return value_of(record.measurements, objective.metric)


def keeps_constraints(record: TrialRecord) -> bool:
    """Whether no constraint is violated."""
    return all(violation <= 0 for violation in record.constraint_violations.values())


def is_rankable(record: TrialRecord, objective: Objective) -> bool:
    """Whether the trial, by itself, may be called the best."""
    is_kept = record.outcome is Outcome.COMPLETED and keeps_constraints(record)
    return is_kept and objective_value(record, objective) is not None


def ranked(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Rankable trials, best first; ties by lower peak memory (unknown last), then by lower trial number.

    With finals among the records, or of `remeasured` ones: the finalists, as their finals found them, and the trials
    that are `late` and clearly ahead of the best of them. All trials, by their first measurements, where one finalist
    couldn't be measured again; all others where no finalist may be ranked any more. Finals and interference checks are
    no trials of their own.
    """
    counted = standing(records)
    order = _in_order(counted, objective)
    states = [was_remeasured(record) for record in counted]
    if states.count(True) < 2 or False in states:
        return order
    finalists = [record for record in order if was_remeasured(record)]
    if not finalists:
        return order
    ahead = {record.trial for record in late(counted, objective) if _is_ahead(record, finalists[0], objective)}
    return [record for record in order if was_remeasured(record) or record.trial in ahead]


def late(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Rankable trials, best first, that came after the last of the finals, so that no final could be of them: a search
    that was gone on with has them. Empty where there were no finals."""
    counted = standing(records)
    last = max((trial for record in counted for trial in finals_of(record)), default=None)
    if last is None:
        return []
    return _in_order([one for one in counted if was_remeasured(one) is None and one.trial > last], objective)


def candidates(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Who may be measured again, best first: those that are `ranked`, and all that are `late`."""
    listed = list(records)
    found = {one.trial: one for one in (*ranked(listed, objective), *late(listed, objective))}
    return _in_order(found.values(), objective)


def _is_ahead(record: TrialRecord, other: TrialRecord, objective: Objective) -> bool:
    """Whether a trial is better than another by more than the passes of both leave open."""
    one, two = interval_of(record, objective.metric), interval_of(other, objective.metric)
    if one is None or two is None:
        return False
    return one.low > two.high if objective.direction == "maximize" else one.high < two.low


def _in_order(records: Iterable[TrialRecord], objective: Objective) -> list[TrialRecord]:
    def key(record: TrialRecord) -> tuple[float, float, int]:
        value = objective_value(record, objective)
        memory = value_of(record.measurements, "peak_memory_bytes")
        cost = math.inf if value is None else -value if objective.direction == "maximize" else value
        return cost, math.inf if memory is None else memory, record.trial

    return sorted((record for record in records if is_rankable(record, objective)), key=key)


def best(records: Iterable[TrialRecord], objective: Objective) -> TrialRecord | None:
    """The first of `ranked`; None when nothing can be ranked."""
    order = ranked(records, objective)
    return order[0] if order else None


def incumbents(records: Iterable[TrialRecord], objective: Objective) -> list[Incumbent]:
    """The best so far after each trial, in the order of trials, by what was known then: finals and interference checks
    are left out. A tie leaves the incumbent in its place."""
    history: list[Incumbent] = []
    holder: int | None = None
    held: float | None = None
    for record in sorted((one for one in records if one.origin not in REPEATS), key=lambda one: one.trial):
        value = objective_value(record, objective)
        if value is not None and is_rankable(record, objective):
            is_better = held is None or (value > held if objective.direction == "maximize" else value < held)
            if is_better:
                holder, held = record.trial, value
        history.append(Incumbent(trial=record.trial, best_trial=holder, value=held))
    return history


def baseline_of(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """The trial of the sweep's `baseline:`, however it ended, with its finals where it has some; None where the sweep
    has none."""
    found = [record for record in standing(records) if record.origin == "baseline"]
    # One that the machine spoilt was run once more.
    return min(found, key=lambda record: record.outcome is Outcome.INTERRUPTED, default=None)


def gain_over_baseline(record: TrialRecord, baseline: TrialRecord, objective: Objective) -> Gain | None:
    """How many times better `record` is; None unless both completed with a value above 0.

    value ÷ baseline's when maximizing, baseline's ÷ value when minimizing. The interval comes from both trials' passes
    (`statistics.ratio_interval`), None where the metric has no value per pass.
    """
    above, below = (record, baseline) if objective.direction == "maximize" else (baseline, record)
    top, bottom = objective_value(above, objective), objective_value(below, objective)
    are_completed = record.outcome is Outcome.COMPLETED and baseline.outcome is Outcome.COMPLETED
    if not are_completed or top is None or bottom is None or bottom <= 0:
        return None
    interval = ratio_interval(pass_values(above, objective.metric), pass_values(below, objective.metric))
    return Gain(ratio=top / bottom, interval=interval)


def contenders(order: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Of `ranked` trials, those after the first whose interval reaches into the first's: these passes can't tell them
    apart. Empty where the first has no interval."""
    if not order:
        return []
    first = interval_of(order[0], objective.metric)
    if first is None:
        return []
    close: list[TrialRecord] = []
    for record in order[1:]:
        # An interval lies within the passes' range, which costs nothing: most trials of a long run end here.
        values = pass_values(record, objective.metric)
        if not values or min(values) > first.high or max(values) < first.low:
            continue
        other = interval_of(record, objective.metric)
        if other is not None and other.low <= first.high and other.high >= first.low:
            close.append(record)
    return close
