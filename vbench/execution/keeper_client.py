"""The parent's end of the keeper (vbench/worker/keeper.py, which also documents the messages)."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vbench.errors import MachineError
from vbench.execution import leftovers
from vbench.execution.interpreters import Interpreter
from vbench.execution.leftovers import KEEPER_MARK, RUN_MARK
from vbench.execution.log_limit import LOOK_S, LogLimit
from vbench.execution.shortages import machine_error
from vbench.execution.worker_question import WORKER_ENTRY

_MAX_PACKET = 1 << 20
_STOP_GRACE_S = 5.0
# Nothing of a benchmark goes to somebody's statistics; SPT_NOENV keeps process titles out of /proc/PID/environ, where
# our mark is; faulthandler turns a segfault into a stack in the log.
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "SPT_NOENV": "1", "PYTHONUNBUFFERED": "1"}

_running_pids: set[int] = set()


def running_keepers() -> frozenset[int]:
    """Pids of the keepers that this process has started and not closed, those of all threads."""
    return frozenset(_running_pids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a trial's process ended: an exit code, or the signal that killed it."""

    code: int | None
    signal: int | None

    def describe(self) -> str:
        """`exit code 7` or `killed by SIGKILL`."""
        if self.signal is not None:
            known = {number.value: number.name for number in signal.Signals}  # not each real-time signal has a name
            return f"killed by {known.get(self.signal, f'signal {self.signal}')}"
        return f"exit code {self.code}"


@contextlib.contextmanager
def request_file(request: Mapping[str, Any]) -> Iterator[int]:
    """A request in a file in memory (vbench/worker/protocol.py): a packet has no room for a long one."""
    try:
        fd = os.memfd_create("vbench-request")
    except OSError as error:
        raise machine_error(error.errno, "a trial's request can't be written") from error
    with open(fd, "wb") as file:
        file.write(json.dumps(request).encode())
        file.flush()
        yield fd


class KeeperGone(MachineError):
    """The keeper died: out of memory, or killed from outside."""


