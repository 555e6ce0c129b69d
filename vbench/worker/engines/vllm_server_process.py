"""The server's process as the trial sees it: started by fork or exec, watched until it answers, ended with its own."""

from __future__ import annotations

import errno
import json
import os
import secrets
import signal
import socket
import stat
import sys
import time
import traceback
from typing import Any, Callable, Dict, List, Optional

from .family import alive, descendants
from .http_control import Control

SERVED_NAME = "vbench"
_TERM_GRACE_S = 10.0
_LEAVE_GRACE_S = 2.0
_POLL_S = 0.05
# In the words of Python, and of the libraries whose errors end a server.
_PORT_IN_USE = ("[Errno {}]".format(errno.EADDRINUSE), "EADDRINUSE", "address already in use")


class PortInUse(RuntimeError):
    """The server ended because another process had a port that it wanted. Says what the server raised."""

    def __init__(self, original_type: str, message: str) -> None:
        super().__init__(message)
        self.original_type = original_type


class ServerProcess:
    """One running server on a free port of the loopback interface, behind a key of its own."""

    def __init__(self, model: str, engine_args: Dict[str, Any], environment: Dict[str, str], is_forked: bool) -> None:
        self.key = "vbench-key-" + secrets.token_hex(16)  # by which it is found, should an engine print it
        self._reserved = _reserve_port()
        self.port = int(self._reserved.getsockname()[1])
        self.control = Control(self.port, self.key)
        self._said_fd = os.memfd_create("vbench-server-said")  # not a pipe: a long traceback would fill one
        self._status: Optional[int] = None
        request = {
            "model": model,
            "engine_args": engine_args,
            "name": SERVED_NAME,
            "port": self.port,
            "key": self.key,
            "environment": environment,
        }
        sys.stdout.flush()
        sys.stderr.flush()
        trial_pid = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._become_server(request, trial_pid, is_forked)

    def _become_server(self, request: Dict[str, Any], trial_pid: int, is_forked: bool) -> None:
        """In the child; never returns. It stays in the trial's process group, so that it is killed with it."""
        status = 1
        try:
            from ..keeper import die_with_parent

            die_with_parent(trial_pid)
            if not is_forked:
                _exec_fresh(request, self._said_fd)
            from .vllm_server_child import serve

            self._reserved.close()
            _close_pipes()
            status = serve(request, self._said_fd, is_forked=True)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def wait_ready(self) -> None:
        """Return once the server answers; raise what it raised if it dies before. The deadline is the parent's.

        What it says meanwhile goes to the log, for who asks why it was never ready.
        """
        said = None
        while True:
            is_ours = self.control.is_ours()
            problem = self.control.health_problem() if is_ours else None
            if is_ours and problem is None:
                return
            self.raise_if_dead()
            if is_ours is False:
                problem = "what answers on port {} of 127.0.0.1 has not its key".format(self.port)
            if problem is not None and problem != said:
                said = problem
                print("vbench: the server isn't ready: " + problem, flush=True)
            time.sleep(_POLL_S)

    def raise_if_dead(self, patience_s: float = 0.0) -> None:
        """Raise the server's own error, under its own type's name, if its process has ended or ends meanwhile."""
        if not _wait(self._has_ended, patience_s):
            return
        for error in self.said("error"):
            if any(words.lower() in error["message"].lower() for words in _PORT_IN_USE):
                raise PortInUse(error["type"], error["message"])
            raise _named_error(error["type"])(error["message"])
        raise RuntimeError("the server's process ended with {}".format(_describe_status(self._status)))

    def said(self, event: str) -> List[Dict[str, Any]]:
        """The messages of one kind that the server's processes have left, in order."""
        data = os.pread(self._said_fd, os.fstat(self._said_fd).st_size, 0)
        messages = [_message(line) for line in data.splitlines()]
        return [message for message in messages if message.get("event") == event]

    def _has_ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def end(self) -> None:
        """SIGTERM, then SIGKILL: the server first, then what is left of the processes that it had started."""
        if self._said_fd < 0:
            return
        family = descendants(self.pid)
        if not self._has_ended():
            os.kill(self.pid, signal.SIGTERM)
            if not _wait(self._has_ended, _TERM_GRACE_S):
                os.kill(self.pid, signal.SIGKILL)
                _wait(self._has_ended, _TERM_GRACE_S)
        _wait(lambda: not alive(family), _LEAVE_GRACE_S)
        for pid in alive(family):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._reserved.close()
        os.close(self._said_fd)
        self._said_fd = -1


def _message(line: bytes) -> Dict[str, Any]:
    """Empty for a line that isn't whole: processes of the server may be killed as they write."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reserve_port() -> socket.socket:
    """A bound socket that never listens: no other process is given its port, and the server may still bind to it,
    because both set SO_REUSEADDR (Linux lets sockets share a port until one listens)."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def _close_pipes() -> None:
    """Close the trial's result pipe, which a fork inherits: an engine must not be able to write there."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and stat.S_ISFIFO(os.fstat(int(name)).st_mode):
                os.close(int(name))
        except OSError:
            continue  # the listing's own descriptor


def _exec_fresh(request: Dict[str, Any], said_fd: int) -> None:
    """Replace this process by a fresh interpreter that serves; the request is on its stdin."""
    request_fd = os.memfd_create("vbench-server-request")
    os.write(request_fd, json.dumps(request).encode())
    os.lseek(request_fd, 0, os.SEEK_SET)
    os.dup2(request_fd, 0)
    os.set_inheritable(said_fd, True)
    worker = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # In the environment before the interpreter starts: what is read at an import must be there already.
    environment = dict(os.environ, **request["environment"])
    command = [sys.executable, "-u", os.path.join(worker, "__main__.py"), "server", str(said_fd)]
    os.execve(sys.executable, command, environment)


def _named_error(name: str) -> Any:
    """An exception class of that name: the trial's record shall say the server's own type."""
    return type(str(name), (RuntimeError,), {})


def _describe_status(status: Optional[int]) -> str:
    if status is None:
        return "no status"
    if os.WIFSIGNALED(status):
        return "signal {}".format(os.WTERMSIG(status))
    return "exit code {}".format(os.WEXITSTATUS(status))


def _wait(is_so: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
