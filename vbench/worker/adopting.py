"""What the keeper does about processes that its trials leave behind: it adopts them, and ends them when it ends."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import List

LIBC = ctypes.CDLL(None)  # opened once for all trials
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own has ended (prctl(2)); False where the kernel can't do it, or
    wouldn't say which they are."""
    if not os.path.exists("/proc/thread-self/children"):
        return False
    return bool(LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies (prctl(2), PR_SET_PDEATHSIG); it may have died already."""
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def outlive_parent() -> None:
    """Take back `die_with_parent`."""
    LIBC.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


def children(pid: str = "self") -> List[int]:
    """A process's children, zombies too; empty where the kernel doesn't say."""
    found: List[int] = []
    try:
        for task in os.listdir("/proc/" + pid + "/task"):
            with open("/proc/" + pid + "/task/" + task + "/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def descendants(pid: int) -> List[int]:
    """All that is below a process; parents before their children."""
    found: List[int] = []
    ahead = [pid]
    while ahead:
        born = children(str(ahead.pop()))
        found += born
        ahead += born
    return found


def kill(pid: int) -> None:
    """SIGKILL, where it is there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def kill_marked(marker: bytes) -> None:
    """Kill the processes that inherited our environment variable: a run's other keepers have a mark of their own."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open("/proc/" + entry + "/environ", "rb") as file:
                if marker in file.read().split(b"\0"):
                    os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue  # ended meanwhile, or another user's
