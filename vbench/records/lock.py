"""Holding a run's folder for one process, and asking who holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vbench.errors import StoreError
from vbench.records.disk import advice_on


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file `path` of a folder. Raises StoreError, naming the other's pid, when it is held already.

    The lock belongs to the open file (flock), so it goes with the process however that ends; the pid in the file is
    only there to be named.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{path} can't be opened: {advice_on(error)}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            raise StoreError(f"{path.parent} is in use by {_named(fd)}: wait for it, or stop it first") from error
        except OSError as error:
            raise StoreError(f"{path.parent} can't be locked: {advice_on(error)}") from error
        yield
    finally:
        os.close(fd)  # releases the lock; the file stays, as removing it would race with the next holder


def holder(path: Path) -> int | None:
    """The process that holds the lock file; None where none does. It is the one named in the file, if it has that open:
    asking for the lock itself could get in the way of a vbench that starts at this moment."""
    try:
        pid = int(path.read_text())
        lock = path.stat()
    except (OSError, ValueError):
        return None
    try:
        descriptors = list(Path("/proc", str(pid), "fd").iterdir())
    except PermissionError:
        return pid  # another user's process: it is there, and we can't look closer
    except OSError:
        return None
    for descriptor in descriptors:
        with suppress(OSError):
            if os.path.samestat(descriptor.stat(), lock):
                return pid
    return None


def _named(fd: int) -> str:
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return f"another vbench (pid {text})" if text.isdigit() else "another vbench"
