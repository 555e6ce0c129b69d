"""Runs one trial through the keeper: reads its pipe, samples its memory, holds its deadlines, leaves nothing behind.

What the trial said and how it ended is returned as a RawTrial; what that means is decided in `verdict`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vbench.execution import leftovers
from vbench.execution.keeper_client import Exit, Keeper, KeeperGone
from vbench.execution.memory import MemorySample, MemorySampler, MemorySource, ProcessTreeMemory, kernel_oom_kills
from vbench.execution.stopping import Stopper
from vbench.hardware.gpu_samples import GPU_SAMPLE_INTERVAL_S, GpuSample, GpuSource
from vbench.hardware.gpu_trial import wait_for_release
from vbench.records.record import Stopped
from vbench.spec.types import Deadlines

_TERM_GRACE_S = 3.0
_KILL_GRACE_S = 15.0
_LEAVE_GRACE_S = 0.5  # for what of its tree is ending already
_EXIT_GRACE_S = 10.0  # between `done` and the process's end
_MAX_MESSAGE_BYTES = 256 * 1024**2
_DEADLINE_OF = {"start": "load", "import": "load", "load": "load", "warmup": "pass", "pass": "pass", "close": "close"}
OnEvent = Callable[[dict[str, Any]], None]


@dataclass(slots=True, kw_only=True)
class RawTrial:
    """Everything seen of a trial, on the monotonic clock."""

    started_t: float
    how: Literal["fork", "cold"]
    ended_t: float = 0.0
    messages: list[dict[str, Any]] = field(default_factory=list)
    garbage: list[str] = field(default_factory=list)
    """Lines on the pipe that aren't our protocol."""
    exit: Exit | None = None
    """None when the process could not be made to end."""
    timed_out: str | None = None
    """The deadline that passed: `load`, `pass` or `close`."""
    stopped: Stopped | None = None
    """Set where the stopper's limit of a phase passed."""
    samples: list[MemorySample] = field(default_factory=list)
    memory_source: str = ""
    gpu_samples: list[GpuSample] = field(default_factory=list)
    gpu_warnings: list[str] = field(default_factory=list)
    """What of the GPUs couldn't be told, or wasn't given back."""
    closed_t: float | None = None
    """When the trial's processes had ended and its GPUs' memory was waited for; None where there was no GPU to ask."""
    leftovers: list[int] = field(default_factory=list)
    keeper_error: str | None = None
    log_start: int = 0
    """Where this attempt's output begins in the log, which an earlier one may have written to."""
    kernel_oom_kills: int = 0
    """How many processes the kernel's out-of-memory killer ended on this machine meanwhile."""

    def of(self, event: str) -> list[dict[str, Any]]:
        """The messages of one kind, in order."""
        return [message for message in self.messages if message.get("event") == event]


def run_trial(
    keeper: Keeper, *, trial_id: int, how: Literal["fork", "cold"], request: Mapping[str, Any], deadlines: Deadlines,
    log: Path, run_uid: str, on_event: OnEvent,
    source_for: Callable[[int, int | None], MemorySource] = ProcessTreeMemory,
    kept_pids: Collection[int] = (),
    stopper: Stopper | None = None,
) -> RawTrial:  # fmt: skip
    """Start the trial, watch it to its end, clean up after it. Raises only what interrupts vbench itself.

    `source_for` makes the memory source from the trial's pid and, of a forked trial, its keeper's. `kept_pids` are the
    run's own processes that outlive the trial. `stopper` may end it early.
    """
    temp_folder = leftovers.make_temp_folder(run_uid)
    environment = {**request.get("environment", {}), "TMPDIR": str(temp_folder)}
    raw = RawTrial(started_t=time.monotonic(), how=how)
    kills_before = kernel_oom_kills()
    read_fd, write_fd = os.pipe()
    try:
        with log.open("ab") as output:
            raw.log_start = output.tell()
            try:
                pid = keeper.start(trial_id, how, {**request, "environment": environment}, (write_fd, output.fileno()))
            except KeeperGone as error:
                raw.keeper_error = str(error)
                return raw
            finally:
                os.close(write_fd)
        source = source_for(pid, keeper.pid if how == "fork" else None)
        with _sampling(source, raw) as sampler:
            _Watch(keeper, trial_id, pid, read_fd, raw, deadlines, on_event, sampler, stopper).run()
            kept = [keeper.pid, *kept_pids]
            raw.leftovers = leftovers.kill_marked(run_uid, excluding=kept, grace_s=_LEAVE_GRACE_S)
            if isinstance(source, GpuSource):
                raw.closed_t = time.monotonic()
                raw.gpu_warnings += wait_for_release(source.samples)
    finally:
        os.close(read_fd)
        raw.ended_t = time.monotonic()
        raw.kernel_oom_kills = kernel_oom_kills() - kills_before
        leftovers.remove_temp_folders(run_uid)
    return raw


