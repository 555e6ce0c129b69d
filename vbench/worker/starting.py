"""The keeper's children: from a fork to a trial, in the fork itself or in a fresh interpreter."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import time
import traceback
from typing import Any, Dict, List, Tuple

from .adopting import die_with_parent
from .printed import flush
from .protocol import Channel, error_event, read_request
from .trial import run_trial

MARKS = ("VBENCH_RUN", "VBENCH_KEEPER")
"""Variables by which vbench knows its processes: no configuration changes them."""
_FORK_S = 5.0
_FORK_PAUSE_S = 0.25
_OOM_SCORE = 500


def fork() -> int:
    """As `os.fork`; waits a while where the machine has no room for another process just now."""
    deadline = time.monotonic() + _FORK_S
    while True:
        try:
            return os.fork()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOMEM) or time.monotonic() > deadline:
                raise
        time.sleep(_FORK_PAUSE_S)


def become_trial(how: str, fds: List[int], keeper_pid: int, to_close: Tuple[int, ...]) -> None:
    """In the child; never returns. `os._exit` skips the engine's teardown, which is slower than the kernel's.

    `fds` are those of `protocol`; `to_close` are the keeper's own.
    """
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        die_with_parent(keeper_pid)
        _be_killed_first()
        for fd in to_close:
            os.close(fd)
        result_fd, log_fd, request_fd, *next_fds = fds
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        os.close(log_fd)
        if how == "cold":
            _exec_fresh(request_fd, [result_fd, *next_fds])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        gc.enable()
        status = run_trial(read_request(request_fd), Channel(result_fd), True, *next_fds)
        flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _be_killed_first() -> None:
    """Where memory runs out the kernel is to end the trial, which costs a record that says so, and not the keeper or
    vbench, which are smaller anyway (proc(5), oom_score_adj; children inherit it)."""
    try:
        with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
            if int(file.read()) < _OOM_SCORE:
                file.seek(0)
                file.write(str(_OOM_SCORE))
    except (OSError, ValueError):
        pass  # the kernel's own choice, then


def _exec_fresh(request_fd: int, fds: List[int]) -> None:
    """Replace this process by a fresh interpreter that runs the trial, request on stdin; `fds`: result and next."""
    request: Dict[str, Any] = read_request(os.dup(request_fd))
    os.lseek(request_fd, 0, os.SEEK_SET)
    os.dup2(request_fd, 0)
    for fd in fds:
        os.set_inheritable(fd, True)
    entry = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    marks = {name: os.environ[name] for name in MARKS if name in os.environ}
    environment = {**os.environ, **request.get("environment", {}), **marks}
    try:
        os.execve(sys.executable, [sys.executable, "-u", entry, "trial", *map(str, fds)], environment)
    except OSError as error:  # variables that are too long, say
        Channel(fds[0]).send(error_event(error, "start"))
        raise
