"""A small process that watches over the keeper while it imports its engine, and so hears nothing itself.

Should vbench die meanwhile, it ends the keeper and all that the import has started: an import may hang for ever.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket

from .adopting import descendants, die_with_parent, kill, kill_marked, outlive_parent
from .shared_memory import own_temp_folder


class Guard:
    """Use as a context manager around the import."""

    def __init__(self, control: socket.socket, mark: bytes) -> None:
        self._control, self._mark = control, mark

    def __enter__(self) -> None:
        keeper_pid = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                _watch(self._control, keeper_pid, self._mark)
            finally:
                os._exit(0)

    def __exit__(self, *_: object) -> None:
        kill(self._pid)
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # the engine's import has waited for it


def _watch(control: socket.socket, keeper_pid: int, mark: bytes) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with_parent(keeper_pid)
    hang_up = select.poll()
    hang_up.register(control.fileno(), 0)  # that alone is told even so
    hang_up.poll()
    outlive_parent()
    for pid in [*descendants(keeper_pid), keeper_pid]:
        if pid != os.getpid():
            kill(pid)
    if mark:
        kill_marked(mark)
    folder = own_temp_folder()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os.killpg(keeper_pid, signal.SIGKILL)  # this one is in that group
