"""A copy of the process that has a large run's records: it computes a part of the sections beside it."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from vbench.report.blocks import Section
from vbench.report.processes import has_cores, prepare, start
from vbench.report.sections import Elsewhere, Made, is_made_beside, makers_of
from vbench.report.subject import Subject

LARGE = 10_000
"""Records from which on a copy gains more than it costs: it comes to hold most of them itself."""
_PIPE_BYTES = 1 << 20
"""So that the copy needn't wait until the other looks at what it found; what Linux lets anyone have."""


class SectionProcess(Elsewhere):
    """The copy; `Elsewhere` says what it is asked."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        """Raises OSError where there can be none."""
        for subject in subjects:  # what sections on both sides need isn't computed twice
            _ = subject.order, subject.answer, subject.mark
        self._subjects = subjects
        self._found: dict[tuple[int, int], Section | None] = {}
        self._is_over = False
        forked = multiprocessing.get_context("fork")
        self._pipe, other = forked.Pipe(duplex=False)
        with suppress(OSError):
            fcntl.fcntl(other.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._process: BaseProcess = forked.Process(
            target=_run, args=(os.getpid(), other, subjects), name="vbench sections", daemon=True
        )
        start(self._process)
        other.close()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def ready(self, subject: Subject, *, wait: bool) -> Iterator[Made]:
        """See `Elsewhere`."""
        own = next(number for number, one in enumerate(self._subjects) if one is subject)
        while not self._is_over and (wait or self._pipe.poll()):
            self._take()
        for key in [key for key in self._found if key[0] == own]:
            section = self._found.pop(key)
            yield Made(key[1], section)

    def _take(self) -> None:
        try:
            found = self._pipe.recv()
        except (EOFError, OSError):  # it was killed, or failed at a section: the other comes to that too, and says it
            found = None
        if found is None:
            self._is_over = True
        else:
            number, place, section = found
            self._found[number, place] = section

    def end(self) -> None:
        """End it, whatever it is at."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


@contextmanager
def section_process(subjects: Sequence[Subject]) -> Iterator[SectionProcess | None]:
    """The copy while the block lasts; None where there can be none, or it wouldn't gain anything."""
    process: SectionProcess | None = None
    if has_cores() and sum(len(one.records) for one in subjects) >= LARGE:
        with suppress(OSError):  # no memory, or no more processes allowed
            process = SectionProcess(subjects)
    try:
        yield process
    finally:
        if process is not None:
            process.end()


def _run(parent: int, pipe: Connection, subjects: Sequence[Subject]) -> None:
    """In the copy. It leaves without a word to anything that it shares with the other, such as queues of processes."""
    try:
        prepare(parent)
        for number, subject in enumerate(subjects):
            for place, make in enumerate(makers_of(subject)):
                if is_made_beside(make):
                    pipe.send((number, place, make(subject)))
        pipe.send(None)
    finally:
        os._exit(0)
