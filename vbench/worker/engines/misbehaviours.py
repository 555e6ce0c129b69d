"""What the fake engine does when it is told to misbehave: `KIND`, `KIND=TEXT`, `KIND@PHASE` or `KIND=TEXT@PHASE`.

What it does to its process, its log and what is around it is here; what it does to its own children and its results in
`misbehaving_children` and `misbehaving_results`. Children that outlive everything end by themselves after `LIFE_S`.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, Tuple

from .misbehaving_children import CHILDREN
from .misbehaving_results import RESULTS

PHASES = ("load", "pass", "close", "quality", "reused")
_MIB = 1024 * 1024
_LEAKED_BYTES = 4096
_KEPT: List[Any] = []


class EngineDeadError(RuntimeError):
    """What vLLM's client raises when its engine core has died."""


def parts_of(fail: str) -> Tuple[str, str, str]:
    """The kind, its text and the phase; empty where they aren't there.

    >>> parts_of("raise=a@b@pass")
    ('raise', 'a@b', 'pass')
    """
    what, at, phase = fail.rpartition("@")
    if not at or phase not in PHASES:
        what, phase = fail, ""
    kind, _, text = what.partition("=")
    return kind, text, phase


def misbehave(kind: str, text: str) -> None:
    """Do it. Some return, and the trial goes on."""
    MISBEHAVIOURS[kind](text)


def _raise(text: str) -> None:
    raise RuntimeError(text or "the fake engine was told to fail")


def _raise_oom(_: str) -> None:
    raise RuntimeError(
        "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 14.56 GiB of which 12.81 MiB "
        "is free."
    )


def _raise_host_oom(_: str) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472 bytes.")


def _raise_dead(_: str) -> None:
    raise EngineDeadError("EngineCore encountered an issue. See stack trace (above) for the root cause.")


def _raise_errno(text: str) -> None:
    """By its name: `ENOSPC`, `EMFILE`, `EADDRINUSE`, …"""
    number = getattr(errno, text)
    raise OSError(number, os.strerror(number))


def _recurse(text: str) -> None:
    _recurse(text + "x")


def _interrupt(_: str) -> None:
    raise KeyboardInterrupt


def _sys_exit(text: str) -> None:
    sys.exit(int(text or 3))


def _signal(number: int) -> Callable[[str], None]:
    return lambda _: os.kill(os.getpid(), number)


def _exit(text: str) -> None:
    os._exit(int(text or 7))


def _hang(_: str) -> None:
    while True:
        time.sleep(3600)


def _hang_deaf(_: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang("")


def _spin(text: str) -> None:
    """A hang that computes, for as many seconds as told."""
    end = time.monotonic() + float(text or 3600)
    while time.monotonic() < end:
        pass


def _eat(text: str) -> None:
    """Take so many MiB and keep them."""
    _KEPT.append(bytearray(b"\1") * (int(text or 64) * _MIB))


def _flood(text: str) -> None:
    """4 MB, or as many MiB as told; as fast as can be."""
    if not text:
        for _ in range(20_000):
            sys.stdout.write("x" * 200 + "\n")
        return
    block = b"".join(b"flood %06d %s\n" % (number, b"x" * 100) for number in range(9_000))
    left = int(text) * _MIB
    while left > 0:
        left -= os.write(1, block[:left])


def _flood_endless(text: str) -> None:
    block = ((text or "x" * 200) + "\n").encode() * 300
    while True:
        os.write(1, block)


def _flood_line(text: str) -> None:
    """One line of so many MiB."""
    for _ in range(int(text or 4)):
        os.write(1, b"y" * _MIB)


def _binary(_: str) -> None:
    """Every byte there is, terminals' control sequences among them, broken UTF-8, and no line's end."""
    os.write(1, bytes(range(256)) * 1024 + b"\x1b]0;title\x07\x1b[2J\xff\xfe\x00\xed\xa0\x80")
    os.write(2, bytes(range(255, -1, -1)) * 1024)


def _print(text: str) -> None:
    print(text, flush=True)


def _print_environment(_: str) -> None:
    """As Python shows it, and as a shell does."""
    print("environ({!r})".format(dict(os.environ)), flush=True)
    for name, value in os.environ.items():
        sys.stderr.write("{}={}\n".format(name, value))


def _raise_environment(_: str) -> None:
    raise RuntimeError("; ".join("{} is {!r}".format(*one) for one in os.environ.items()))


def _leak_shm(_: str) -> None:
    """Shared memory, as a queue between processes takes it: made, mapped and never unlinked."""
    with open("/dev/shm/psm_{:08x}".format(os.getpid()), "w+b") as file:  # noqa: S108 - it is what engines do
        file.truncate(_LEAKED_BYTES)
        _KEPT.append(mmap.mmap(file.fileno(), _LEAKED_BYTES))


def _fill_shm(_: str) -> None:
    """The same, written to: where there is no room for it, the kernel ends who writes."""
    with open("/dev/shm/psm_{:08x}".format(os.getpid()), "w+b") as file:  # noqa: S108 - it is what engines do
        os.unlink(file.name)
        file.truncate(1 << 20)
        mmap.mmap(file.fileno(), 1 << 20).write(b"x" * (1 << 20))


def _leak_temp(_: str) -> None:
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "left"), "wb") as file:
        file.write(b"x" * _LEAKED_BYTES)


def _leak_fds(text: str) -> None:
    """So many descriptors."""
    _KEPT.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(int(text or 100)))


MISBEHAVIOURS: Dict[str, Callable[[str], None]] = {
    "raise": _raise,
    "exception": _raise,
    "oom": _raise_oom,
    "host_oom": _raise_host_oom,
    "engine_dead": _raise_dead,
    "errno": _raise_errno,
    "recursion": _recurse,
    "interrupt": _interrupt,
    "sys_exit": _sys_exit,
    "segfault": _signal(signal.SIGSEGV),
    "abort": lambda _: os.abort(),
    "bus_error": _signal(signal.SIGBUS),
    "kill": _signal(signal.SIGKILL),
    "term": _signal(signal.SIGTERM),
    "stop": _signal(signal.SIGSTOP),
    "exit": _exit,
    "hang": _hang,
    "hang_deaf": _hang_deaf,
    "spin": _spin,
    "eat": _eat,
    "flood": _flood,
    "flood_endless": _flood_endless,
    "flood_line": _flood_line,
    "binary": _binary,
    "print": _print,
    "print_environment": _print_environment,
    "raise_environment": _raise_environment,
    "leak_shm": _leak_shm,
    "fill_shm": _fill_shm,
    "leak_temp": _leak_temp,
    "leak_fds": _leak_fds,
    **CHILDREN,
    **RESULTS,
}
