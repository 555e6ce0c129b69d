"""What the keeper does about processes that its trials leave behind: it adopts them, and ends them when it ends."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import List

LIBC = ctypes.CDLL(None)  # opened once for all trials
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> bool:
    """Become the parent of every descendant whose own has ended (prctl(2)); False where the kernel can't do it, or
    wouldn't say which they are."""
    if not os.path.exists("/proc/thread-self/children"):
        return False
    return bool(LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def children() -> List[int]:
    """This process's children, zombies too; empty where the kernel doesn't say."""
    found: List[int] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open("/proc/self/task/" + task + "/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


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
