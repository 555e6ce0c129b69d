"""A trial's process as the parent has it: started by its keeper, told what is next, signalled, reaped."""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from vbench.execution import leftovers
from vbench.execution.keeper_client import Exit, Keeper, KeeperGone, request_file
from vbench.execution.shortages import machine_error

_TERM_GRACE_S = 3.0
_KILL_GRACE_S = 15.0
_MARKS = (leftovers.RUN_MARK, leftovers.KEEPER_MARK)  # by which its processes are known: no configuration's to set


class TrialProcess:
    """A running one. Kept after `done`, it waits for another trial of its engine (vbench/worker/protocol.py).

    `trial_id` is what the keeper knows it by: the trial that it was started for. `temp_folder` is its TMPDIR for life.
    """

    def __init__(
        self, keeper: Keeper, trial_id: int, how: Literal["fork", "cold"], request: Mapping[str, Any],
        fds: tuple[int, int], run_uid: str,
    ) -> None:  # fmt: skip
        """Start it; `fds` are its result pipe and its log. Raises KeeperGone."""
        self.keeper, self.trial_id, self.how = keeper, trial_id, how
        self.exit: Exit | None = None
        self.was_lost = False
        """Whether it had ended, or its keeper had, before a kept one was to close."""
        self.temp_folder = leftovers.make_temp_folder(run_uid)
        asked = {name: value for name, value in request.get("environment", {}).items() if name not in _MARKS}
        whole = {**request, "environment": {**asked, "TMPDIR": str(self.temp_folder)}}
        self._next: socket.socket | None = None
        try:
            self.pid = self._start(whole, fds)
        except BaseException:
            self.let_go()
            self.remove_temp_folder()
            raise

    def _start(self, request: dict[str, Any], fds: tuple[int, int]) -> int:
        if not request.get("keep_engine"):
            return self.keeper.start(self.trial_id, self.how, request, fds)
        try:
            self._next, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise machine_error(error.errno, f"trial {self.trial_id} can't be started") from error
        with theirs:
            return self.keeper.start(self.trial_id, self.how, request, (*fds, theirs.fileno()))

    def go_on(self, request: Mapping[str, Any], fds: tuple[int, int]) -> None:
        """Give it another trial, with a pipe and a log of its own. One that has ended says so through its keeper."""
        with request_file(request) as request_fd:
            self._say({"op": "next"}, (*fds, request_fd))

    def _say(self, message: Mapping[str, Any], fds: tuple[int, ...] = ()) -> None:
        assert self._next is not None
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        with contextlib.suppress(OSError):
            self._next.sendmsg([json.dumps(message).encode()], rights)

    def hear(self, timeout_s: float = 0.0) -> bool:
        """Take a message of the keeper's; False when none came within the time. Raises KeeperGone."""
        message = self.keeper.receive(timeout_s)
        if message is None:
            return False
        if message.get("event") == "exited" and message.get("id") == self.trial_id:
            self.exit = Exit(code=message["code"], signal=message["signal"])
        return True

    def is_running(self) -> bool:
        """Whether a kept one still waits to be told what is next. Raises KeeperGone."""
        while self.exit is None and self.hear():
            pass
        is_there = self._next is not None and not select.select([self._next], [], [], 0.0)[0]  # it says nothing there
        return self.exit is None and is_there

    def end(self, first: signal.Signals, turn: Callable[[float], object]) -> None:
        """Ask its group to end, then make it. `turn` waits for what comes, at most so many seconds, and takes it."""
        for number, grace_s in ((first, _TERM_GRACE_S), (signal.SIGKILL, _KILL_GRACE_S)):
            self.signal_group(number)
            self._wait(grace_s, turn)
            if self.exit is not None:
                return

    def _wait(self, within_s: float, turn: Callable[[float], object]) -> None:
        deadline = time.monotonic() + within_s
        while self.exit is None and (left_s := deadline - time.monotonic()) > 0:
            turn(left_s)

    def signal_group(self, number: signal.Signals) -> None:
        """Send it to all of its process group; to none that isn't there any more, or once its keeper has ended: the
        number may be another's by then, and what is left has our mark (`leftovers.kill_orphans`)."""
        if not self.keeper.is_running:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody is left in the group; or the leader hasn't made it yet (fork, then setsid): reach it alone.
            if self.exit is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)

    def close(self, within_s: float) -> None:
        """Have a kept one close its engine and end; one that takes longer is ended. Nothing of its group is left."""
        try:
            self.was_lost = not self.is_running()
            self._say({"op": "close"})
            self._wait(within_s, self.hear)
            if self.exit is None:
                self.end(signal.SIGTERM, self.hear)
        except KeeperGone:
            self.was_lost = True
            self.let_go()  # the keeper's end was its own (PR_SET_PDEATHSIG), and its pid may be another's by now
            return
        self.forget()

    def forget(self) -> None:
        """Kill whatever is left of its group and let the pid go: its leader is a zombie until it is reaped."""
        self.signal_group(signal.SIGKILL)
        self.keeper.reap(self.trial_id)
        self.let_go()

    def remove_temp_folder(self) -> None:
        """Remove what the process had for its temporary files, once it has ended."""
        leftovers.remove_temp_folder(self.temp_folder)

    def let_go(self) -> None:
        """Close the descriptor that it is kept by."""
        if self._next is not None:
            self._next.close()
