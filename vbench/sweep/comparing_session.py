"""A session of a comparison, from what earlier ones left to the end: whose turn it is, start, wait, append, tell."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from vbench.analysis.paired import FEWEST_PAIRS, Ratio, ratio_of_pairs
from vbench.errors import MachineError, StoreError
from vbench.execution import leftovers
from vbench.hardware.gpu_trial import Reserved
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records import identity, runs
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.spec.config import effective_config
from vbench.sweep.comparing import DEFAULT_DETECT, DEFAULT_MOST, SIDES, Pair, Side, Turns, values_of_records
from vbench.sweep.comparing_match import Match
from vbench.sweep.executors import make_executor
from vbench.sweep.jobs import Executor, Job, remove_pending, write_pending
from vbench.sweep.ledger import gpus_of
from vbench.sweep.planning import SweepPlanner, estimate_of, refused_record
from vbench.sweep.spoilt import said_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When a comparison has measured enough."""

    detect: float = DEFAULT_DETECT
    """A true change of this share is to be seen with 80 % power."""
    fewest: int = FEWEST_PAIRS
    most: int = DEFAULT_MOST
    """Pairs."""
    timeout_s: float | None = None
    """Of this session: no trial is started that wouldn't end in time, by what they took so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a comparison stands."""

    side: Side
    pair: int
    """From 0."""
    most: int
    ratio: Ratio | None
    """B ÷ A of the whole pairs; None while there is none."""
    left_s: float | None
    """About so many seconds are left; None before a trial has ended."""


class Watcher(Protocol):
    """Hears a comparison. Every method returns at once; an exception in one ends it."""

    def begins(self, match: Match, run: RunFolder, until: Until, num_pairs: int, notes: Sequence[str]) -> None:
        """Before anything is started; `num_pairs` are there from earlier sessions."""

    def engine_starting(self) -> None:
        """The keeper is being started."""

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        """It is up; `fork_blocker` says why trials start cold, if they do."""

    def trial_begins(self, number: int, progress: Progress) -> None:
        """A side's turn."""

    def trial_event(self, message: dict[str, Any]) -> None:
        """A message of the running trial."""

    def trial_ended(self, record: TrialRecord, progress: Progress) -> None:
        """Its record is on disk."""


@dataclass(frozen=True, kw_only=True)
class ComparisonResult:
    """What a comparison left. `status`: finished, out_of_time or failed."""

    run: RunFolder
    status: str
    pairs: Sequence[Pair]
    failed: TrialRecord | None = None
    """Of a side that gave no value: it ended the comparison."""

    @cached_property
    def records(self) -> Sequence[TrialRecord]:
        """Of the whole run, read from the disk."""
        return RecordStore(self.run.trials_jsonl).read().records


