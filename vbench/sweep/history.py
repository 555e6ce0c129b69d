"""What the loop remembers of a run's records: counts, costs, what was tried, the best. Never the records themselves, so
that a run of many thousand trials needs no more memory than one of a few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vbench.analysis import ranking
from vbench.analysis.drift import References
from vbench.analysis.remeasure import REPEATS
from vbench.outcome import Outcome
from vbench.progress import Standing
from vbench.records.record import TrialRecord
from vbench.search.base import settings_key
from vbench.spec.types import Objective
from vbench.sweep.ledger import is_started

_COUNTED = ("baseline", "search", "run")
"""Origins of the trials that `search.trials` is about."""
_STARTING = ("start", "import", "load")


class History:
    """Fed with each record once, in order. `standing` is kept up to date for listeners."""

    def __init__(self, objective: Objective, records: Sequence[TrialRecord], planned: int) -> None:
        self.standing = Standing(planned=planned)
        self.next_number = 0
        self.missing: set[int] = set()
        """Numbers below it without a record: of trials that ran beside others when a session was killed."""
        self.num_refused_in_row = 0
        """Refused by the planner since a trial was last started."""
        self.last: TrialRecord | None = None
        """The last one that was started, without its passes."""
        self.references = References()
        """The reference configuration, and what it was measured to be."""
        self._objective = objective
        self._reserved: set[int] = set()
        self._tried: set[bytes] = set()
        self._spoilt: set[bytes] = set()
        self._starts_s, self._num_starts = 0.0, 0
        self._baseline: TrialRecord | None = None
        self._leader: TrialRecord | None = None
        self._finalists: dict[int, TrialRecord] = {}
        self._finals: list[TrialRecord] = []
        self._late: TrialRecord | None = None
        self.best: TrialRecord | None = None
        """The best of the run; once finals were made, of the finalists."""
        repeated = {one.repeat_of for one in records if one.origin == "final"}
        self.set_finalists([one for one in records if one.trial in repeated])
        for record in records:
            self.add(record)
        if self._finals:
            self.best = ranking.best(records, objective)
        self.standing.planned = max(planned, self.standing.done)

    def add(self, record: TrialRecord) -> None:
        """Count a record and see whether it leads."""
        self._number(record.trial)
        standing = self.standing
        standing.num_records += 1
        standing.outcomes[record.outcome] += 1
        if record.failure is not None:
            standing.failures[record.failure.failure_class] += 1
        self.references.add(record)
        if not is_started(record):
            self.num_refused_in_row += 1
        else:
            self._count(record)
        if record.origin == "baseline":
            self._baseline = record
        if record.origin == "final":
            self._finals.append(record)
        elif record.origin not in REPEATS:
            self._leader = ranking.best([*([self._leader] if self._leader else []), record], self._objective)
        if not self._finals:
            self.best = self._leader
        elif record.origin == "final" or self._leads_late(record):
            late = [self._late] if self._late is not None and self._late.trial not in self._finalists else []
            counted = [*self._finalists.values(), *late, *self._finals]
            self.best = ranking.best(counted, self._objective)

    def reserve(self, numbers: Iterable[int]) -> None:
        """Trials whose records can't be read here, as a newer vbench wrote them: their numbers aren't given again."""
        for number in numbers:
            self._reserved.add(number)
            self._number(number)

    def _number(self, trial: int) -> None:
        """A trial has its record."""
        self.missing.update(set(range(self.next_number, trial)) - self._reserved)
        self.missing.discard(trial)
        self.next_number = max(self.next_number, trial + 1)

    def set_finalists(self, finalists: Sequence[TrialRecord]) -> None:
        """Remember whole the trials that are measured again."""
        self._finalists.update({one.trial: one for one in finalists})

    def _leads_late(self, record: TrialRecord) -> bool:
        """Whether it is the best of those that came after the finals: the only ones that can still change the best."""
        if record.origin in REPEATS or not ranking.is_rankable(record, self._objective):
            return False
        best = ranking.best([*([self._late] if self._late else []), record], self._objective)
        self._late = best
        return best is record

    def note_tried(self, settings: Mapping[str, Any], *, is_spoilt: bool) -> None:
        """This configuration has its record: it isn't tried again, but where the machine spoilt the trial."""
        (self._spoilt if is_spoilt else self._tried).add(key_of(settings))

    @property
    def num_spoilt(self) -> int:
        """Configurations that were only tried in trials which the machine spoilt."""
        return len(self._spoilt - self._tried)

    def is_tried(self, key: bytes) -> bool:
        """Whether the configuration of this `key_of` has a record."""
        return key in self._tried

    @property
    def baseline_trial(self) -> int | None:
        """Number of the baseline's trial; None where there is none."""
        return None if self._baseline is None else self._baseline.trial

    @property
    def wants_baseline(self) -> bool:
        """Whether it is to be measured once more, as the machine spoilt its trial."""
        return self._baseline is not None and self._baseline.outcome is Outcome.INTERRUPTED

    @property
    def baseline(self) -> TrialRecord | None:
        """The baseline's record, with the passes of its finals where it has some."""
        if self._baseline is None or not self._finals:
            return self._baseline
        others = [one for one in self._finalists.values() if one.trial != self._baseline.trial]
        return ranking.baseline_of([self._baseline, *others, *self._finals])

    @property
    def mean_start_s(self) -> float:
        """What starting an engine takes, in seconds; 0 before the first."""
        return self._starts_s / self._num_starts if self._num_starts else 0.0

    def _count(self, record: TrialRecord) -> None:
        seconds = record.duration_s or 0.0
        standing = self.standing
        standing.trials_s += seconds
        standing.num_timed += 1
        standing.done += record.origin in _COUNTED and record.outcome is not Outcome.INTERRUPTED
        standing.search_s += seconds if record.origin == "search" else 0.0
        self.num_refused_in_row = 0
        if record.outcome.is_measured and record.environment.get("worker_start") != "reused":
            self._starts_s += sum(one.end_s - one.start_s for one in record.phases if one.name in _STARTING)
            self._num_starts += 1
        self.last = record.model_copy(update={"passes": [], "phases": []})


def key_of(settings: Mapping[str, Any]) -> bytes:
    """A short name of a configuration: 16 bytes, as there may be many."""
    return hashlib.blake2b(settings_key(settings).encode(), digest_size=16).digest()
