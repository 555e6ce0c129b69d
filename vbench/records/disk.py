"""Bytes on a disk: whole writes, ranges, folders that survive a power cut, and what to do when one refuses."""

from __future__ import annotations

import errno
import os
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
}


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
