"""What must not outlive a trial: its processes. Its temporary files are `temp_folders`' matter.

A keeper adopts what its trials leave behind (vbench/worker/keeper.py): while it lives, all that is left of a trial is
below it. Beside that, every process of a run inherits `VBENCH_RUN=<unique id>`: by that mark, read from /proc, we know
what is ours after a keeper has died, or another vbench was killed. Nothing is ever found, or ended, by its name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

from vbench.execution.process_tree import descendants, has_children_files, is_running, start_time
from vbench.execution.temp_folders import make_temp_folder as make_temp_folder  # noqa: PLC0414 -- re-exported
from vbench.execution.temp_folders import remove_temp_folder as remove_temp_folder  # noqa: PLC0414
from vbench.execution.temp_folders import remove_temp_folders as remove_temp_folders  # noqa: PLC0414

RUN_MARK = "VBENCH_RUN"
KEEPER_MARK = "VBENCH_KEEPER"
"""By which a keeper knows what it started, from what the run's other keepers did."""
_FIRST_LOOK_S, _LOOK_S = 0.001, 0.02
_stuck: dict[int, int] = {}  # pid → when it began, of those that SIGKILL didn't end


class Adopting(Protocol):
    """A keeper."""

    @property
    def pid(self) -> int: ...

    @property
    def is_adopting(self) -> bool:
        """Whether it lives, and orphans among its descendants have become its children."""


def marked_processes(run_uid: str, *, excluding: Iterable[int] = ()) -> list[int]:
    """Pids of this user's processes that carry the run's mark, or a mark beneath it (`UID/…`, of one of several slots),
    zombies left out (they have no environment)."""
    return _marked(f"{RUN_MARK}={run_uid}", excluding)


def _marked(mark_text: str, excluding: Iterable[int]) -> list[int]:
    mark = b"\0" + mark_text.encode()
    whole, above = mark + b"\0", mark + b"/"
    skipped = {os.getpid(), *excluding}
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in skipped:
            continue
        try:
            environment = b"\0" + Path("/proc", entry, "environ").read_bytes() + b"\0"
        except OSError:  # ended meanwhile, or another user's
            continue
        if whole in environment or above in environment:
            found.append(int(entry))
    return found


def kill_marked(run_uid: str, *, excluding: Iterable[int] = (), grace_s: float = 0.0, wait_s: float = 5.0) -> list[int]:
    """SIGKILL the run's remaining processes and wait until they are gone; returns the pids that were found.

    Those that are ending already (killed a moment ago, or about to notice that their parent is gone) have `grace_s`.
    Reads the environment of every process there is.
    """
    skipped = list(excluding)
    return _kill(lambda: marked_processes(run_uid, excluding=skipped), grace_s, wait_s)


def kill_tree(keeper_pid: int, keeper_mark: str) -> None:
    """SIGKILL a keeper that hears nothing any more, with all that is below it or has its mark."""
    for pid in [*descendants(keeper_pid), keeper_pid]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    _kill(lambda: _marked(f"{KEEPER_MARK}={keeper_mark}", ()), 0.0, 5.0)


def kill_orphans(keeper: Adopting, run_uid: str, *, excluding: Collection[int] = (), grace_s: float = 0.0) -> list[int]:
    """As `kill_marked`, of what a keeper's ended trial left: reads only what is below the keeper. Where that can't be
    known, as it has died or the kernel doesn't say, it is the run's processes that end, but for those `excluded`."""

    def find() -> list[int]:
        found = _running_below(keeper.pid, excluding) if keeper.is_adopting and has_children_files() else []
        # Asked again: had it died meanwhile, what was below it would be below nobody.
        is_known = found or (keeper.is_adopting and has_children_files())
        return found if is_known else marked_processes(run_uid, excluding=excluding)

    return _kill(find, grace_s, 5.0)


def _running_below(pid: int, excluding: Collection[int]) -> list[int]:
    """Descendants that run. While it is read the tree changes: a process that ends leaves its children to the root,
    which has been read by then. So it is nothing only if two readings in a row agree."""
    before: list[int] | None = None
    while True:
        listed = descendants(pid)
        running = [one for one in listed if one not in excluding and is_running(one) and not _is_stuck(one)]
        if running or listed == before:
            return running
        before = listed


def _is_stuck(pid: int) -> bool:
    """Whether it is known that not even SIGKILL ends it: later trials neither wait for it nor are blamed."""
    return pid in _stuck and _stuck[pid] == start_time(pid)


def _kill(find: Callable[[], list[int]], grace_s: float, wait_s: float) -> list[int]:
    found = _wait_for_none(find, grace_s)
    ended: list[int] = []
    deadline = time.monotonic() + wait_s
    while found and time.monotonic() < deadline:
        _kill_if_still(found, find)
        ended += [pid for pid in found if pid not in ended]
        found = _wait_for_none(find, _LOOK_S)  # what they had started meanwhile is found next
    _stuck.update((pid, started) for pid in found if (started := start_time(pid)) is not None)
    return ended


def _kill_if_still(pids: Iterable[int], find: Callable[[], list[int]]) -> None:
    """SIGKILL those that are found again once we hold them (pidfd_open(2)): a number that has gone to somebody else's
    process meanwhile is left alone."""
    with contextlib.ExitStack() as held:
        handles = {pid: fd for pid in pids if (fd := _handle(pid, held)) is not None}
        for pid in find():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid in handles:
                    signal.pidfd_send_signal(handles[pid], signal.SIGKILL)


def _handle(pid: int, held: contextlib.ExitStack) -> int | None:
    try:
        fd = os.pidfd_open(pid)
    except OSError:  # it has ended
        return None
    held.callback(os.close, fd)
    return fd


def _wait_for_none(find: Callable[[], list[int]], within_s: float) -> list[int]:
    """What is still found after so long; looks often at first, as most of them end at once."""
    deadline, pause_s = time.monotonic() + within_s, _FIRST_LOOK_S
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOOK_S)
    return found
