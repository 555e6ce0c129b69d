"""What sections are made from: one run, read and ranked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vbench.analysis.answer import Answer, find_answer
from vbench.analysis.effects import ParameterEffect, effects
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.contents import RunContents
from vbench.report.marks import Mark, mark_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the reader asked for: their own numbers, instead of the sweep's."""

    prompts: int | None = None
    """How many prompts they have; None: as many as the prompt set."""
    tasks: int | None = None
    """How many tasks share the time; None: one a prompt of the prompt set."""
    hours: float = 9.0
    """How long they may run (Kaggle's limit for a competition's notebook)."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run with what every section needs of it."""

    folder: RunFolder
    contents: RunContents
    wishes: Wishes = field(default_factory=Wishes)

    @cached_property
    def records(self) -> Sequence[TrialRecord]:
        """Every record, by trial number."""
        return sorted(self.contents.result.records, key=lambda record: record.trial)

    @cached_property
    def answer(self) -> Answer:
        """The best trial and what is known of it."""
        return find_answer(self.records, self.contents.objective)

    @cached_property
    def effects(self) -> tuple[ParameterEffect, ...]:
        """What each parameter did."""
        return tuple(effects(self.records, self.contents.objective))

    @cached_property
    def mark(self) -> Mark | None:
        """What stands on everything that this run's numbers are shown in; None where they are plain measurements."""
        return mark_of(self.contents, is_fake=self.answer.is_fake)
