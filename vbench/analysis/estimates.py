"""The planner's estimates beside what came of them: weights, KV tokens and peak memory with their errors, and how often
its verdicts were right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vbench.metrics import percentile, value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.calling import RANKS

_NO_MEMORY = (Outcome.OUT_OF_MEMORY, Outcome.OVER_BUDGET)
_FITTED = (Outcome.COMPLETED, Outcome.PRUNED)
_ABSURD = 1e20
"""Bytes or tokens from here on aren't a quantity, whatever a file says."""


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
    peak: Compared = Compared(planned=None, reported=None)
    """Bytes of the fullest GPU (of the process tree on a CPU): the most that was expected, and what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far off a quantity's estimates were, over `count` trials. Shares: +0.05 was planned 5 % too large."""

    count: int
    median: float
    low: float
    """5th percentile."""
    high: float
    """95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCount:
    """What came of the trials that the planner gave one verdict. Those that ended for another cause than memory before
    they had measured anything tell nothing of it: `unclear`."""

    verdict: str
    fitted: int = 0
    no_memory: int = 0
    unclear: int = 0
    not_tried: int = 0

    @property
    def tried(self) -> int:
        """Of which it is known whether they fitted."""
        return self.fitted + self.no_memory


def check_estimates(records: Iterable[TrialRecord]) -> list[EstimateCheck]:
    """Of each trial that was planned and whose engine said something of its memory, in the given order."""
    found = []
    for record in records:
        estimate = record.estimate or {}
        numbers = estimate.get("per_gpu")
        if not isinstance(numbers, Mapping):
            continue
        facts = record.engine.facts
        check = EstimateCheck(
            trial=record.trial,
            verdict=str(estimate.get("verdict", "")),
            weights=Compared(planned=_number(numbers, "weights_bytes"), reported=_number(facts, "weights_bytes")),
            kv_tokens=Compared(planned=_number(numbers, "kv_tokens"), reported=_number(facts, "kv_cache_tokens")),
            peak=Compared(planned=_number(estimate, "peak_bytes"), reported=_peak(record)),
        )
        if check.weights.reported is not None or check.kv_tokens.reported is not None:
            found.append(check)
    return found


def errors_of(checks: Iterable[EstimateCheck], quantity: Callable[[EstimateCheck], Compared]) -> Errors | None:
    """Bias and spread of one quantity; None where no trial has both sides of it."""
    errors = sorted(error for one in checks if (error := quantity(one).error) is not None)
    if not errors:
        return None
    low, median, high = (percentile(errors, q) for q in (5, 50, 95))
    return Errors(count=len(errors), median=median, low=low, high=high)


def count_verdicts(records: Iterable[TrialRecord]) -> list[VerdictCount]:
    """A row a verdict, in the order of their first trials. A trial fitted when it measured something within its
    budget; it didn't when memory ran out or the peak passed the budget."""
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        verdict = (record.estimate or {}).get("verdict")
        if isinstance(verdict, str) and verdict:
            what = _what_came(record)
            row = counts.setdefault(verdict, {})
            row[what] = row.get(what, 0) + 1
    return [VerdictCount(verdict=verdict, **row) for verdict, row in counts.items()]


def is_comparable(record: TrialRecord, run: Mapping[str, Any]) -> bool:
    """Whether what the engine says of its memory can be held against the plan: not where a CPU stands in for the card
    that was planned for."""
    target = run.get("target")
    is_emulated = isinstance(target, Mapping) and bool(target.get("is_emulated"))
    return not is_emulated or bool(record.hardware.get("gpus"))


def _what_came(record: TrialRecord) -> str:
    if record.failure is not None and record.failure.phase == "plan":
        return "not_tried"
    if record.outcome in _NO_MEMORY:
        return "no_memory"
    return "fitted" if record.outcome in _FITTED else "unclear"


def _peak(record: TrialRecord) -> float | None:
    """Measured; None of a trial that ended early, whose peak may have been still to come, and where it isn't what was
    planned: on a CPU a process tree's memory is that of all ranks, a plan one rank's."""
    if not record.hardware.get("gpus") and any(record.config.get(name, 1) != 1 for name in RANKS):
        return None
    return value_of(record.measurements, "peak_memory_bytes") if record.outcome.is_measured else None


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value: Any = values.get(name)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < _ABSURD else None
