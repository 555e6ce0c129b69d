"""A disk that is as small as a test wants it: a tmpfs in a mount namespace of the tests' own."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MS_REMOUNT, _MNT_DETACH = 0x00020000, 0x4000, 1 << 18, 32, 2
_LIBC = ctypes.CDLL(None, use_errno=True)


class SmallDisk:
    """Mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, kib: int) -> None:
        """To another size; what is on it stays."""
        _mount(self.path, f"size={kib}k", _MS_REMOUNT)

    def read_only(self, *, yes: bool) -> None:
        """Take no more writes, or take them again."""
        _mount(self.path, "", _MS_REMOUNT | int(yes))

    def fill(self) -> None:
        """Let nothing be left of it."""
        with (self.path / "fill").open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(b"x" * 4096)
                except OSError:
                    return


@contextmanager
def small_disk(path: Path, options: str, *, is_there: bool = False) -> Iterator[SmallDisk]:
    """A disk with a tmpfs's options (`size=64k`) at `path`, a folder that is made, or is there and hidden. Skips where
    none can be mounted."""
    path.mkdir(exist_ok=is_there)
    if os.geteuid() != 0 or _LIBC.unshare(_CLONE_NEWNS) != 0:
        pytest.skip("no disk can be mounted: not root, or not allowed to")
    if _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        pytest.skip("no disk can be mounted: its mount couldn't be kept from others")
    _mount(path, options, 0)
    try:
        yield SmallDisk(path)
    finally:
        _LIBC.umount2(os.fsencode(path), _MNT_DETACH)


def _mount(path: Path, options: str, flags: int) -> None:
    if _LIBC.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode()) != 0:
        number = ctypes.get_errno()
        pytest.skip(f"no disk can be mounted: {os.strerror(number)}")
