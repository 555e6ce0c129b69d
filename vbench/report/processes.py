"""Other processes that help with a report: they draw, and read parts of a large run, beside the one that computes.

They are copies of this process, made before it reads any record: so none of them ever holds the records.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess

from vbench.report import plots_render

MOST = 4
_PR_SET_PDEATHSIG = 1


@contextmanager
def beside(*, is_worth: bool = True) -> Iterator[Executor | None]:
    """The processes while the block lasts; None where there can be none, or they wouldn't gain anything."""
    pool = _forked() if is_worth and can_fork() else None
    try:
        yield pool
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def can_fork() -> bool:
    """Whether a copy of this process is cheap and safe."""
    # A thread of ours could hold a lock at that moment, which the copy would wait for forever. Elsewhere than on Linux
    # a process starts by importing everything again, which takes longer than to draw.
    return has_cores() and threading.active_count() == 1


def has_cores() -> bool:
    """Whether a copy would have a core of its own, on a system that copies at all."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def _forked() -> ProcessPoolExecutor | None:
    workers = min(len(os.sched_getaffinity(0)), MOST)
    try:
        with warnings.catch_warnings():
            # Python warns of the numeric libraries' idle threads. What they hold, a copy doesn't ask for.
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
            pool = ProcessPoolExecutor(
                workers, multiprocessing.get_context("fork"), initializer=_prepare, initargs=(os.getpid(),)
            )
            pool.submit(os.getpid)  # with the first task all of them are made
    except OSError:  # no memory, or no more processes allowed
        return None
    return pool


def start(process: BaseProcess) -> None:
    """Start a copy of this process. Raises OSError where there can be none."""
    with warnings.catch_warnings():
        # Python warns of threads: of numeric libraries, and the one that feeds `beside`. What these hold, a copy
        # doesn't ask for.
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
        process.start()


def prepare(parent: int) -> None:
    """In a copy of this process, before anything else: it ends with its parent, and only so."""
    # Each copy holds the other's end of the queues, so that neither would notice that the parent was killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent decides what it means


def _prepare(parent: int) -> None:
    """In a copy that draws, while the other reads: what the first drawing would have to wait for, such as fonts."""
    prepare(parent)
    gc.disable()
    with suppress(Exception):
        plots_render.warm_up()
