"""The seam between the sweep and any search method, and what every method shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from vbench.records.record import TrialRecord
from vbench.spec.space import Point
from vbench.spec.types import Constraint

IsAllowed = Callable[[Point], bool]
"""Whether a point may be tried: not tried before, and within the constraints on parameters."""


class Searcher(Protocol):
    """A search method. `ask` depends only on the seed, the trial's number and what was told, never on the process's
    history, so a resumed run asks what the uninterrupted one would have asked."""

    def ask(self, number: int, is_allowed: IsAllowed) -> Point | None:
        """The point for trial `number`; None when nothing allowed is left."""

    def tell(self, record: TrialRecord) -> None:
        """Learn from a finished trial; also how a study is rebuilt from a run's records."""


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
