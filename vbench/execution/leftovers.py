"""What must not outlive a trial: its processes and its temporary folder.

A keeper adopts what its trials leave behind (vbench/worker/keeper.py): while it lives, all that is left of a trial is
below it. Beside that, every process of a run inherits `VBENCH_RUN=<unique id>`: by that mark, read from /proc, we know
what is ours after a keeper has died, or another vbench was killed. Nothing is ever found, or ended, by its name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

from vbench.execution.process_tree import descendants, has_children_files, is_running

RUN_MARK = "VBENCH_RUN"
_FIRST_LOOK_S, _LOOK_S = 0.001, 0.02


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
    mark = f"\0{RUN_MARK}={run_uid}".encode()
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
        running = [one for one in listed if one not in excluding and is_running(one)]
        if running or listed == before:
            return running
        before = listed


def _kill(find: Callable[[], list[int]], grace_s: float, wait_s: float) -> list[int]:
    found = _wait_for_none(find, grace_s)
    ended: list[int] = []
    deadline = time.monotonic() + wait_s
    while found and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended += [pid for pid in found if pid not in ended]
        found = _wait_for_none(find, _LOOK_S)  # what they had started meanwhile is found next
    return ended


def _wait_for_none(find: Callable[[], list[int]], within_s: float) -> list[int]:
    """What is still found after so long; looks often at first, as most of them end at once."""
    deadline, pause_s = time.monotonic() + within_s, _FIRST_LOOK_S
    while (found := find()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOOK_S)
    return found


def make_temp_folder(run_uid: str) -> Path:
    """A trial's own TMPDIR: engines leave sockets and rendezvous files there. Short, as socket paths must be."""
    return Path(tempfile.mkdtemp(prefix=_temp_prefix(run_uid)))


def remove_temp_folders(run_uid: str, *, keeping: Iterable[Path] = ()) -> None:
    """Remove every temporary folder of the run but those that are in use, also those that a killed session left."""
    kept = set(keeping)
    for path in Path(tempfile.gettempdir()).glob(_temp_prefix(run_uid) + "*"):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _temp_prefix(run_uid: str) -> str:
    return f"vbench-{run_uid[:8]}-"
