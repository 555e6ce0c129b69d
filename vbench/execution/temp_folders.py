"""Folders for temporary files: one for each trial and each keeper, which an engine's sockets and locks go to.

A folder is locked (flock) by the vbench that made it as long as that lives. So the next vbench can tell what a killed
one left, whatever run it was of, and removes it: the keeper does so first, unless it was killed too. Its mode says that
it is ours: `vbench-20261122-old`, where somebody keeps results, has a name like it and is never touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vbench.errors import MachineError

NOTES = "shared-memory"
"""In a keeper's folder: what its trials left in /dev/shm (vbench/worker/shared_memory.py)."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- nothing is made there
_PREFIX, _KEEPERS_PREFIX = "vbench-", "vbench-keeper-"
# A socket's path has at most 107 bytes (unix(7)). Below the parent come the folder's name and a UUID, as ZMQ's are.
_LONGEST_PARENT = 107 - len("/vbench-01234567-01234567/") - 36
_SHORT_PARENT = "/tmp"  # noqa: S108 -- folders in it are made by mkdtemp
_MODE = 0o1700
"""The owner's alone, as mkdtemp makes them, and sticky, which changes nothing there and which nobody sets by chance."""

_NAME = re.compile(r"vbench-(?:keeper-)?([0-9a-f]{8})-[a-z0-9_]{8}")

_locks: dict[Path, int] = {}


def make_temp_folder(run_uid: str, *, is_keepers: bool = False) -> Path:
    """A new one. Short, as socket paths must be: where TMPDIR is too long for that, it is made in /tmp. Raises
    MachineError where none can be made."""
    try:
        path = Path(tempfile.mkdtemp(prefix=_prefixes_of(run_uid)[is_keepers], dir=_parents()[0]))
    except OSError as error:
        raise MachineError(
            f"no folder for temporary files can be made: {error.strerror}: "
            "set TMPDIR to a folder with room, where you may write"
        ) from error
    with contextlib.suppress(OSError):  # a file system without modes
        path.chmod(_MODE)
    with contextlib.suppress(OSError):  # or without locks
        _locks[path] = _lock(path)
    return path


def remove_temp_folder(path: Path) -> None:
    """Remove it with all that is in it, and the shared memory that its notes speak of."""
    _remove_shared_memory(path)
    with contextlib.suppress(OSError):  # rmtree needs a descriptor, which there may be none of
        path.rmdir()
    shutil.rmtree(path, ignore_errors=True)
    if (fd := _locks.pop(path, None)) is not None:
        os.close(fd)


def remove_temp_folders(run_uid: str) -> None:
    """Remove every one of the run, which nobody else works on, and those that other killed runs left."""
    for path in _all():
        if path.name.startswith(_prefixes_of(run_uid)) or _is_abandoned(path):
            remove_temp_folder(path)


def _prefixes_of(run_uid: str) -> tuple[str, str]:
    """Of its trials' folders, and of its keepers'."""
    return f"{_PREFIX}{run_uid[:8]}-", f"{_KEEPERS_PREFIX}{run_uid[:8]}-"


def _parents() -> list[str]:
    """Where they are made, and where else they may have been."""
    usual = tempfile.gettempdir()
    is_long = len(os.fsencode(usual)) > _LONGEST_PARENT
    if is_long and os.access(_SHORT_PARENT, os.W_OK | os.X_OK):
        return [_SHORT_PARENT, usual]
    return [usual]


def _all() -> Iterator[Path]:
    with contextlib.suppress(OSError):  # no folder for temporary files: there are none
        for parent in _parents():
            yield from (path for path in Path(parent).glob(_PREFIX + "*-*") if _is_own_folder(path))


def _is_own_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _is_abandoned(path: Path) -> bool:
    """Whether its maker is gone, and nothing runs any more that may use it."""
    name = _NAME.fullmatch(path.name)
    if name is None or path in _locks:
        return False
    try:
        if stat.S_IMODE(path.stat().st_mode) != _MODE:
            return False
        os.close(_lock(path))
    except OSError:
        return False
    return not _is_marked_anywhere(name[1])


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _is_marked_anywhere(uid: str) -> bool:
    mark = f"\0VBENCH_RUN={uid}".encode()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if mark in b"\0" + Path("/proc", entry, "environ").read_bytes():
                    return True
    return False


def _remove_shared_memory(folder: Path) -> None:
    """Of what is noted that which is still there, is still the same, and isn't mapped by anybody."""
    try:
        lines = (folder / NOTES).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    noted = {_SHARED_MEMORY / name: inode for inode, _, name in (line.partition(" ") for line in lines)}
    left = {path: inode for path, inode in noted.items() if path.parent == _SHARED_MEMORY and _inode(path) == inode}
    mapped = _mapped_inodes() if left else set()
    for path, inode in left.items():
        if inode not in mapped:
            path.unlink(missing_ok=True)


def _inode(path: Path) -> str | None:
    try:
        return str(path.lstat().st_ino)
    except (OSError, ValueError):
        return None


def _mapped_inodes() -> set[str]:
    """Of the files of /dev/shm that any process has mapped."""
    found: set[str] = set()
    place = f" {_SHARED_MEMORY}/".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            lines = Path("/proc", entry, "maps").read_bytes().splitlines()
            found.update(line.split(None, 5)[4].decode() for line in lines if place in line)
    return found
