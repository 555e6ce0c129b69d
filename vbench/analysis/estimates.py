"""The planner's estimates beside what the engine reported: weights and KV tokens, with their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vbench.records.record import TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A quantity, planned and reported; None where one is missing."""

    planned: float | None
    reported: float | None

    @property
    def error(self) -> float | None:
        """(planned − reported) / reported."""
        if self.planned is None or not self.reported:
            return None
        return (self.planned - self.reported) / self.reported


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateCheck:
    """One trial. Weights in bytes of one GPU; KV in tokens of the whole cache."""

    trial: int
    verdict: str
    weights: Compared
    kv_tokens: Compared


def check_estimates(records: Iterable[TrialRecord]) -> list[EstimateCheck]:
    """Of each trial that was planned and whose engine said something of its memory, in the given order."""
    found = []
    for record in records:
        numbers = (record.estimate or {}).get("per_gpu")
        if not isinstance(numbers, Mapping):
            continue
        facts = record.engine.facts
        check = EstimateCheck(
            trial=record.trial,
            verdict=str((record.estimate or {}).get("verdict", "")),
            weights=Compared(planned=_number(numbers, "weights_bytes"), reported=_number(facts, "weights_bytes")),
            kv_tokens=Compared(planned=_number(numbers, "kv_tokens"), reported=_number(facts, "kv_cache_tokens")),
        )
        if check.weights.reported is not None or check.kv_tokens.reported is not None:
            found.append(check)
    return found


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
