"""What the fake engine does when it is told to misbehave, by the kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Callable, Dict


def _raise_oom() -> None:
    raise RuntimeError(
        "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 14.56 GiB of which 12.81 MiB "
        "is free."
    )


def _raise_host_oom() -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472 bytes.")


def _raise() -> None:
    raise RuntimeError("the fake engine was told to fail")


def _segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit() -> None:
    os._exit(7)


def _hang() -> None:
    while True:
        time.sleep(3600)


def _hang_deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang()


def _leave_child() -> None:
    """A child in a session of its own, which no group kill reaches."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)


def _flood() -> None:
    for _ in range(20_000):
        sys.stdout.write("x" * 200 + "\n")


MISBEHAVIOURS: Dict[str, Callable[[], None]] = {
    "oom": _raise_oom,
    "host_oom": _raise_host_oom,
    "exception": _raise,
    "segfault": _segfault,
    "kill": _kill,
    "exit": _exit,
    "hang": _hang,
    "hang_deaf": _hang_deaf,
    "leave_child": _leave_child,
    "flood": _flood,
}
