"""The keeper: a process in the engine's interpreter that starts every trial of a sweep and lets none outlive vbench.

It may have imported the engine already and fork for each trial (`fork`: about a second to a ready vLLM instead of ten
and more), or fork and exec a fresh interpreter (`cold`). Either way a trial runs in a session of its own with its
output in its log and its answers on its pipe; descriptors for both and for its request come with the start message,
and another where its engine is to be kept for further trials (`protocol`), of which the keeper knows nothing.

One message a packet on a SOCK_SEQPACKET socket pair:
parent → keeper   start {id, how, temp_folder} + descriptors [result, log, request(, next)] · reap {id} · stop {}
keeper → parent   ready {preloaded, platform, fork_blocker, seconds, adopts} · started {id, pid} ·
                  refused {id, errno} (the machine has no room for another process) · exited {id, code, signal}

An exited trial stays a zombie until `reap`, so the parent can kill what is left of its process group without any chance
of meeting a recycled number. What a trial leaves running, whatever session it moved to, becomes the keeper's child
(PR_SET_CHILD_SUBREAPER; `adopts` where the kernel can), so it is found below the keeper and nowhere else. When the
parent's end closes, however it died, everything is killed, and what is left in files goes too: shared memory
(`shared_memory`), which goes after each trial, and the temporary files of the trials and the keeper's own.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List, Optional, Tuple

from .adopting import adopt_orphans, children, kill, kill_marked
from .adopting import die_with_parent as die_with_parent  # noqa: PLC0414 -- engines that have processes of their own
from .engines import load_engine
from .guard import Guard
from .printed import flush
from .protocol import receive
from .shared_memory import SharedMemory, is_temp_folder, own_temp_folder
from .starting import become_trial, fork

_MARK = "VBENCH_KEEPER"
_KILL_S = 2.0


def serve(control_fd: int, engine_name: str, preload: bool) -> int:
    """Serve the parent until it says stop or is gone."""
    control = socket.socket(fileno=control_fd)
    os.set_inheritable(control_fd, False)
    keeper = _Keeper(control)
    adopts = adopt_orphans()
    with Guard(control, _mark()):
        ready = _ready(engine_name, preload)
    keeper.say(dict(ready, adopts=adopts))
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


def _mark() -> bytes:
    """What everything that this keeper starts has in its environment; empty where it was given none."""
    value = os.environ.get(_MARK)
    return "{}={}".format(_MARK, value).encode() if value else b""


class _Keeper:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.pids: Dict[int, int] = {}  # trial id → pid, until reaped
        self.exited: Dict[int, bool] = {}
        self.temp_folders: Dict[int, str] = {}
        self.memory = SharedMemory()
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
        control_fd = self.control.fileno()
        while True:
            told = [control_fd, self.wakeup_read, *([self.memory.fd] if self.memory.is_due() else [])]
            readable, _, _ = select.select(told, [], [], self.memory.pause_s(is_idle=not self.pids))
            self.memory.look()
            if self.memory.is_left():
                self._remove_memory()
            if self.wakeup_read in readable:
                os.read(self.wakeup_read, 4096)
                self._reap_adopted()
                self._remove_memory()
            self._report_exits()
            if control_fd in readable:
                message, fds = receive(self.control)
                if message is None:
                    return
                if message["op"] == "stop":
                    self.temp_folders.clear()  # the parent removes them
                    return
                if message["op"] == "start":
                    self._start(message, fds)
                elif message["op"] == "reap":
                    self._reap(message["id"])

    def _start(self, message: Dict[str, Any], fds: List[int]) -> None:
        flush()
        keeper_pid = os.getpid()
        try:
            if not fds:
                raise OSError(errno.EMFILE, "")
            pid = fork()
            if pid == 0:
                self.memory.close()
                become_trial(
                    message["how"], fds, keeper_pid, (self.control.fileno(), self.wakeup_read, self.wakeup_write)
                )
        except OSError as error:
            self.say({"event": "refused", "id": message["id"], "errno": error.errno})
            return
        finally:
            for fd in fds:
                os.close(fd)
        self.pids[message["id"]] = pid
        if is_temp_folder(message.get("temp_folder") or ""):
            self.temp_folders[message["id"]] = message["temp_folder"]
        self.say({"event": "started", "id": message["id"], "pid": pid})

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
        self.temp_folders.pop(trial_id, None)
        if pid is not None:
            # One that not even SIGKILL ends (a stuck driver) isn't waited for: other trials are to start.
            os.waitpid(pid, os.WNOHANG)
        self._remove_memory()

    def _remove_memory(self) -> None:
        """What an ended trial left: one that runs may still want what nobody has mapped just now."""
        if not self.pids:
            self.memory.remove()

    def kill_all(self) -> None:
        """Kill every process group that is left, then whatever we started that moved to a session of its own: what is
        below us comes to us as its parents end, and what can't come has our mark. Then remove what they left."""
        self.memory.look(is_last=True)
        for pid in self.pids.values():
            try:
                os.killpg(pid, signal.SIGKILL)
            except OSError:
                pass
        self.pids.clear()
        deadline = time.monotonic() + _KILL_S
        while time.monotonic() < deadline and children():
            for pid in children():
                kill(pid)  # a zombie at worst: nobody but us reaps it
            self._reap_adopted()
            time.sleep(0.001)
        if _mark():
            kill_marked(_mark())
        self.memory.remove(is_end=True)
        for folder in [*self.temp_folders.values(), own_temp_folder()]:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
