"""Errors of the system that no command foresaw, and that are still no defect: a full disk, a name that is too long, no
more memory. Each has words that say what to do, and an exit code."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from vbench.errors import EXIT_MACHINE, EXIT_STORE, EXIT_USAGE
from vbench.execution.shortages import advice_on_shortage
from vbench.records.disk import storage_advice

_STORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
_MOST_SHOWN = 200
_THREADS = "can't start new thread"


class Told(NamedTuple):
    """What the user is told, and what the command ends with."""

    text: str
    exit_code: int


def told(error: Exception) -> Told | None:
    """Such an error's words; None for a defect."""
    if isinstance(error, MemoryError):
        return Told(str(advice_on_shortage(errno.ENOMEM)), EXIT_MACHINE)
    if isinstance(error, RuntimeError) and _THREADS in str(error):
        return Told(str(advice_on_shortage(errno.EAGAIN)), EXIT_MACHINE)
    if not isinstance(error, OSError):
        return None
    if isinstance(error, FileNotFoundError) and not _has_current_folder():
        return Told("the folder you are in was removed: go to another, and run the command again", EXIT_USAGE)
    name = str(error.filename or "")
    if (shortage := advice_on_shortage(error.errno)) is not None:
        return Told(shortage, EXIT_MACHINE)
    if error.errno in _NAMES and name:
        shown = name if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]}…"
        return Told(f"{shown}: {error.strerror}: name something else", EXIT_USAGE)
    is_denied = error.errno in (errno.EACCES, errno.EPERM)
    if error.errno in _STORE and (name or not is_denied):
        what = "opened or changed" if is_denied else "written"
        return Told(f"{name or 'the output'} can't be {what}: {error.strerror}; {storage_advice(error)}", EXIT_STORE)
    return None


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
