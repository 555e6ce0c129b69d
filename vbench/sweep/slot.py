"""One place where trials run: a thread with a runner, keepers and a mark of its own."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vbench.errors import VbenchError
from vbench.execution.trials import TrialRunner
from vbench.records.record import TrialRecord
from vbench.sweep.jobs import Job
from vbench.sweep.slot_places import Place

MakeRunner = Callable[[Place, str, Callable[[], None]], TrialRunner]
"""From a place, what is beneath the run's mark, and a check that raises once the slot is to end."""


class _Ended(VbenchError):
    """The slot was told to end."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a slot has to say: a trial's message, its end, or that it can't go on."""

    slot: Slot
    message: dict[str, Any] | None = None
    record: TrialRecord | None = None
    error: BaseException | None = None


class Slot:
    """One place. The main thread reads `runner` only while no job runs there."""

    def __init__(self, number: int, place: Place, make: MakeRunner, mark: str, said: queue.SimpleQueue[Said]) -> None:
        self.number, self.place, self.mark = number, place, f"{mark}/{number or 'all'}"
        self.job: Job | None = None
        self.runner: TrialRunner | None = None
        self.trial_pid: int | None = None
        self.is_released = False
        """Whether its engine was told to close since its last job."""
        self.is_ending = threading.Event()
        self._make, self._said = make, said
        self._tasks: queue.SimpleQueue[Callable[[TrialRunner], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def live_key(self) -> str | None:
        """Of the engine that is alive here; asked only while idle."""
        return None if self.runner is None or self.is_released else self.runner.live_key

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def give(self, task: Callable[[TrialRunner], None] | None) -> None:
        """Have its thread do this next; None: close and end."""
        if self._thread is None:
            if task is None:
                return
            self._thread = threading.Thread(target=self._serve, name=f"slot {self.number}", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def say(self, **what: Any) -> None:
        """To the main thread."""
        self._said.put(Said(self, **what))

    def check(self) -> None:
        """Raises once it is to end."""
        if self.is_ending.is_set():
            raise _Ended("the sweep ends")

    def end(self) -> None:
        """Ask the running trial to end, and the thread after it."""
        self.is_ending.set()
        if self.job is not None and self.trial_pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.trial_pid, signal.SIGTERM)
        self.give(None)

    def join(self, timeout_s: float | None) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _serve(self) -> None:
        try:
            if self.place.cores is not None:
                os.sched_setaffinity(0, self.place.cores)  # of this thread, and of all that it starts
            with self._make(self.place, self.mark, self.check) as runner:
                self.runner = runner
                while (task := self._tasks.get()) is not None:
                    task(runner)
                self.check()
        except _Ended:
            pass
        except BaseException as error:  # whatever it is, it ends the sweep, in the main thread
            self.say(error=error)
