"""How often the kernel's out-of-memory killer has struck among processes like the trial's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from vbench.execution.memory import kernel_oom_kills as oom_kills_on_this_machine

_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def kernel_oom_kills() -> int:
    """Of our own control group, which the trials share: somebody else's misfortune isn't theirs. Where the kernel
    doesn't count it (cgroup v1, or the root group), of the whole machine."""
    with suppress(OSError, ValueError, KeyError, StopIteration):
        path = next(line[3:] for line in _MEMBERSHIP.read_text().splitlines() if line.startswith("0::"))
        events = (_GROUPS / path.lstrip("/") / "memory.events").read_text()
        counts = dict(line.split() for line in events.splitlines())
        return int(counts["oom_kill"])
    return oom_kills_on_this_machine()
