"""The processes that a process has started: found by their parents, known by when they began."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple


def descendants(pid: int) -> Dict[int, str]:
    """Children, theirs and so on: start times by pid, so that a recycled number is never taken for one of them."""
    children: Dict[int, List[Tuple[int, str]]] = {}
    for entry in os.listdir("/proc"):
        fields = _stat_fields(int(entry)) if entry.isdigit() else None
        if fields is not None:
            children.setdefault(int(fields[1]), []).append((int(entry), fields[19]))
    found: Dict[int, str] = {}
    pending = [pid]
    while pending:
        for child, started in children.get(pending.pop(), ()):
            found[child] = started
            pending.append(child)
    return found


def alive(family: Dict[int, str]) -> List[int]:
    """Those that still run."""
    found = []
    for pid, started in family.items():
        fields = _stat_fields(pid)
        if fields is not None and fields[19] == started and fields[0] not in ("Z", "X"):
            found.append(pid)
    return found


def _stat_fields(pid: int) -> Optional[List[str]]:
    """`/proc/PID/stat` from the state on (proc(5)): 0 state, 1 parent, 19 start time. None when it has ended."""
    try:
        with open("/proc/{}/stat".format(pid), "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return None
