"""Whether a further trial may start: time, GPU-hours, and the end of the session that this sitting is part of.

Decides by what the run's own trials took. Keeps the current session's line of the ledger (`ledger`).
"""

from __future__ import annotations

import math
import time
from bisect import insort
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Literal, Self

from vbench.errors import StoreError
from vbench.outcome import Outcome
from vbench.records import runs
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.types import SweepSpec
from vbench.sweep import ledger
from vbench.sweep.ledger import SessionLine, gpus_of, gpus_of_record
from vbench.sweep.limits import Left, Limits, limits_of

__all__ = ["Budget", "Left", "Limits", "Stop", "gpus_of", "limits_of"]

Stop = Literal["out_of_time", "gpu_hours", "session_end"]
_WRITE_EVERY_S = 5.0
_FEW_DURATIONS = 5
_PERCENTILE = 0.9


class Budget:
    """One session's account. A context manager: entering opens the session's line in the ledger, leaving closes it.

    `records` are those of earlier sessions. `clock` is monotonic, `wall` seconds since 1970. A ledger that can't be
    written doesn't end a sweep, as the records hold the costs too: `problems` says so. Every method is O(1), but for
    keeping durations in order.
    """

    def __init__(
        self, spec: SweepSpec, run: RunFolder, limits: Limits | None = None, *, records: Sequence[TrialRecord] = (),
        clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.run, self.limits, self._clock, self._wall = run, limits or limits_of(spec), clock, wall
        self.status = "interrupted"
        """What the line says at the end; set it to how the session ended."""
        self.problems: list[str] = []
        self._began_t = clock()
        self._wrote_t = -math.inf
        self._running: dict[int, tuple[float, int]] = {}
        self._full: list[float] = []
        self._short: list[float] = []
        self._earlier = self._read_earlier(records)
        before = ledger.sum_of(self._earlier)
        self._wall_before_s, self._gpu_before_s = before.wall_s, before.gpu_s
        number = max((line.session for line in self._earlier), default=0) + 1
        first = max((record.trial for record in records), default=-1) + 1
        self._line = SessionLine(session=number, started_at=ledger.now_label(wall()), first_trial=first)
        for record in records:
            self._note_duration(record)
        self._end_t = self._session_end()

    def __enter__(self) -> Self:
        """Open the session's line."""
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; a trial that was running is paid for although it has no record."""
        now = self._clock()
        cut = [((now - start), gpus) for start, gpus in self._running.values()]
        self._running.clear()
        self._line = replace(
            self._line,
            engine_s=self._line.engine_s + sum(seconds for seconds, _ in cut),
            gpu_s=self._line.gpu_s + sum(seconds * gpus for seconds, gpus in cut),
            trials=self._line.trials + len(cut),
            ended_at=ledger.now_label(self._wall()),
            status=self.status if kind is None else "interrupted",
        )
        self._write()

    def may_start(self, gpus: int = 1) -> Stop | None:
        """None when a trial may start now, on so many GPUs; else the limit that is reached.

        Time: none is started once it is spent. GPU-hours and session: none is started that would pass them, by the 90th
        percentile of what this run's trials took (by the longest while there are fewer than 5). May be asked in any
        thread.
        """
        left, expected_s = self.left(), self.expected_trial_s()
        if left.time_s is not None and left.time_s <= 0:
            return "out_of_time"
        if left.gpu_s is not None and (left.gpu_s <= 0 or left.gpu_s < expected_s * gpus + self._committed_gpu_s()):
            return "gpu_hours"
        if left.session_s is not None and (left.session_s <= 0 or left.session_s < expected_s):
            return "session_end"
        return None

    def trial_started(self, number: int, gpus: int = 1) -> None:
        """A trial begins: from here on its seconds count, whatever becomes of it."""
        self._running[number] = (self._clock(), gpus)

    def trial_ended(self, record: TrialRecord, gpus: int | None = None) -> None:
        """A record was written. `gpus` None: as its configuration and hardware say. A refused one costs nothing."""
        self._running.pop(record.trial, None)
        seconds = record.duration_s or 0.0
        taken = gpus_of_record(record) if gpus is None else gpus
        line = self._line
        self._line = replace(
            line, engine_s=line.engine_s + seconds, gpu_s=line.gpu_s + seconds * taken, records=line.records + 1,
            trials=line.trials + ledger.is_started(record),
        )  # fmt: skip
        self._note_duration(record)
        if self._clock() - self._wrote_t >= _WRITE_EVERY_S:
            self._write()

    def trial_dropped(self, number: int) -> None:
        """A trial that began turned out not to be one (nothing was started): it costs nothing."""
        self._running.pop(number, None)

    @property
    def spent_s(self) -> float:
        """Wall seconds of all sessions, this one up to now."""
        return self._wall_before_s + self._clock() - self._began_t

    @property
    def spent_gpu_s(self) -> float:
        """GPU-seconds of all sessions, with what running trials have taken up to now."""
        now = self._clock()
        running = sum((now - start) * gpus for start, gpus in list(self._running.values()))
        return self._gpu_before_s + self._line.gpu_s + running

    def left(self) -> Left:
        """What is left by each limit."""
        limits, now = self.limits, self._clock()
        return Left(
            time_s=None if limits.timeout_s is None else max(0.0, limits.timeout_s - self.spent_s),
            gpu_s=None if limits.gpu_hours is None else max(0.0, limits.gpu_hours * 3600 - self.spent_gpu_s),
            session_s=None if self._end_t is None else max(0.0, self._end_t - now),
        )

    def expected_trial_s(self) -> float:
        """How long a trial may well take: see `may_start`. 0 before the first has ended.

        Of those that ran to their end, where there are any: a trial that crashed or was pruned early says little of the
        next.
        """
        durations = self._full or self._short
        if len(durations) < _FEW_DURATIONS:
            return durations[-1] if durations else 0.0
        return durations[math.ceil(_PERCENTILE * len(durations)) - 1]

    def _committed_gpu_s(self) -> float:
        """What the trials that are running may still take."""
        now, expected_s = self._clock(), self.expected_trial_s()
        running = list(self._running.values())
        return sum(max(0.0, expected_s - (now - start)) * gpus for start, gpus in running)

    def _session_end(self) -> float | None:
        """On the monotonic clock: the wall clock may be set while we run."""
        limits = self.limits
        if limits.session_s is None:
            return None
        since_s = 0.0 if limits.session_started is None else self._wall() - limits.session_started
        return self._began_t + limits.session_s - limits.session_margin_s - since_s

    def _note_duration(self, record: TrialRecord) -> None:
        if record.duration_s:
            ran_on = record.outcome.is_measured or record.outcome is Outcome.TIMED_OUT
            insort(self._full if ran_on else self._short, record.duration_s)

    def _read_earlier(self, records: Sequence[TrialRecord]) -> list[SessionLine]:
        lines: list[SessionLine] = []
        try:
            lines = ledger.read(self.run)
        except StoreError as error:
            self.problems.append(f"{error}; what was spent is counted from the records")
        whole = ledger.made_up(lines, records)
        if whole and not lines:  # before there was a ledger, `run.json` had the wall time, start-up included
            with suppress(StoreError):
                spent_s = runs.read_json(self.run.run_json).get("spent_s")
                if isinstance(spent_s, (int, float)) and spent_s > whole[0].wall_s:
                    whole[0] = replace(whole[0], wall_s=float(spent_s))
        return whole

    def _write(self) -> None:
        self._wrote_t = self._clock()
        self._line = replace(self._line, wall_s=round(self._wrote_t - self._began_t, 3))
        try:
            ledger.write(self.run, [*self._earlier, self._line])
        except StoreError as error:
            if not self.problems:  # once is enough; the records hold the costs too
                self.problems.append(str(error))
