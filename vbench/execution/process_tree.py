"""Which processes descend from which, read from the processes asked about alone: what else runs costs nothing.

`/proc/PID/task/TID/children` (proc_pid_task_tid_children(5)) names the children of one thread. A kernel without it, or
something that only resembles one, is asked through psutil, which looks at every process there is.
"""

from __future__ import annotations

import functools
import os

import psutil


def descendants(pid: int) -> list[int]:
    """Of a process, its zombies too; parents before their children. Empty where it has gone."""
    if not has_children_files():
        return _by_psutil(pid)
    found: list[int] = []
    ahead = [pid]
    while ahead:
        born = _children(ahead.pop())
        found += born
        ahead += born
    return found


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False


def start_time(pid: int) -> int | None:
    """When it began, in ticks since the machine did: with it a number that is given anew is told from the old."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


@functools.cache
def has_children_files() -> bool:
    """Whether this kernel says the children of a process."""
    return os.path.exists("/proc/thread-self/children")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
        except OSError:  # a thread that ended; its children are another's now
            continue
    return found


def _by_psutil(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
