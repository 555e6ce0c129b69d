"""What sections are made from: one run, or several that are ranked together, read and ranked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vbench.analysis.answer import Answer, find_answer
from vbench.analysis.effects import ParameterEffect, effects
from vbench.analysis.merged import origin_of
from vbench.analysis.ranking import ranked
from vbench.analysis.remeasure import standing
from vbench.analysis.timing import TimeSplit, time_split
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.contents import RunContents
from vbench.report.marks import Mark, mark_of
from vbench.report.plot_data import History, history


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the reader asked for: their own numbers, instead of the sweep's."""

    prompts: int | None = None
    """How many prompts they have; None: as many as the prompt set."""
    tasks: int | None = None
    """How many tasks share the time; None: one a prompt of the prompt set."""
    hours: float = 9.0
    """How long they may run (Kaggle's limit for a competition's notebook)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of the runs on a page. `add` is what its trials' numbers are raised by, so that no two trials are alike."""

    folder: RunFolder
    contents: RunContents
    add: int = 0

    @property
    def name(self) -> str:
        """`demo/20261121-172808`."""
        return f"{self.folder.sweep}/{self.folder.run_id}"

    @property
    def numbers(self) -> range:
        """From its first trial's number on the page to its last's; empty where it has none."""
        trials = [record.trial for record in self.contents.result.records]
        return range(min(trials) + self.add, max(trials) + self.add + 1) if trials else range(0)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A run with what every section needs of it. Of several runs `contents` has the trials of all."""

    folder: RunFolder
    contents: RunContents
    wishes: Wishes = field(default_factory=Wishes)
    members: tuple[Member, ...] = ()
    """The runs whose trials these are, as they were read; empty for one run whose trials keep their numbers."""

    @property
    def is_merged(self) -> bool:
        """Whether trials of several runs are ranked together."""
        return len(self.members) > 1

    def source_of(self, trial: int) -> tuple[RunFolder, int]:
        """The folder of a trial's run and the trial's number there: where its log and its samples are."""
        own = next((one for one in self.members if trial in one.numbers), None)
        return (self.folder, trial) if own is None else (own.folder, trial - own.add)

    @cached_property
    def records(self) -> Sequence[TrialRecord]:
        """Every record, by trial number."""
        return sorted(self.contents.result.records, key=lambda record: record.trial)

    @cached_property
    def standing(self) -> Sequence[TrialRecord]:
        """What is ranked, compared and counted once (`remeasure.standing`), by trial number. Whatever asks for that of
        `records` gets the same of these, and sooner."""
        return standing(self.records)

    @cached_property
    def order(self) -> Sequence[TrialRecord]:
        """The trials that may be called the best, best first (`ranking.ranked`)."""
        return ranked(self.standing, self.contents.objective)

    @cached_property
    def splits(self) -> Sequence[TimeSplit]:
        """Where the time of each of `records` went."""
        return [time_split(record) for record in self.records]

    @cached_property
    def history(self) -> History:
        """Every trial as a mark, in order."""
        return history(self.records, self.answer)

    @cached_property
    def runs(self) -> Mapping[int, str] | None:
        """The run of each trial, to stand beside it; None where all are of one run."""
        if not self.is_merged:
            return None
        pairs = ((record.trial, origin_of(record)) for record in self.records)
        return {trial: origin.run for trial, origin in pairs if origin is not None}

    @cached_property
    def answer(self) -> Answer:
        """The best trial and what is known of it."""
        return find_answer(self.records, self.contents.objective, order=self.order)

    @cached_property
    def effects(self) -> tuple[ParameterEffect, ...]:
        """What each parameter did."""
        return tuple(effects(self.standing, self.contents.objective))

    @cached_property
    def mark(self) -> Mark | None:
        """What stands on everything that this run's numbers are shown in; None where they are plain measurements."""
        return mark_of(self.contents, is_fake=self.answer.is_fake)
