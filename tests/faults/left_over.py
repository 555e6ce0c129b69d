"""What is left of a test: processes, temporary files, shared memory. Found by looking, not by asking vbench."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "VBENCH_FAULT_TEST"
SHARED_MEMORY = Path("/dev/shm")
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x00020000, 0x4000, 1 << 18
_OWN_HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")
"""Of the tests' own process, which live as long as it does."""


def adopt_orphans(*, yes: bool) -> None:
    """Whether processes that lose their parent become children of this one, so that none can hide."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def own_shared_memory() -> bool:
    """Give this process, and what it starts from now on, a /dev/shm of its own, so that what appears there is theirs.
    Returns False where that isn't allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_CLONE_NEWNS) != 0:
        return False
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        return False
    return bool(libc.mount(b"tmpfs", str(SHARED_MEMORY).encode(), b"tmpfs", 0, b"mode=1777") == 0)


def processes(mark: str, before: set[int]) -> dict[int, str]:
    """Live processes that carry the mark or descend from this one, besides those of before: their command lines."""
    found = {}
    for pid in _pids():
        if pid in before or pid == os.getpid():
            continue
        if _carries(pid, mark) or os.getpid() in _ancestors(pid):
            words = _read(pid, "cmdline")
            is_ours = not any(name in words for name in _OWN_HELPERS)
            if is_ours and _is_alive(pid):
                found[pid] = words.replace(b"\0", b" ").decode("utf-8", "replace").strip() or _name(pid)
    return found


def all_pids() -> set[int]:
    """Of every process now."""
    return set(_pids())


def reap() -> None:
    """Take leave of children that have ended: adopted ones are nobody else's to wait for."""
    for pid in _pids():
        if _parent(pid) == os.getpid() and not _is_alive(pid):
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def shared_memory() -> set[str]:
    """The names in /dev/shm."""
    with suppress(OSError):
        return set(os.listdir(SHARED_MEMORY))
    return set()


def unmapped(names: set[str]) -> set[str]:
    """Of names in /dev/shm those that no process maps: nobody will ever use them again."""
    if not names:
        return set()
    mapped = {line.rpartition(b"/")[2].decode() for pid in _pids() for line in _shm_lines(pid)}
    return names - mapped


def _shm_lines(pid: int) -> Iterator[bytes]:
    prefix = f" {SHARED_MEMORY}/".encode()
    return (line for line in _read(pid, "maps").splitlines() if prefix in line)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _carries(pid: int, mark: str) -> bool:
    return f"{MARK}={mark}".encode() in _read(pid, "environ").split(b"\0")


def _stat(pid: int) -> list[bytes]:
    return _read(pid, "stat").rpartition(b")")[2].split()


def _name(pid: int) -> str:
    return _read(pid, "stat").partition(b"(")[2].rpartition(b")")[0].decode("utf-8", "replace")


def _is_alive(pid: int) -> bool:
    state = _stat(pid)[:1]
    return bool(state) and state[0] not in (b"Z", b"X")


def _parent(pid: int) -> int:
    state = _stat(pid)
    return int(state[1]) if len(state) > 1 else 0


def _ancestors(pid: int) -> Iterator[int]:
    while (pid := _parent(pid)) > 1:
        yield pid
