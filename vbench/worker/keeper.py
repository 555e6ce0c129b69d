"""The keeper: a process in the engine's interpreter that starts every trial of a sweep and lets none outlive vbench.

It may have imported the engine already and fork for each trial (`fork`: about a second to a ready vLLM instead of ten
and more), or fork and exec a fresh interpreter (`cold`). Either way a trial runs in a session of its own with its
output in its log and its answers on its pipe; descriptors for both come with the start message, and a third where its
engine is to be kept for further trials (`protocol`), of which the keeper knows nothing.

One message a packet on a SOCK_SEQPACKET socket pair:
parent → keeper   start {id, how, request} + descriptors [result, log(, next)] · reap {id} · stop {}
keeper → parent   ready {preloaded, platform, fork_blocker, seconds, adopts} · started {id, pid} ·
                  exited {id, code, signal}

An exited trial stays a zombie until `reap`, so the parent can kill what is left of its process group without any chance
of meeting a recycled number. What a trial leaves running, whatever session it moved to, becomes the keeper's child
(PR_SET_CHILD_SUBREAPER; `adopts` where the kernel can), so it is found below the keeper and nowhere else. When the
parent's end closes, however it died, everything is killed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List, Optional, Tuple

from .adopting import LIBC, adopt_orphans, children, kill_marked
from .engines import load_engine
from .protocol import Channel, receive
from .trial import run_trial

_MARK = "VBENCH_KEEPER"
_KILL_S = 2.0
_PR_SET_PDEATHSIG = 1


def serve(control_fd: int, engine_name: str, preload: bool) -> int:
    """Serve the parent until it says stop or is gone."""
    control = socket.socket(fileno=control_fd)
    os.set_inheritable(control_fd, False)
    keeper = _Keeper(control)
    adopts = adopt_orphans()
    keeper.say(dict(_ready(engine_name, preload), adopts=adopts))
    try:
        keeper.loop()
    finally:
        keeper.kill_all()
    return 0


def _ready(engine_name: str, preload: bool) -> Dict[str, Any]:
    """Import the engine if asked, and say whether forking from here is safe, and if not, why."""
    answer: Dict[str, Any] = {"event": "ready", "preloaded": False, "platform": None, "fork_blocker": None}
    start = time.monotonic()
    if not preload:
        answer["fork_blocker"] = "cold starts were asked for"
        return answer
    try:
        engine = load_engine(engine_name)
        engine.preload()
        answer["platform"] = engine.platform()
        answer["fork_blocker"] = _fork_blocker(answer["platform"], engine.is_fork_safe_on)
        answer["preloaded"] = answer["fork_blocker"] is None
    except Exception as error:
        traceback.print_exc()
        answer["fork_blocker"] = "the engine could not be imported: {}: {}".format(type(error).__name__, error)
    gc.collect()
    gc.freeze()  # children share the imported pages instead of copying them at their first collection
    answer["seconds"] = time.monotonic() - start
    return answer


def _fork_blocker(platform: str, safe_on: Tuple[str, ...]) -> Optional[str]:
    if platform not in safe_on:
        return "a process may not fork once it could hold a GPU context (platform " + platform + ")"
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1 and "torch" in sys.modules:
        return "the engine's import left {} threads running".format(threads)
    if "torch" in sys.modules and os.environ.get("OMP_NUM_THREADS") != "1":
        # A parallel region in the parent would leave children waiting for threads that a fork doesn't copy.
        return "OMP_NUM_THREADS is not 1 in the sweep's environment"
    return None


class _Keeper:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.pids: Dict[int, int] = {}  # trial id → pid, until reaped
        self.exited: Dict[int, bool] = {}
        self.wakeup_read, self.wakeup_write = os.pipe()
        os.set_blocking(self.wakeup_write, False)
        signal.set_wakeup_fd(self.wakeup_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's to handle

    def say(self, message: Dict[str, Any]) -> None:
        try:
            self.control.send(json.dumps(message).encode())
        except OSError:
            pass  # the parent is gone; the loop will see it

    def loop(self) -> None:
        while True:
            control_fd = self.control.fileno()
            readable, _, _ = select.select([control_fd, self.wakeup_read], [], [])
            if self.wakeup_read in readable:
                os.read(self.wakeup_read, 4096)
                self._reap_adopted()
            self._report_exits()
            if control_fd in readable:
                message, fds = receive(self.control)
                if message is None or message["op"] == "stop":
                    return
                if message["op"] == "start":
                    self._start(message, fds)
                elif message["op"] == "reap":
                    self._reap(message["id"])

    def _start(self, message: Dict[str, Any], fds: List[int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        keeper_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_trial(message, fds, keeper_pid)
        for fd in fds:
            os.close(fd)
        self.pids[message["id"]] = pid
        self.say({"event": "started", "id": message["id"], "pid": pid})

    def _become_trial(self, message: Dict[str, Any], fds: List[int], keeper_pid: int) -> None:
        """In the child; never returns. `os._exit` skips the engine's teardown, which is slower than the kernel's."""
        status = 1
        result_fd, log_fd, *next_fds = fds
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            die_with_parent(keeper_pid)
            for fd in (self.control.fileno(), self.wakeup_read, self.wakeup_write):
                os.close(fd)
            os.dup2(log_fd, 1)
            os.dup2(log_fd, 2)
            os.close(log_fd)
            if message["how"] == "cold":
                _exec_fresh(message["request"], [result_fd, *next_fds])
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            gc.enable()
            status = run_trial(message["request"], Channel(result_fd), True, *next_fds)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _report_exits(self) -> None:
        for trial_id, pid in self.pids.items():
            if trial_id in self.exited:
                continue
            info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if info is None:
                continue
            self.exited[trial_id] = True
            was_exit = info.si_code == os.CLD_EXITED
            self.say(
                {
                    "event": "exited",
                    "id": trial_id,
                    "code": info.si_status if was_exit else None,
                    "signal": None if was_exit else info.si_status,
                }
            )

    def _reap_adopted(self) -> None:
        """Let go of what trials left to us, as it ends. Nobody else waits for it."""
        for pid in children():
            if pid not in self.pids.values():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass  # not ours to wait for any more

    def _reap(self, trial_id: int) -> None:
        pid = self.pids.pop(trial_id, None)
        self.exited.pop(trial_id, None)
        if pid is not None:
            os.waitpid(pid, 0)

    def kill_all(self) -> None:
        """Kill every process group that is left, then whatever we started that moved to a session of its own: what is
        below us comes to us as its parents end, and what can't come has our mark."""
        for pid in self.pids.values():
            try:
                os.killpg(pid, signal.SIGKILL)
            except OSError:
                pass
        self.pids.clear()
        deadline = time.monotonic() + _KILL_S
        while time.monotonic() < deadline and children():
            for pid in children():
                try:
                    os.kill(pid, signal.SIGKILL)  # a zombie at worst: nobody but us reaps it
                except OSError:
                    pass
            self._reap_adopted()
            time.sleep(0.001)
        marker = os.environ.get(_MARK)
        if marker:
            kill_marked("{}={}".format(_MARK, marker).encode())


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the parent dies (prctl(2), PR_SET_PDEATHSIG); it may have died already."""
    LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def _exec_fresh(request: Dict[str, Any], fds: List[int]) -> None:
    """Replace this process by a fresh interpreter that runs the trial, request on stdin; `fds`: result and next."""
    request_fd = os.memfd_create("vbench-request")
    os.write(request_fd, json.dumps(request).encode())
    os.lseek(request_fd, 0, os.SEEK_SET)
    os.dup2(request_fd, 0)
    for fd in fds:
        os.set_inheritable(fd, True)
    entry = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    environment = dict(os.environ, **request.get("environment", {}))
    os.execve(sys.executable, [sys.executable, "-u", entry, "trial", *map(str, fds)], environment)
