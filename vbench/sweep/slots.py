"""Several trials at a time, each in a place of its own (`slot_places`), and those that need the machine for themselves.

Each slot is a thread with a runner, keepers and a mark of its own beneath the run's (`UID/1`): what it cleans up, waits
for and measures is its own trial's alone. The thread has the affinity of its place, which all that it starts inherits.
One more slot, `UID/all`, has the whole machine. What slots have to say comes to the main thread through one queue:
listeners are called and records are written there alone.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Self

from vbench.execution import leftovers
from vbench.execution.runner import OnEvent
from vbench.execution.trials import TrialRunner
from vbench.records.record import TrialRecord
from vbench.sweep.interference import BESIDE
from vbench.sweep.jobs import Job, run_job
from vbench.sweep.slot import MakeRunner, Said, Slot
from vbench.sweep.slot_places import Place

_TERM_GRACE_S = 5.0
_LOOK_S = 0.1
_TOGETHER_S = 600.0  # for the slowest slot's keeper to be ready, where trials are to begin together
WHOLE = Place(name="the whole machine")


class Slots:
    """An `Executor` of as many trials as there are places. Use as a context manager."""

    def __init__(
        self, places: Sequence[Place], make: MakeRunner, mark: str, on_event: OnEvent, key_of: Callable[[Job], str]
    ) -> None:
        self._said: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._slots = [Slot(number, place, make, mark, self._said) for number, place in enumerate(places, start=1)]
        self._whole = Slot(0, WHOLE, make, mark, self._said)
        self._on_event, self._key_of = on_event, key_of
        self._together: threading.Barrier | None = None
        self._began_t = time.monotonic()

    @property
    def running(self) -> Sequence[Job]:
        """Of all slots, in the order of their numbers."""
        return sorted((one.job for one in self._all if one.job is not None), key=lambda job: job.number)

    @property
    def has_room(self) -> bool:
        """Whether a place is free, and no trial has the machine to itself."""
        return self._whole.job is None and any(one.job is None for one in self._slots)

    @property
    def live_keys(self) -> Collection[str]:
        """Of the engines in idle slots."""
        return {key for one in self._all if one.job is None and (key := one.live_key) is not None}

    def takes(self, job: Job) -> bool:
        """One that has the machine to itself only once all else has ended."""
        return self.has_room and not (job.is_alone and self.running)

    def prepare(self, job: Job) -> str | None:
        """Start the keeper of the slot where the first trial runs; the others' start with theirs."""
        slot = self._whole if job.is_alone else self._slots[0]

        def prepare(runner: TrialRunner) -> None:
            runner.prepare(job.point.settings)
            slot.say()

        slot.give(prepare)
        self._next()
        return None if slot.runner is None else slot.runner.fork_blocker

    def start(self, job: Job) -> None:
        """Begin with it, where an engine lives that can serve it if there is one."""
        slot = self._whole if job.is_alone else self._choose(job)
        others = self._slots if job.is_alone else [self._whole]
        released = [self._release(one) for one in others if one.job is None and one.live_key is not None]
        slot.job, slot.trial_pid, slot.is_released = job, None, False
        if job.origin == "interference" and (self._together is None or len(self.running) == 1):
            self._together = threading.Barrier(len(self._slots))
        together = self._together if job.origin == "interference" else None
        slot.give(lambda runner: self._run(slot, runner, job, released, together))

    def wait(self) -> tuple[Job, TrialRecord]:
        """Hand on what the trials say until one has ended."""
        while (said := self._next()).record is None:
            if said.message is not None:
                self._on_event(said.message)
        job, said.slot.job = said.slot.job, None
        assert job is not None
        return job, said.record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engines that are left; after an error end all trials, gently if they let us."""
        if error is None and not self.running:
            for one in self._all:
                one.give(None)
            for one in self._all:
                one.join(None)
            return
        for one in self._all:
            one.end()
        if self._together is not None:
            self._together.abort()
        deadline = time.monotonic() + _TERM_GRACE_S
        for one in self._all:
            one.join(max(0.0, deadline - time.monotonic()))
        while left := [one for one in self._all if one.is_alive]:
            for one in left:
                leftovers.kill_marked(one.mark)
                one.join(_LOOK_S)

    @property
    def _all(self) -> list[Slot]:
        return [*self._slots, self._whole]

    def _next(self) -> Said:
        said = self._said.get()
        if said.error is not None:
            raise said.error
        return said

    def _choose(self, job: Job) -> Slot:
        """Of the idle ones that whose engine can serve it, else one without an engine."""
        key = self._key_of(job)
        idle = [one for one in self._slots if one.job is None]
        return min(idle, key=lambda one: (one.live_key != key, one.live_key is not None, one.number))

    def _release(self, slot: Slot) -> threading.Event:
        """Have an idle slot close its engine; the event says when it has."""
        done = threading.Event()

        def release(runner: TrialRunner) -> None:
            runner.release()
            done.set()

        slot.give(release)
        slot.is_released = True
        return done

    def _run(
        self, slot: Slot, runner: TrialRunner, job: Job, released: Sequence[threading.Event],
        together: threading.Barrier | None,
    ) -> None:  # fmt: skip
        """In the slot's thread."""

        def on_event(message: dict[str, Any]) -> None:
            if message.get("event") == "hello" and isinstance(message.get("pid"), int):
                slot.trial_pid = message["pid"]
            slot.say(message={**message, "trial": job.number})
            slot.check()  # raised here, it ends the trial as an interrupt would

        for one in released:
            while not one.wait(_LOOK_S):
                slot.check()
        if together is not None:
            runner.prepare(job.point.settings)
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(_TOGETHER_S)
        slot.check()
        record = run_job(runner, job, on_event)
        slot.say(record=record if slot.number == 0 else self._placed(slot, runner, record))

    def _placed(self, slot: Slot, runner: TrialRunner, record: TrialRecord) -> TrialRecord:
        beside = {
            "slot": slot.number,
            "of": len(self._slots),
            "place": slot.place.name,
            "began_s": round(runner.started_t - self._began_t, 6),
        }
        return record.model_copy(update={"environment": {**record.environment, BESIDE: beside}})
