"""The seam between the sweep and any search method, and what every method shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vbench.records.record import TrialRecord
from vbench.spec.space import Point
from vbench.spec.types import Constraint

IsAllowed = Callable[[Point], bool]
"""Whether a point may be tried: not tried before, and within the constraints on parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One question to a searcher."""

    number: int
    """Of the trial that is to be: with the seed it decides every random choice."""
    is_allowed: IsAllowed
    running: Sequence[Point] = ()
    """Trials that run beside this one and haven't been told yet."""
    is_cheap: IsAllowed | None = None
    """Whether a point would be served by the engine that is alive, so that its start costs nothing; None: none is."""


class Searcher(Protocol):
    """A search method. `ask` depends only on the seed, the question and what was told, never on the process's history,
    so a resumed run asks what the uninterrupted one would have asked."""

    def ask(self, asking: Asking) -> Point | None:
        """The point for that trial; None when nothing allowed is left."""

    def tell(self, record: TrialRecord) -> None:
        """Learn from a finished trial; also how a study is rebuilt from a run's records."""

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """Learn from an earlier run of the same model and card (a warm start), before any `tell`. Its scale may differ
        (another prompt set): only what it says of better and worse is to be trusted."""


def settings_key(settings: Mapping[str, Any]) -> str:
    """What makes two points the same configuration, whatever they were called."""
    return json.dumps(settings, sort_keys=True, ensure_ascii=True)


def keeps_parameter_constraints(settings: Mapping[str, Any], constraints: Sequence[Constraint]) -> bool:
    """Whether the settings keep the constraints on parameters. A setting left to the engine can't be judged yet."""
    for constraint in constraints:
        value = None if constraint.is_metric else settings.get(constraint.quantity)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and constraint.violation(value) > 0:
            return False
    return True