class ComparisonSession:
    """One sitting of a comparison. `records` are those of earlier ones."""

    def __init__(
        self, match: Match, run: RunFolder, store: RecordStore, records: Sequence[TrialRecord], watcher: Watcher,
        until: Until, notes: Sequence[str],
    ) -> None:  # fmt: skip
        self.match, self.prepared, self.run, self.store = match, match.prepared, run, store
        self.watcher, self.until, self.notes = watcher, until, list(notes)
        self.facts, copied = identity.own_facts(run)
        self.notes += copied
        pairs = values_of_records(records, match.metric)
        self.turns = Turns(pairs, detect=until.detect, fewest=until.fewest, most=until.most)
        self._records = records
        self._next_number = max((*(one.trial for one in records), *store.beyond), default=-1) + 1
        self._durations = [one.duration_s for one in records if one.duration_s is not None]
        self._failed: TrialRecord | None = None

    def run_all(self, *, is_planned: bool) -> ComparisonResult:
        """Everything that is left."""
        self._clean_up_after_earlier()
        self.watcher.begins(self.match, self.run, self.until, len(self.turns.pairs), self.notes)
        status = "interrupted"
        self._set_status("running")
        try:
            self._failed = self._refuse() if is_planned else None
            status = "failed" if self._failed is not None else self._trials()
        finally:
            self._set_status(status)
        return ComparisonResult(run=self.run, status=status, pairs=self.turns.pairs, failed=self._failed)

    def _trials(self) -> str:
        start_t = time.monotonic()
        with ExitStack() as stack:
            holding = self.prepared.target.holding(self._uid, self.prepared.spec.environment)
            reserved = stack.enter_context(holding) or Reserved()
            executor = stack.enter_context(
                make_executor(self.prepared, self.run, self._uid, reserved, (), self.watcher.trial_event)
            )
            is_ready = False
            while (turn := self.turns.next()) is not None:
                if self._is_over(time.monotonic() - start_t):
                    return "out_of_time"
                job = self._job(turn[0])
                if not is_ready:
                    self._make_ready(executor, job)
                    is_ready = True
                if not self._measure(executor, job, turn):
                    return "failed"
        remove_pending(self.run)
        return "finished"

    def _measure(self, executor: Executor, job: Job, turn: tuple[Side, int]) -> bool:
        """One turn, to its record on the disk; whether it gave a value."""
        side, pair = turn
        self.store.make_room()
        write_pending(self.run, [job])
        self.watcher.trial_begins(job.number, self._progress(turn))
        executor.start(job)
        _, record = executor.wait()
        record = record.model_copy(update={"side": side, "pair": pair})
        self.store.append(record)
        self._next_number += 1
        if record.duration_s is not None:
            self._durations.append(record.duration_s)
        is_sound = record.outcome is Outcome.COMPLETED
        value = value_of(record.measurements, self.match.metric) if is_sound else None
        if value is None or value <= 0:
            self._failed = record
        else:
            self.turns.add(value)
        self.watcher.trial_ended(record, self._progress(turn))
        if record.outcome is Outcome.INTERRUPTED:
            raise MachineError(said_of(record))
        return self._failed is None

    def _job(self, side: Side) -> Job:
        """Never kept: each trial has a start of its own, and finds no other engine beside it."""
        point = self.match.points[side]
        config = effective_config(self.prepared.spec, point.settings)
        gpus = 1 if self.prepared.target.is_cpu else gpus_of(config)
        return Job(number=self._next_number, point=point, origin="compare", gpus=gpus)

    def _refuse(self) -> TrialRecord | None:
        """The record of the first side that the planner says can't run; None where both may be tried."""
        planner = self.prepared.planner()
        for side in SIDES:
            record = None if self.match.sides[side].is_proven else self._refused(side, planner)
            if record is not None:
                self.watcher.trial_begins(record.trial, self._progress((side, len(self.turns.pairs))))
                self.watcher.trial_ended(record, self._progress((side, len(self.turns.pairs))))
                return record
        return None

    def _refused(self, side: Side, planner: SweepPlanner) -> TrialRecord | None:
        spec, point = self.prepared.spec, self.match.points[side]
        config = effective_config(spec, point.settings)
        plan = planner.plan(config)
        if plan.verdict.is_tried:
            return None
        for earlier in self._records:  # said once is enough
            if (earlier.model_extra or {}).get("side") == side and earlier.estimate == estimate_of(plan):
                return earlier
        python = config.get("python")
        record = refused_record(
            plan, spec, number=self._next_number, point=point, origin="compare",
            engine=self.prepared.engine_facts(python), prompt_set=self.prepared.prompt_facts,
            hardware={"profile": self.prepared.hardware, "memory_source": None},
            notes=self.prepared.target.passed(config, self.prepared.engine_version(python)).notes,
        )  # fmt: skip
        record = record.model_copy(update={"side": side, "pair": len(self.turns.pairs)})
        self.store.append(record)
        return record

    def _make_ready(self, executor: Executor, job: Job) -> None:
        self.watcher.engine_starting()
        start_t = time.monotonic()
        fork_blocker = executor.prepare(job)
        self.watcher.engine_ready(fork_blocker, time.monotonic() - start_t)

    def _is_over(self, spent_s: float) -> bool:
        return self.until.timeout_s is not None and spent_s + (self._mean_s or 0.0) > self.until.timeout_s

    @property
    def _mean_s(self) -> float | None:
        return sum(self._durations) / len(self._durations) if self._durations else None

    def _progress(self, turn: tuple[Side, int]) -> Progress:
        mean_s = self._mean_s
        return Progress(
            side=turn[0], pair=turn[1], most=self.until.most,
            ratio=ratio_of_pairs(self.turns.pairs) if self.turns.pairs else None,
            left_s=None if mean_s is None else mean_s * self.turns.expected_left,
        )  # fmt: skip

    @property
    def _uid(self) -> str:
        return identity.uid_of(self.facts)

    def _clean_up_after_earlier(self) -> None:
        """End what a killed session left running; we hold the run's lock, so nobody else's trial carries its mark."""
        ended = leftovers.kill_marked(self._uid)
        leftovers.remove_temp_folders(self._uid)
        if ended:
            self.notes.append(f"ended {len(ended)} process(es) that an earlier session left")

    def _set_status(self, status: str) -> None:
        with suppress(StoreError):  # the records are what counts; a full disk must not hide why we stopped
            self._write({**self.facts, "status": status, "num_pairs": len(self.turns.pairs)})

    def _write(self, facts: Mapping[str, Any]) -> None:
        wanted = {"detect": self.until.detect, "fewest_pairs": self.until.fewest, "most_pairs": self.until.most}
        runs.write_json_atomic(self.run.run_json, {**facts, **wanted})
