"""What a sweep says while it runs. The command line listens; the loop knows nothing of terminals.

How a run ends (`run_finished`, `run.json`):

finished      every trial that was asked for was started, and what comes after the search was done
exhausted     nothing is left to try: the space is at its end, or the planner refuses all that is asked for
out_of_time   the time budget is spent
gpu_hours     the GPU-hours are
session_end   the machine's session ends soon; the next one goes on
interrupted   a signal, or an error that ends the sweep
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.space import Point
from vbench.spec.types import SweepSpec

PhaseName = Literal["search", "random", "finals"]
"""What a run is at. The baseline belongs to the search."""


@dataclass(slots=True, kw_only=True)
class Standing:
    """How a run stands: small, kept by the loop, read by listeners whenever they like."""

    planned: int
    """Trials that are to be started, the baseline included. Never less than were: a run isn't cut down by asking for
    fewer."""
    done: int = 0
    """Of those. What the planner refuses, the random arm and the finals don't count."""
    num_records: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Of all records."""
    failures: Counter[str] = field(default_factory=Counter)
    """Those of them that failed, by the class of the failure."""
    phase: PhaseName = "search"
    finals_done: int = 0
    finals_planned: int = 0
    """0 until they are chosen."""
    finals_expected: int = 0
    """At most so many finals, before they are chosen."""
    has_random_arm: bool = False
    search_s: float = 0.0
    """What the search's trials took, without the baseline."""
    random_s: float = 0.0
    """What the random arm's took, with what it was charged for trials of the search."""
    trials_s: float = 0.0
    num_timed: int = 0
    """Trials behind `trials_s`: those that were started."""
    reference_every: int = 0
    """After so many trials of the search the reference is measured again; 0: never."""
    at_once: int = 1
    """Trials of the search that run side by side."""
    limit_s: Callable[[], float | None] = lambda: None
    """Seconds until a budget ends the run; None: none does."""

    @property
    def place(self) -> str:
        """`search 12/30`, `finals 2/6`, `random arm`: what is done of the phase."""
        if self.phase == "random":
            return "random arm"
        done, planned = self._count()
        return f"{self.phase} {done}/{planned}"

    def next_place(self, running: int = 0) -> str:
        """As `place`, with the trial that begins counted, and those of the phase that run already."""
        if self.phase == "random":
            return "random arm"
        done, planned = self._count()
        return f"{self.phase} {min(done + running + 1, planned)}/{planned}"

    @property
    def share_done(self) -> float:
        """Of the phase, 0 to 1."""
        if self.phase == "random":
            return min(1.0, self.random_s / self.search_s) if self.search_s > 0 else 0.0
        done, planned = self._count()
        return done / planned if planned else 0.0

    def seconds_left(self, running_s: float = 0.0) -> float | None:
        """Estimated seconds until the run ends, by what its trials took so far or by a budget, whichever ends first;
        None before a trial has ended. `running_s` is how long the current one has run."""
        if not self.num_timed:
            return None
        mean_s = self.trials_s / self.num_timed
        to_do = max(0, self.planned - self.done) if self.phase == "search" else 0
        searching_s = (to_do / self.at_once + self._references_left(to_do)) * mean_s
        left_s = searching_s + self._after_s(searching_s, mean_s)
        left_s -= min(running_s, mean_s, left_s)
        limit_s = self.limit_s()
        return left_s if limit_s is None else min(left_s, limit_s)

    def _references_left(self, to_do: int) -> int:
        """How often the reference is still measured: not after the last trial. It has the machine to itself."""
        if not to_do or not self.reference_every:
            return 0
        return (self.planned - 1) // self.reference_every - max(0, self.done - 1) // self.reference_every

    def _after_s(self, searching_s: float, mean_s: float) -> float:
        """What comes after the search."""
        finals = self.finals_planned - self.finals_done if self.phase == "finals" else self.finals_expected
        is_arm_left = self.has_random_arm and self.phase != "finals"
        return finals * mean_s + (max(0.0, self.search_s + searching_s - self.random_s) if is_arm_left else 0.0)

    def _count(self) -> tuple[int, int]:
        return (self.finals_done, self.finals_planned) if self.phase == "finals" else (self.done, self.planned)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known when a run begins or goes on."""

    spec: SweepSpec
    run: RunFolder
    standing: Standing
    """Kept up to date while the run lasts."""
    num_earlier: int
    """Records that earlier sessions left."""
    is_complete: bool
    """Whether earlier sessions left nothing to do."""
    best: TrialRecord | None
    """The best that they left."""
    engine: str
    """`vllm 0.32.0`, for people."""
    hardware: str
    """The profile that trials run under."""
    memory_bytes: int | None = None
    """What a trial can fill: of each GPU or of the emulated card, or the machine's RAM; None: not known."""
    num_prompts: int
    prompt_sha256: str
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What is known when a session of a run ends."""

    num_trials: int
    """Records of the whole run, by whoever they were asked."""
    outcomes: Mapping[str, int]
    """How many records by outcome, in the outcomes' alphabetical order."""
    best: TrialRecord | None
    notes: Sequence[str]
    """What came up on the way, as sentences."""
    standing: Standing
    read: Callable[[], Sequence[TrialRecord]]
    """Reads all records from the disk: for a final word, not for each trial."""


class Listener(Protocol):
    """Hears a sweep. Every method returns at once; an exception in one ends the sweep."""

    def run_started(self, info: RunInfo) -> None:
        """Before anything is started."""

    def engine_starting(self) -> None:
        """The keeper is being started: something is left to try."""

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """The keeper is up; `fork_blocker` says why trials start cold, if they do."""

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        """A trial begins."""

    def trial_event(self, message: dict[str, Any]) -> None:
        """A message of a running trial: a phase, a pass, the engine's facts, and now and then what memory it has
        (`memory`: `used_bytes` and `peak_bytes`). Where several run side by side, its number is in `trial`."""

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Its record is on disk; `best` is the best of the run so far, a finalist with the passes of its finals."""

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:
        """`status` is one of the words above."""
