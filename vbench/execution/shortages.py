"""What this machine lacks when it can't start a process or open a file, said so that a user knows what to do."""

from __future__ import annotations

import errno
import os

from vbench.errors import MachineError

_ADVICE = {
    errno.EMFILE: "this process has too many files open: raise the limit (`ulimit -n`)",
    errno.ENFILE: "too many files are open on this machine: end what else runs, or raise fs.file-max",
    errno.EAGAIN: "no more processes or threads are allowed here: raise the limit (`ulimit -u`, a container's pids), "
    "or end what else runs",
    errno.ENOMEM: "there is no memory left: end what else runs",
    errno.E2BIG: "the environment is too long for a process: shorten `environment:` in the sweep file",
    errno.ENOSPC: "the disk is full: make room",
}


def machine_error(number: int | None, what: str) -> MachineError:
    """`what` couldn't be done, for a reason that is the machine's and no configuration's."""
    advice = _ADVICE.get(number or 0)
    if advice is not None:
        return MachineError(f"{what}: {advice}; what was measured is kept")
    return MachineError(f"{what}: {os.strerror(number) if number else 'no reason given'}")
