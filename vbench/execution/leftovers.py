"""What must not outlive a trial: its processes and its temporary folder.

Every process of a run inherits `VBENCH_RUN=<unique id>`; that mark, read from /proc, is how we know a process is ours.
Nothing is ever found, or ended, by its name.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

RUN_MARK = "VBENCH_RUN"


def marked_processes(run_uid: str, *, excluding: Iterable[int] = ()) -> list[int]:
    """Pids of this user's processes that carry the run's mark, zombies left out (they have no environment)."""
    mark = f"{RUN_MARK}={run_uid}".encode()
    skipped = {os.getpid(), *excluding}
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in skipped:
            continue
        try:
            environment = Path("/proc", entry, "environ").read_bytes()
        except OSError:  # ended meanwhile, or another user's
            continue
        if mark in environment.split(b"\0"):
            found.append(int(entry))
    return found


def kill_marked(run_uid: str, *, excluding: Iterable[int] = (), grace_s: float = 0.0, wait_s: float = 5.0) -> list[int]:
    """SIGKILL the run's remaining processes and wait until they are gone; returns the pids that were found.

    Those that are ending already (killed a moment ago, or about to notice that their parent is gone) have `grace_s`.
    """
    skipped = list(excluding)
    found = marked_processes(run_uid, excluding=skipped)
    deadline = time.monotonic() + grace_s
    while found and time.monotonic() < deadline:
        time.sleep(0.02)
        found = marked_processes(run_uid, excluding=skipped)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + wait_s
    while found and time.monotonic() < deadline and set(found) & set(marked_processes(run_uid, excluding=skipped)):
        time.sleep(0.02)
    return found


def make_temp_folder(run_uid: str) -> Path:
    """A trial's own TMPDIR: engines leave sockets and rendezvous files there. Short, as socket paths must be."""
    return Path(tempfile.mkdtemp(prefix=_temp_prefix(run_uid)))


def remove_temp_folders(run_uid: str) -> None:
    """Remove every temporary folder of the run, also those that a killed session left."""
    for path in Path(tempfile.gettempdir()).glob(_temp_prefix(run_uid) + "*"):
        shutil.rmtree(path, ignore_errors=True)


def _temp_prefix(run_uid: str) -> str:
    return f"vbench-{run_uid[:8]}-"
