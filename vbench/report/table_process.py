"""A process that writes the tables of a large run, while the one that has the records computes the page."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from vbench.report.processes import can_fork, prepare, start
from vbench.report.table_rows import TableHead, write_rows


class TableProcess:
    """The process. Begun before any record is read, so that it never holds them; ends with `end`, or with its maker."""

    def __init__(self) -> None:
        """Raises OSError where there can be none."""
        forked = multiprocessing.get_context("fork")
        self._pipe, other = forked.Pipe()
        self._process: BaseProcess = forked.Process(
            target=_run, args=(os.getpid(), self._pipe, other), name="vbench tables", daemon=True
        )
        start(self._process)
        other.close()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid or 0

    def write(self, head: TableHead, parts: Iterable[Sequence[Sequence[Any]]]) -> bool:
        """Hand it all rows. Returns False where it has ended: then nobody writes them."""
        try:
            self._pipe.send(head)
            for values in parts:
                self._pipe.send(values)
            self._pipe.send(None)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def wait(self) -> bool:
        """Until all rows are on the disk. Returns False where the process was killed before. Raises OSError where they
        can't be written."""
        try:
            error = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            return False
        if error is not None:
            raise OSError(*error)
        return True

    def end(self) -> None:
        """End it, whatever it is at."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


@contextmanager
def table_process(*, is_worth: bool) -> Iterator[TableProcess | None]:
    """The process while the block lasts; None where there can be none, or it wouldn't gain anything."""
    process: TableProcess | None = None
    if is_worth and can_fork():
        with suppress(OSError):  # no memory, or no more processes allowed
            process = TableProcess()
    try:
        yield process
    finally:
        if process is not None:
            process.end()


def _run(parent: int, others_end: Connection, pipe: Connection) -> None:
    """In the process."""
    prepare(parent)
    others_end.close()  # else it would never see that the other closed it
    try:
        head: TableHead = pipe.recv()
    except EOFError:  # no table was asked for
        return
    error: tuple[int | None, str | None] | None = None
    try:
        write_rows(head, _received(pipe))
    except OSError as failed:
        error = failed.errno, failed.strerror
        for _ in _received(pipe):  # that are on their way: the other would wait to get rid of them
            pass
    pipe.send(error)


def _received(pipe: Connection) -> Iterator[Any]:
    while (values := pipe.recv()) is not None:
        yield values
