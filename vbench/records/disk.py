"""Bytes on a disk: whole writes, ranges, folders that survive a power cut, a reserve, what to do when one refuses."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 1 << 16
_ADVICE = {
    errno.ENOSPC: "free some space and run the same command again: it goes on where it stopped",
    errno.EDQUOT: "your quota is used up: free some space and run the same command again",
    errno.EFBIG: "the file-size limit (ulimit -f) is reached: raise it and run the same command again",
    errno.ENOTDIR: "a part of the path is a file: choose another results folder",
    errno.EROFS: "the folder is read-only: choose another results folder",
    errno.EACCES: "check who owns the folder and its permissions",
    errno.EPERM: "check who owns the folder and its permissions",
    errno.EIO: "the disk itself fails (`dmesg` says more): choose another results folder",
    errno.EMFILE: "too many files are open: raise the limit (`ulimit -n 65536`) and run the same command again",
    errno.ENFILE: "the whole machine has too many files open: end what holds them and run the same command again",
}
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
"""What a disk without room answers, or a used-up quota."""
RESERVE_BYTES = 4 * 1024**2


def write_all(fd: int, data: bytes) -> None:
    """All of it, however often the system has to be asked. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_range(fd: int, start: int, end: int) -> bytes:
    """What lies there, or as much of it as there is. Raises OSError."""
    parts: list[bytes] = []
    while start < end and (part := os.pread(fd, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def start_of_last_line(fd: int, size: int) -> int:
    """Offset just after the last newline; `size` when the file is empty or ends in a newline."""
    end = size
    while end > 0:
        start = max(0, end - CHUNK_BYTES)
        newline = read_range(fd, start, end).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def fsync_folder(folder: Path) -> None:
    """Make a new or renamed entry of `folder` survive a power cut. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def advice_on(error: OSError) -> str:
    """What is wrong and what to do, as the end of a sentence."""
    return f"{error.strerror or error}; {storage_advice(error)}"


def storage_advice(error: OSError) -> str:
    """What to do about an error of the file system, as half a sentence."""
    return _ADVICE.get(error.errno or 0, "check the disk and run the same command again")


class Reserve:
    """Room on the disk that is taken beforehand, in a file beside `path`: what is written once the disk is full is
    written in its place.

    A file system that can't promise room (some on networks, those that copy on write) has less of it, or none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f".{path.name}.reserve")
        self.num_bytes = RESERVE_BYTES
        self._held_bytes = 0

    def hold(self, size: int = 0) -> None:
        """Take the room, unless it is taken; `size`: of what is written now. Raises OSError where there isn't so much
        left, of the disk or of what the limit (`ulimit -f`) lets a file have; nothing is taken then."""
        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most != resource.RLIM_INFINITY and size + self.num_bytes > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if self._held_bytes >= self.num_bytes:
            return
        self._held_bytes = 0
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, self.num_bytes)
            self._held_bytes = self.num_bytes
        except OSError as error:
            if error.errno in FULL:
                raise
        finally:
            os.close(fd)
            if not self._held_bytes:
                self._remove()

    def release(self) -> bool:
        """Give it back; False where none was held."""
        was_held, self._held_bytes = self._held_bytes > 0, 0
        self._remove()
        return was_held

    def _remove(self) -> None:
        with suppress(OSError):
            self.path.unlink()
