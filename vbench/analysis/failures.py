"""Failures by class: how often, where, what the engine said, what to try."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vbench.outcome import Outcome
from vbench.records.record import TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Trials that failed alike. Evidence, advice and phase are those of the first of them that has any."""

    failure_class: str
    """The stored class; the outcome's own word where a record has none."""
    outcomes: tuple[Outcome, ...]
    trials: tuple[int, ...]
    evidence: str
    advice: str
    phases: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many trials."""
        return len(self.trials)


def has_failed(record: TrialRecord) -> bool:
    """Whether the trial neither completed nor was stopped early."""
    return record.outcome not in (Outcome.COMPLETED, Outcome.PRUNED)


def group_failures(records: Iterable[TrialRecord]) -> list[FailureGroup]:
    """Every trial that failed, by class: the most frequent first, then by name. One that was stopped early as it
    couldn't win is no failure."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if has_failed(record):
            name = record.failure.failure_class if record.failure else record.outcome.value
            groups.setdefault(name, []).append(record)
    return sorted(
        (_group(name, members) for name, members in groups.items()), key=lambda g: (-g.count, g.failure_class)
    )


def _group(name: str, members: list[TrialRecord]) -> FailureGroup:
    failures = [record.failure for record in members if record.failure]
    return FailureGroup(
        failure_class=name,
        outcomes=tuple(dict.fromkeys(record.outcome for record in members)),
        trials=tuple(record.trial for record in members),
        evidence=next((failure.evidence for failure in failures if failure.evidence), ""),
        advice=next((failure.advice for failure in failures if failure.advice), ""),
        phases=tuple(dict.fromkeys(failure.phase for failure in failures if failure.phase)),
    )
