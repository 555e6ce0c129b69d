"""What this machine lacks when it can't start a process or open a file, said so that a user knows what to do."""

from __future__ import annotations

import errno
import os

from vbench.errors import MachineError

_ADVICE = {
    errno.EMFILE: "too many files are open: raise the limit (`ulimit -n 65536`)",
    errno.ENFILE: "the whole machine has too many files open: end what holds them, or raise fs.file-max",
    errno.EAGAIN: "no more processes or threads are allowed here: end some, or raise the limit (`ulimit -u`; in a "
    "container its pids limit)",
    errno.ENOMEM: "the machine has no memory left: end what holds it",
    errno.E2BIG: "the environment is too long for a process: shorten `environment:` in the sweep file",
}


def advice_on_shortage(number: int | None) -> str | None:
    """What to do where the system refused with this errno; None where that isn't for want of something."""
    return _ADVICE.get(number or 0)


def machine_error(number: int | None, what: str) -> MachineError:
    """`what` couldn't be done, for a reason that is the machine's and no configuration's."""
    advice = "the disk is full: make room" if number == errno.ENOSPC else advice_on_shortage(number)
    if advice is not None:
        return MachineError(f"{what}: {advice}; what was measured is kept")
    return MachineError(f"{what}: {os.strerror(number) if number else 'no reason given'}")
