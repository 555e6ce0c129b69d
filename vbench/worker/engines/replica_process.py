"""The trial's end of one replica: starting its process in its place, the two pipes, and how it ended."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from typing import Any, Dict, List, Optional, Tuple

from ..protocol import Channel
from .devices import Place

_LOOK_S = 0.5  # between looks for a replica that ended while a child of its own still held its pipe
_EXIT_GRACE_S = 5.0  # between a closed pipe and the process's end
# Of a replica at a turn: one that writes without end must not keep the others waiting.
_READ_BYTES, _READS = 1 << 16, 64
_LONGEST_ANSWER = 1 << 30


class ReplicaError(RuntimeError):
    """What a replica raised, or how it died, under the name of the original error."""

    def __init__(self, index: int, original_type: str, message: str) -> None:
        super().__init__("replica {}: {}".format(index, message))
        self.original_type = original_type


class ReplicaProcess:
    """A running replica. Started, it waits for its first question (see `worker/replica.py`)."""

    def __init__(
        self, index: int, place: Place, engine: Tuple[str, str], how: str, siblings: List["ReplicaProcess"]
    ) -> None:
        self.index = index
        self.status: Optional[int] = None
        self._pending = bytearray()
        self._looked_at = 0  # bytes of it that hold no line's end
        self._oom_kills = _kernel_oom_kills()
        questions_read, questions_write = os.pipe()
        self.answers_fd, answers_write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent_pid = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            ours = [questions_write, self.answers_fd, *(fd for one in siblings for fd in one.descriptors())]
            _become_replica(parent_pid, place, engine, how, (questions_read, answers_write), ours)
        os.close(questions_read)
        os.close(answers_write)
        self._questions = Channel(questions_write)
        os.set_blocking(self.answers_fd, False)

    def descriptors(self) -> List[int]:
        """This end of its pipes, which another replica must not hold."""
        return [self._questions.fd, self.answers_fd]

    def say(self, question: Dict[str, Any]) -> None:
        """Send a question; a replica that is gone is told of by `answer`."""
        try:
            self._questions.send(question)
        except BrokenPipeError:
            pass

    def answer(self, op: str) -> Optional[Dict[str, Any]]:
        """The answer, None while there is none; raises ReplicaError for an error, or an end without an answer."""
        is_ended = self._has_exited()  # asked before reading, so that last words are read
        is_open = self._read()
        line = self._next_line(op)
        if line is not None:
            message = self._message(line, op)
            if message.get("event") == "error":
                raise ReplicaError(self.index, str(message.get("type")), str(message.get("message")))
            return message
        if is_ended or not is_open:
            self._wait(_EXIT_GRACE_S)
            raise self._died(op)
        return None

    def _next_line(self, op: str) -> Optional[bytes]:
        end = self._pending.find(b"\n", self._looked_at)
        if end >= 0:
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            self._looked_at = 0
            return line
        self._looked_at = len(self._pending)
        if self._looked_at > _LONGEST_ANSWER:
            raise ReplicaError(self.index, "BadAnswer", "its answer to {} has no end".format(op))
        return None

    def _message(self, line: bytes, op: str) -> Dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):  # something of the engine's wrote there
            raise ReplicaError(self.index, "BadAnswer", "its answer to {} is nonsense: {!r}".format(op, line[:50]))
        return found

    def wait_for_exit(self) -> None:
        """Wait for the end that follows `close`; raises ReplicaError if it isn't a clean one."""
        if self.status is None:
            self.status = os.waitpid(self.pid, 0)[1]
        if self.status != 0:
            raise self._died("close")

    def kill(self) -> None:
        """End it, whatever it does, and let go of its pipes; does nothing the second time."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitpid(self.pid, 0)[1]
        for fd in self.descriptors():
            if fd >= 0:
                os.close(fd)
        self._questions.fd = self.answers_fd = -1

    def _read(self) -> bool:
        """Take what is there, or some of it; False when nothing more will come."""
        for _ in range(_READS):
            try:
                chunk = os.read(self.answers_fd, _READ_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._pending += chunk
        return True

    def _has_exited(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None

    def _wait(self, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not self._has_exited() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _died(self, op: str) -> ReplicaError:
        if self.status is None:
            return ReplicaError(self.index, "ReplicaDied", "closed its pipe in {} and runs on".format(op))
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            ending = "killed by " + signal.Signals(number).name
            if number == signal.SIGKILL and _kernel_oom_kills() > self._oom_kills:
                # What the parent process says of a trial that is a single process.
                return ReplicaError(
                    self.index,
                    "MemoryError",
                    ending + " in " + op + "; the kernel's out-of-memory killer struck meanwhile",
                )
        else:
            ending = "exit code {}".format(os.WEXITSTATUS(self.status))
        return ReplicaError(self.index, "ReplicaDied", "ended in {} with {}".format(op, ending))


def answers_of(replicas: List[ReplicaProcess], op: str) -> List[Dict[str, Any]]:
    """One answer of each, in their order; the first error, or death, of any is raised."""
    answers: Dict[int, Dict[str, Any]] = {}
    while True:
        for replica in replicas:
            if replica.index not in answers:
                answer = replica.answer(op)
                if answer is not None:
                    answers[replica.index] = answer
        waiting = [replica.answers_fd for replica in replicas if replica.index not in answers]
        if not waiting:
            return [answers[replica.index] for replica in replicas]
        select.select(waiting, [], [], _LOOK_S)


def _become_replica(
    parent_pid: int, place: Place, engine: Tuple[str, str], how: str, pipes: Tuple[int, int], others: List[int]
) -> None:
    """In the child; never returns."""
    status = 1
    try:
        from ..keeper import die_with_parent

        die_with_parent(parent_pid)
        for fd in others:
            os.close(fd)
        if place.cores is not None:
            os.sched_setaffinity(0, place.cores)  # its threads and processes inherit it
        os.environ.update(place.environment)
        if how == "fresh":
            _exec_fresh(engine, pipes)
        from ..replica import serve

        status = serve(engine[0], engine[1], pipes[0], pipes[1], is_forked=True)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _exec_fresh(engine: Tuple[str, str], pipes: Tuple[int, int]) -> None:
    for fd in pipes:
        os.set_inheritable(fd, True)
    entry = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "__main__.py")
    arguments = [sys.executable, "-u", entry, "replica", *engine, *map(str, pipes)]
    os.execv(sys.executable, arguments)


def _kernel_oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck since boot; 0 if unknown."""
    try:
        with open("/proc/vmstat", encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("oom_kill ")), 0)
    except OSError:
        return 0
