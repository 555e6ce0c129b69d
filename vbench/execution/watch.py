"""One trial being watched: its pipe and the keeper's socket are read in one loop, by deadline."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vbench.execution.keeper_client import KeeperGone
from vbench.execution.log_limit import LogLimit
from vbench.execution.memory import MemorySampler
from vbench.execution.messages import message_of
from vbench.execution.stopping import Stopper
from vbench.execution.trial_process import TrialProcess
from vbench.records.redaction import clean
from vbench.spec.types import Deadlines

if TYPE_CHECKING:
    from vbench.execution.runner import OnEvent, RawTrial

_EXIT_GRACE_S = 10.0  # between `done` and the process's end
_MESSAGE_S = 0.05  # before looking again for the rest of a message
_STOOD_STILL_S = 5.0  # beyond what was waited for: then it was vbench that didn't run
_TELL_MEMORY_S = 0.5
_CHUNK_BYTES = 1 << 16
_TURN_BYTES = 1 << 20  # so much of the pipe at once, then deadlines are looked at again
_MAX_MESSAGE_BYTES = 256 * 1024**2
_MAX_BYTES = 2 * 1024**3  # of all messages that are kept
_SHOWN_BYTES = 1000  # of a line that isn't ours: more than is kept, so that no secret is cut before it is hidden
_MAX_GARBAGE = 20  # lines: of more than that, nothing sound will come any more
_MAX_MESSAGES = 100_000
_MAX_TOLD, _MAX_TOLD_PER_S = 1000, 20  # `tokens` come twice a second
_DEADLINE_OF = {"start": "load", "import": "load", "load": "load", "warmup": "pass", "pass": "pass", "close": "close"}


class Watch:
    """Reads what comes, holds the deadlines and the stopper's limits, and sees to it that nothing is left running."""

    def __init__(
        self, process: TrialProcess, read_fd: int, raw: RawTrial, deadlines: Deadlines, on_event: OnEvent,
        sampler: MemorySampler, stopper: Stopper | None = None, logs: Sequence[LogLimit] = (),
    ) -> None:  # fmt: skip
        self.process, self.keeper, self.read_fd, self.raw = process, process.keeper, read_fd, raw
        self.on_event = on_event
        self.limits = {"load": deadlines.load_s, "pass": deadlines.pass_s, "close": deadlines.close_s}
        self.deadline_name, self.deadline = "load", raw.started_t + deadlines.load_s
        self.buffer = bytearray()
        self.is_pipe_open = True
        self.is_kept = False
        self.sampler = sampler
        self.stopper, self.logs = stopper, logs
        self.num_bytes = self.num_told = 0
        self.may_stop: tuple[float, str, int, float] | None = None  # when, in which phase, its index, its begin
        self.next_memory_t = raw.started_t + _TELL_MEMORY_S
        fcntl.fcntl(read_fd, fcntl.F_SETFL, os.O_NONBLOCK)

    def run(self) -> None:
        """Return when the process has ended, or waits for another trial (`raw.is_kept`)."""
        try:
            self._loop()
            self.raw.is_kept = self.is_kept and self.process.exit is None
        except KeeperGone as error:
            self.raw.keeper_error = str(error)
            self.process.signal_group(signal.SIGKILL)
        except BaseException:  # the user's interrupt: the trial must not outlive it
            self.on_event = lambda _: None  # a listener that raised once mayn't cut the ending short
            with contextlib.suppress(KeeperGone):  # not instead of the interrupt
                self._end_early(signal.SIGTERM)
            raise
        finally:
            self.raw.exit = self.process.exit
            if not self.raw.is_kept:
                self.process.forget()

    def _loop(self) -> None:
        while self.process.exit is None and not self.is_kept:
            now = time.monotonic()
            if self.raw.flood is not None:
                return self._end_early(signal.SIGTERM)
            if now >= self.deadline:
                if self._is_late():
                    self.raw.timed_out = self.deadline_name
                    return self._end_early(signal.SIGTERM)
                continue
            if self.may_stop is not None and now >= self.may_stop[0]:
                self._stop(*self.may_stop[1:])
                if self.raw.stopped is not None:
                    return None
                continue
            if now >= self.next_memory_t:
                self._tell_memory(now)
            until = min(self.deadline, self.next_memory_t, *([self.may_stop[0]] if self.may_stop else []))
            self._turn(until - now)
            self._make_up_for(time.monotonic() - max(until, now))
        self._read_pipe(fcntl.fcntl(self.read_fd, fcntl.F_GETPIPE_SZ))  # no more than that was left by who ended
        return None

    def _is_late(self) -> bool:
        """Whether the deadline has passed, once what came before it has been read."""
        self._turn(0.0)
        is_running = self.process.exit is None and not self.is_kept and self.raw.flood is None
        return is_running and time.monotonic() >= self.deadline

    def _make_up_for(self, beyond_s: float) -> None:
        """Time in which nothing of vbench ran counts for no limit: the machine may have been paused, the trial too."""
        if beyond_s < _STOOD_STILL_S:
            return
        self.raw.stood_still_s += beyond_s
        self.deadline += beyond_s
        if self.may_stop is not None:
            self.may_stop = (self.may_stop[0] + beyond_s, *self.may_stop[1:])

    def _tell_memory(self, now: float) -> None:
        """Pass on what the sampler saw last, for whoever looks on; nothing is read for it, and nothing stored."""
        self.next_memory_t = now + _TELL_MEMORY_S
        used_bytes = self.sampler.samples[-1].used_bytes if self.sampler.samples else None
        if used_bytes is not None:
            self.on_event({"event": "memory", "used_bytes": used_bytes, "peak_bytes": self.sampler.peak_bytes})

    def _turn(self, timeout_s: float) -> None:
        """Wait for either end and take what it says, some of it. Returns early where a log may have to be cut."""
        now = time.monotonic()
        for log in self.logs:
            log.hold(now)
        timeout_s = min([timeout_s, *(log.next_look_t - now for log in self.logs)])
        sources: list[Any] = [self.keeper, *([self.read_fd] if self.is_pipe_open else [])]
        readable, _, _ = select.select(sources, [], [], max(0.0, timeout_s))
        if self.read_fd in readable:
            self._read_pipe(_TURN_BYTES)
        if self.keeper in readable:
            self.process.hear()
            if self.process.exit is not None:
                self.sampler.poke()

    def _read_pipe(self, most: int) -> None:
        while self.is_pipe_open and most > 0:
            try:
                chunk = os.read(self.read_fd, _CHUNK_BYTES)
            except BlockingIOError:
                return
            most -= len(chunk)
            self.num_bytes += len(chunk)
            if not chunk:
                self.is_pipe_open = False
                if self.buffer:
                    self._refuse(bytes(self.buffer[:_SHOWN_BYTES]))
                return
            searched = len(self.buffer)  # a pass's message may have many megabytes: no byte of it is looked at twice
            self.buffer += chunk
            if self.buffer.find(b"\n", searched) >= 0:
                self._take_lines()
            if len(self.buffer) > _MAX_MESSAGE_BYTES:
                self._refuse(bytes(self.buffer[:_SHOWN_BYTES]))
                self._flooded(f"a line of over {_MAX_MESSAGE_BYTES >> 20} MiB came down the result pipe")

    def _take_lines(self) -> None:
        """Take all whole lines, one by one: a flood's chunk has many thousands. Each is out of the buffer before it is
        taken, so that an interrupt in between doesn't have it taken twice."""
        while self.is_pipe_open and (end := self.buffer.find(b"\n")) >= 0:
            with memoryview(self.buffer) as view:
                line = bytes(view[:end])
            del self.buffer[: end + 1]
            self._take(line)

    def _refuse(self, line: bytes) -> None:
        """Keep the beginning of what isn't ours; too much of that ends the trial."""
        self.raw.garbage.append(clean(line[:_SHOWN_BYTES].decode(errors="replace"))[:200])
        if len(self.raw.garbage) >= _MAX_GARBAGE:
            self._flooded(f"{_MAX_GARBAGE} lines on the result pipe aren't ours")

    def _flooded(self, why: str) -> None:
        """Read no more: whoever writes there has to wait, and is ended."""
        self.raw.flood = why
        self.is_pipe_open = False
        self.buffer = bytearray()

    def _take(self, line: bytes) -> None:
        message = message_of(line)
        if message is None:
            self._refuse(line)
            return
        if message["event"] == "tokens":  # for whoever looks on: nothing is made of it
            self.num_told += 1
            if self.num_told > _MAX_TOLD + _MAX_TOLD_PER_S * (time.monotonic() - self.raw.started_t):
                self._flooded("progress is told without end on the result pipe")
            self.on_event(message)
            return
        self.raw.messages.append(message)
        if len(self.raw.messages) > _MAX_MESSAGES or self.num_bytes > _MAX_BYTES:
            self._flooded(f"{len(self.raw.messages):,} messages, {self.num_bytes >> 20:,} MiB, on the result pipe")
            return
        if message["event"] == "phase":
            self.sampler.poke()
            self._set_deadline(_DEADLINE_OF.get(message["name"], "pass"))
            self._set_limit(message)
        elif message["event"] == "pass" and self.stopper is not None:
            self.may_stop = None
            self.stopper.passed(message)
        elif message["event"] in ("done", "error"):
            self.may_stop = None
            self.is_kept = message["event"] == "done" and message.get("is_kept") is True
            self.deadline_name, self.deadline = "close", time.monotonic() + _EXIT_GRACE_S
        self.on_event(message)

    def _set_deadline(self, name: str) -> None:
        if name == "load":
            return  # one deadline from the trial's start to a ready engine
        self.deadline_name, self.deadline = name, time.monotonic() + self.limits[name]

    def _set_limit(self, message: dict[str, Any]) -> None:
        """From when on the stopper wants this phase ended."""
        self.may_stop = None
        if self.stopper is None or message["name"] not in ("load", "probe", "warmup", "pass"):
            return
        phase, index, begin = str(message["name"]), int(message.get("index", 0)), float(message["t"])
        begin = min(max(begin, self.raw.started_t), time.monotonic())  # whatever it says
        limit_s = self.stopper.limit_s(phase, index)
        if limit_s is not None:
            self.may_stop = (begin + limit_s, phase, index, begin)

    def _stop(self, phase: str, index: int, begin: float) -> None:
        """End the trial for its stopper, unless the phase ended just now: what has come of it is read first."""
        self._turn(0.0)
        if self.process.exit is not None or self.may_stop is None or self.may_stop[1:3] != (phase, index):
            return
        if self.buffer:  # a message is on its way, and a pass's says that it has ended
            self.may_stop = (time.monotonic() + _MESSAGE_S, phase, index, begin)
            return
        assert self.stopper is not None
        self.may_stop = None
        self.raw.stopped = self.stopper.stopped(phase, index, time.monotonic() - begin)
        self._end_early(signal.SIGTERM)

    def _end_early(self, first: signal.Signals) -> None:
        """Ask the group to end, then make it; its last words are still read."""
        self.stopper = None
        self.process.end(first, self._turn)
        self._read_pipe(fcntl.fcntl(self.read_fd, fcntl.F_GETPIPE_SZ))
        self.is_kept = False