@contextlib.contextmanager
def _sampling(source: MemorySource, raw: RawTrial) -> Iterator[MemorySampler]:
    """A running sampler, whatever happens stopped at the end; what it saw goes to the raw trial."""
    is_gpu = isinstance(source, GpuSource)
    sampler = MemorySampler(source, GPU_SAMPLE_INTERVAL_S) if is_gpu else MemorySampler(source)
    raw.memory_source = source.name
    sampler.start()
    try:
        yield sampler
    finally:
        raw.samples = sampler.stop()
        if isinstance(source, GpuSource):
            raw.gpu_samples = source.samples
            raw.gpu_warnings += source.warnings


class _Watch:
    """One trial being watched. The result pipe and the keeper's socket are read in one loop, by deadline."""

    def __init__(
        self, keeper: Keeper, trial_id: int, pid: int, read_fd: int, raw: RawTrial, deadlines: Deadlines,
        on_event: OnEvent, sampler: MemorySampler, stopper: Stopper | None = None,
    ) -> None:  # fmt: skip
        self.keeper, self.trial_id, self.pid, self.read_fd, self.raw = keeper, trial_id, pid, read_fd, raw
        self.on_event = on_event
        self.limits = {"load": deadlines.load_s, "pass": deadlines.pass_s, "close": deadlines.close_s}
        self.deadline_name, self.deadline = "load", raw.started_t + deadlines.load_s
        self.buffer = b""
        self.is_pipe_open = True
        self.sampler = sampler
        self.stopper = stopper
        self.may_stop: tuple[float, str, int, float] | None = None  # when, in which phase, its index, its begin
        fcntl.fcntl(read_fd, fcntl.F_SETFL, os.O_NONBLOCK)

    def run(self) -> None:
        try:
            self._loop()
        except KeeperGone as error:
            self.raw.keeper_error = str(error)
            self._signal_group(signal.SIGKILL)
        except BaseException:  # the user's interrupt: the trial must not outlive it
            self.on_event = lambda _: None  # a listener that raised once mayn't cut the ending short
            with contextlib.suppress(KeeperGone):  # not instead of the interrupt
                self._end_early(signal.SIGTERM)
            raise
        finally:
            self._signal_group(signal.SIGKILL)  # whatever of its group is left; its leader is a zombie until reaped
            self.keeper.reap(self.trial_id)

    def _loop(self) -> None:
        while self.raw.exit is None:
            if time.monotonic() >= self.deadline:
                self.raw.timed_out = self.deadline_name
                self._end_early(signal.SIGTERM)
                return
            if self.may_stop is not None and time.monotonic() >= self.may_stop[0]:
                self._stop(*self.may_stop[1:])
                if self.raw.stopped is not None:
                    return
                continue
            until = self.deadline if self.may_stop is None else min(self.deadline, self.may_stop[0])
            self._turn(until - time.monotonic())
        self._read_pipe()

    def _turn(self, timeout_s: float) -> None:
        """Wait for either end and take what it says."""
        sources: list[Any] = [self.keeper, *([self.read_fd] if self.is_pipe_open else [])]
        readable, _, _ = select.select(sources, [], [], max(0.0, timeout_s))
        if self.read_fd in readable:
            self._read_pipe()
        if self.keeper in readable:
            message = self.keeper.receive(0.0)
            if message and message.get("event") == "exited" and message.get("id") == self.trial_id:
                self.sampler.poke()
                self.raw.exit = Exit(code=message["code"], signal=message["signal"])

    def _read_pipe(self) -> None:
        while self.is_pipe_open:
            try:
                chunk = os.read(self.read_fd, 1 << 16)
            except BlockingIOError:
                return
            if not chunk:
                self.is_pipe_open = False
                if self.buffer:
                    self.raw.garbage.append(self.buffer[:200].decode(errors="replace"))
                return
            self.buffer += chunk
            *lines, self.buffer = self.buffer.split(b"\n")
            for line in lines:
                self._take(line)
            if len(self.buffer) > _MAX_MESSAGE_BYTES:
                self.raw.garbage.append(f"a message of over {_MAX_MESSAGE_BYTES >> 20} MiB")
                self.is_pipe_open = False

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not _is_ours(message):
            self.raw.garbage.append(line[:200].decode(errors="replace"))
            return
        self.raw.messages.append(message)
        if message["event"] == "phase":
            self.sampler.poke()
            self._set_deadline(_DEADLINE_OF.get(str(message.get("name")), "pass"))
            self._set_limit(message)
        elif message["event"] == "pass" and self.stopper is not None:
            self.may_stop = None
            self.stopper.passed(message)
        elif message["event"] in ("done", "error"):
            self.deadline_name, self.deadline = "close", time.monotonic() + _EXIT_GRACE_S
        self.on_event(message)

    def _set_deadline(self, name: str) -> None:
        if name == "load":
            return  # one deadline from the trial's start to a ready engine
        self.deadline_name, self.deadline = name, time.monotonic() + self.limits[name]

    def _set_limit(self, message: dict[str, Any]) -> None:
        """From when on the stopper wants this phase ended."""
        self.may_stop = None
        if self.stopper is None or message["name"] not in ("probe", "warmup", "pass"):
            return
        phase, index, begin = str(message["name"]), int(message.get("index", 0)), float(message["t"])
        limit_s = self.stopper.limit_s(phase, index)
        if limit_s is not None:
            self.may_stop = (begin + limit_s, phase, index, begin)

    def _stop(self, phase: str, index: int, begin: float) -> None:
        assert self.stopper is not None
        self._read_pipe()  # the pass may have ended just now
        if self.may_stop is not None and self.may_stop[1:3] == (phase, index):
            self.may_stop = None
            self.raw.stopped = self.stopper.stopped(phase, index, time.monotonic() - begin)
            self._end_early(signal.SIGTERM)

    def _end_early(self, first: signal.Signals) -> None:
        """Ask the group to end, then make it; its last words are still read."""
        for number, grace_s in ((first, _TERM_GRACE_S), (signal.SIGKILL, _KILL_GRACE_S)):
            self._signal_group(number)
            deadline = time.monotonic() + grace_s
            while self.raw.exit is None and time.monotonic() < deadline:
                self._turn(deadline - time.monotonic())
            if self.raw.exit is not None:
                break
        self._read_pipe()

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody is left in the group; or the leader hasn't made it yet (fork, then setsid): reach it alone.
            if self.raw.exit is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)


def _is_ours(message: dict[str, Any]) -> bool:
    """Whether it has what is read before a pass's own checks: an event, a phase's name and time, an engine's facts."""
    if message.get("event") == "phase":
        return isinstance(message.get("name"), str) and isinstance(message.get("t"), (int, float))
    if message.get("event") == "engine":
        return isinstance(message.get("facts"), dict)
    return isinstance(message.get("event"), str)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