class Keeper:
    """A running keeper. Use as a context manager; `preload` asks it to import the engine so that it can fork."""

    def __init__(
        self, interpreter: Interpreter, engine: str, *, preload: bool, environment: Mapping[str, str], run_uid: str,
        log: Path,
    ) -> None:  # fmt: skip
        self._is_ready = False
        self._adopts = False
        self.can_fork = False
        self.fork_blocker: str | None = None
        self.preload_seconds: float | None = None
        self._mark = uuid.uuid4().hex
        self._temp_folder = leftovers.make_temp_folder(run_uid, is_keepers=True)
        try:
            self._start(
                [interpreter.path, str(WORKER_ENTRY), "keeper"], [engine, "preload" if preload else "cold"], log,
                {**os.environ, **_ENVIRONMENT, **environment, RUN_MARK: run_uid, KEEPER_MARK: self._mark,
                 "TMPDIR": str(self._temp_folder)},
            )  # fmt: skip
        except OSError as error:
            leftovers.remove_temp_folder(self._temp_folder)
            raise machine_error(error.errno, f"{interpreter.path} can't be started") from error
        _running_pids.add(self.pid)

    def _start(self, before: list[str], after: list[str], log: Path, environment: dict[str, str]) -> None:
        with contextlib.ExitStack() as failed:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._socket = failed.enter_context(ours)
            with theirs, log.open("ab") as output:
                self._log = LogLimit(log, output.tell())
                # Above the standard descriptors, which the child gets of its own, even if we have none.
                control_fd = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, 3)
                failed.callback(os.close, control_fd)
                self._process = subprocess.Popen(
                    [*before, str(control_fd), *after],
                    pass_fds=[control_fd],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # the terminal's Ctrl-C reaches only us
                    env=environment,
                )
            failed.pop_all()
            os.close(control_fd)

    @property
    def pid(self) -> int:
        """The keeper's own pid."""
        return self._process.pid

    @property
    def is_adopting(self) -> bool:
        """Whether it lives, and orphans among its descendants have become its children."""
        return self._adopts and self.is_running

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    def fileno(self) -> int:
        """For select: readable when the keeper says something."""
        return self._socket.fileno()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it has imported the engine, or said why it can't fork. Raises KeeperGone."""
        message = self._first_message(timeout_s)
        if message is None:
            self.fork_blocker = f"importing the engine took over {timeout_s:.0f} s"
            raise KeeperGone(self.fork_blocker)
        self._is_ready = True
        self.can_fork = bool(message.get("preloaded"))
        self.fork_blocker = message.get("fork_blocker")
        self.preload_seconds = message.get("seconds")
        self._adopts = bool(message.get("adopts"))

    def _first_message(self, timeout_s: float) -> dict[str, Any] | None:
        """What it says once the engine is imported. What an import prints until then is kept within bounds."""
        deadline = time.monotonic() + timeout_s
        try:
            while True:
                self._log.hold()
                left_s = max(0.0, deadline - time.monotonic())
                message = self.receive(min(left_s, LOOK_S))
                if message is not None or left_s == 0.0:
                    return message
        finally:
            self._log.hold_at_end()

    def start(self, trial_id: int, how: Literal["fork", "cold"], request: dict[str, Any], fds: tuple[int, ...]) -> int:
        """Start a trial; `fds` are its result pipe, its log and, where its engine is to be kept, the socket that says
        what is next. Returns its pid, which is also its process group. Raises KeeperGone, and MachineError where there
        is no room for another process."""
        temp_folder = request.get("environment", {}).get("TMPDIR")
        packet = json.dumps({"op": "start", "id": trial_id, "how": how, "temp_folder": temp_folder}).encode()
        result_fd, log_fd, *next_fds = fds
        with request_file(request) as request_fd:
            rights = array.array("i", (result_fd, log_fd, request_fd, *next_fds))
            try:
                self._socket.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            except OSError as error:
                raise KeeperGone(f"the keeper process is gone: {self._ending()}") from error
        message = self.receive(30.0)
        while message is not None and message.get("event") == "exited":  # of one that took longer than it was given
            message = self.receive(30.0)
        if message is not None and message.get("event") == "refused":
            raise machine_error(message["errno"], f"the process of trial {trial_id} can't be started")
        if message is None or message.get("event") != "started":
            raise KeeperGone(f"the keeper didn't start the trial (it said {message})")
        return int(message["pid"])

    def receive(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next message; None when the time is over. Raises KeeperGone when its end is closed."""
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return None
        try:
            data = self._socket.recv(_MAX_PACKET)
        except OSError as error:
            raise KeeperGone(f"the keeper process is gone: {error}") from error
        if not data:
            raise KeeperGone(f"the keeper process is gone: {self._ending()}")
        message: dict[str, Any] = json.loads(data)
        return message

    def reap(self, trial_id: int) -> None:
        """Let an exited trial's zombie go; after this its pid may be used again."""
        with contextlib.suppress(OSError):
            self._socket.send(json.dumps({"op": "reap", "id": trial_id}).encode())

    def _ending(self) -> str:
        try:
            status = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            return "still running, but it closed its socket"
        return Exit(code=status if status >= 0 else None, signal=-status if status < 0 else None).describe()

    def close(self) -> None:
        """Stop it and all that it started."""
        with contextlib.suppress(OSError):
            self._socket.send(b'{"op": "stop"}')
        self._socket.close()
        # One that is still importing hears nothing, and has started no trial: there is nothing to wait for.
        deadline = time.monotonic() + (_STOP_GRACE_S if self._is_ready else 0.0)
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._process.poll() is None:
            leftovers.kill_tree(self.pid, self._mark)  # with what an import may have started
            self._process.wait()
        leftovers.remove_temp_folder(self._temp_folder)
        _running_pids.discard(self.pid)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
