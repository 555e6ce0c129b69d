"""Trials that differ from the best in one parameter alone: the only ones that say what that parameter did to it.

Over all trials other settings differ too, and a search tries more of what went well, so that a difference of medians
may be another parameter's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.analysis.grounds import grounds
from vbench.analysis.ranking import gain_over_baseline, objective_value
from vbench.analysis.remeasure import standing
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A trial that is the best but for `parameter`. `ratio` > 1: so many times better is the best; of a trial that was
    stopped early at least so many times, by its bound."""

    parameter: str
    trial: int
    value: Any
    """Of the neighbour."""
    result: float
    """The objective; of a trial that was stopped early its bound."""
    is_bound: bool
    ratio: float
    is_clear: bool
    """Whether the passes of both say that the best is better; a stop early says so by itself."""
    is_level: bool = False
    """Whether the passes of both leave open which is better. Neither is so of a trial that is clearly better (and broke
    a constraint, or wasn't measured again), and where single values say nothing of their spread."""


def neighbours(best: TrialRecord, records: Iterable[TrialRecord], objective: Objective) -> list[Neighbour]:
    """Every one that completed with a value or was stopped early, by trial number.

    Settings under an option (`speculative_config.ngram.num_speculative_tokens`) count as part of their parameter, where
    that differs too.
    """
    found: list[Neighbour] = []
    counted = standing(records)
    ground_of = grounds(counted)
    for record in counted:
        name = _only_difference(best.parameters, record.parameters)
        if name is None or record.trial == best.trial or ground_of(record) != ground_of(best):
            continue
        one = _neighbour(best, record, name, objective)
        if one is not None:
            found.append(one)
    return found


def is_same_setting(one: Any, other: Any) -> bool:
    """As records mean it: True is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _only_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The one parameter in which two trials differ; None where they differ in more, in none, or where one left it to
    the engine."""
    differing: str | None = None
    for name in {**one, **other}:
        if name in one and name in other and is_same_setting(one[name], other[name]):
            continue
        root = _root(name, one, other)
        if differing is not None and root != differing:
            return None
        differing = root
    return differing if differing in one and differing in other else None


def _root(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The parameter that a setting belongs to, where that is another option in the other trial; else the setting."""
    root = name.partition(".")[0]
    if root == name or root not in one or root not in other or is_same_setting(one[root], other[root]):
        return name
    return root


def _neighbour(best: TrialRecord, record: TrialRecord, name: str, objective: Objective) -> Neighbour | None:
    top = objective_value(best, objective)
    is_bound = record.stopped is not None
    result = record.stopped.bound if record.stopped is not None else objective_value(record, objective)
    if top is None or result is None or result <= 0 or top <= 0:
        return None
    if not is_bound and record.outcome is not Outcome.COMPLETED:
        return None
    gain = None if is_bound else gain_over_baseline(best, record, objective)
    ratio = top / result if objective.direction == "maximize" else result / top
    return Neighbour(
        parameter=name,
        trial=record.trial,
        value=record.parameters[name],
        result=result,
        is_bound=is_bound,
        ratio=ratio,
        is_clear=ratio > 1 if is_bound else gain is not None and gain.is_clear and gain.ratio > 1,
        is_level=gain is not None
        and gain.interval is not None
        and gain.interval.low <= 1 <= gain.interval.high
        and gain.interval.kind != "single",
    )


def by_parameter(found: Sequence[Neighbour]) -> dict[str, list[Neighbour]]:
    """Each parameter's neighbours, the closest to the best first."""
    groups: dict[str, list[Neighbour]] = {}
    for one in sorted(found, key=lambda each: (each.ratio, each.trial)):
        groups.setdefault(one.parameter, []).append(one)
    return groups
