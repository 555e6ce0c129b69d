"""Runs one trial through the keeper: reads its pipe, samples its memory, holds its deadlines, leaves nothing behind.

What the trial said and how it ended is returned as a RawTrial; what that means is decided in `verdict`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vbench.execution import leftovers
from vbench.execution.host_load import HostCounters, HostReading
from vbench.execution.keeper_client import Exit, Keeper, KeeperGone
from vbench.execution.live_engine import LEAVE_GRACE_S, LiveEngine, live_engine, wait_for_memory
from vbench.execution.log_limit import LogLimit
from vbench.execution.memory import (
    SAMPLE_INTERVAL_S,
    MemorySample,
    MemorySampler,
    MemorySource,
    ProcessTreeMemory,
)
from vbench.execution.oom_kills import kernel_oom_kills
from vbench.execution.shortages import machine_error
from vbench.execution.stopping import Stopper
from vbench.execution.trial_process import TrialProcess
from vbench.execution.watch import Watch
from vbench.hardware.gpu_samples import GPU_SAMPLE_INTERVAL_S, GpuSample, GpuSource
from vbench.records.record import Stopped
from vbench.spec.types import Deadlines

OnEvent = Callable[[dict[str, Any]], None]


@dataclass(slots=True, kw_only=True)
class RawTrial:
    """Everything seen of a trial, on the monotonic clock."""

    started_t: float
    how: Literal["fork", "cold", "reused"]
    ended_t: float = 0.0
    messages: list[dict[str, Any]] = field(default_factory=list)
    garbage: list[str] = field(default_factory=list)
    """The beginnings of lines on the pipe that aren't our protocol."""
    flood: str | None = None
    """Why the pipe was read no more, and the trial ended."""
    stood_still_s: float = 0.0
    """Seconds in which vbench itself didn't run, beyond what it waited for."""
    log_left_out: int = 0
    """Bytes of output that were left out of the log."""
    exit: Exit | None = None
    """None when the process could not be made to end, or is kept."""
    is_kept: bool = False
    """Whether it waits for another trial of its engine."""
    engine: LiveEngine | None = None
    """What is kept, and what served a reused one, kept or not."""
    timed_out: str | None = None
    """The deadline that passed: `load`, `pass` or `close`."""
    stopped: Stopped | None = None
    """Set where the stopper's limit of a phase passed."""
    samples: list[MemorySample] = field(default_factory=list)
    memory_source: str = ""
    host_readings: list[HostReading] = field(default_factory=list)
    host: HostCounters | None = None
    """What read them."""
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
    """How many processes like the trial's the kernel's out-of-memory killer ended meanwhile."""

    @property
    def reused(self) -> LiveEngine | None:
        """The earlier trial's engine that served this one."""
        return self.engine if self.how == "reused" else None

    def of(self, event: str) -> list[dict[str, Any]]:
        """The messages of one kind, in order."""
        return [message for message in self.messages if message.get("event") == event]


def run_trial(  # noqa: PLR0913 - all but the first by name
    keeper: Keeper, *, trial_id: int, how: Literal["fork", "cold"], request: Mapping[str, Any], deadlines: Deadlines,
    log: Path, run_uid: str, on_event: OnEvent,
    source_for: Callable[[int, int | None], MemorySource] = ProcessTreeMemory,
    kept_pids: Collection[int] = (),
    stopper: Stopper | None = None,
    engine: LiveEngine | None = None,
) -> RawTrial:  # fmt: skip
    """Start the trial, watch it to its end, clean up after it. Raises only what interrupts vbench itself.

    `source_for` makes the memory source from the trial's pid and, of a forked trial, its keeper's. `kept_pids` are the
    run's own processes that outlive the trial. `stopper` may end it early. With `engine` it is served by that, whatever
    `keeper` and `how`. Where the request has `keep_engine`, an engine whose trial ended well is kept (`raw.is_kept`).
    """
    raw = RawTrial(started_t=time.monotonic(), how=how if engine is None else "reused", engine=engine)
    kills_before = kernel_oom_kills()
    process: TrialProcess | None = None
    read_fd, write_fd = os.pipe()
    try:
        with log.open("ab") as output:
            raw.log_start = output.tell()
            fds = (write_fd, output.fileno())
            try:
                process = engine.process if engine else TrialProcess(keeper, trial_id, how, request, fds, run_uid)
                if engine is not None:
                    process.go_on(request, fds)
            except KeeperGone as error:
                raw.keeper_error = str(error)
                return raw
            finally:
                os.close(write_fd)
        with _sampled(process, source_for, raw) as (source, sampler):
            logs = _log_limits(log, raw)
            try:
                Watch(process, read_fd, raw, deadlines, on_event, sampler, stopper, logs).run()
            finally:
                raw.log_left_out = sum(one.hold_at_end() for one in logs)
            _settle(raw, process, source, log, run_uid, [process.keeper.pid, *kept_pids])
    finally:
        os.close(read_fd)
        raw.ended_t = time.monotonic()
        raw.kernel_oom_kills = kernel_oom_kills() - kills_before
        if process is not None and not raw.is_kept:
            process.remove_temp_folder()
    return raw


def _log_limits(log: Path, raw: RawTrial) -> list[LogLimit]:
    """The trial's, and of a reused engine that which the engine's own processes write to."""
    limits = [LogLimit(log, raw.log_start)]
    if raw.reused is not None and raw.reused.log != log:
        limits.append(LogLimit(raw.reused.log, raw.reused.log_end))
    return limits


def _settle(
    raw: RawTrial, process: TrialProcess, source: MemorySource, log: Path, run_uid: str, kept_pids: Collection[int]
) -> None:
    """After the end: keep the engine, or let nothing stay of it."""
    if raw.engine is not None:
        raw.engine.move_log(log)
    if raw.is_kept:
        raw.engine = raw.engine or live_engine(process, log, raw.log_start, source)
        return
    raw.leftovers = leftovers.kill_orphans(process.keeper, run_uid, excluding=kept_pids, grace_s=LEAVE_GRACE_S)
    if isinstance(source, GpuSource):
        raw.closed_t = time.monotonic()
        before = None if raw.engine is None else raw.engine.gpus_before
        raw.gpu_warnings += wait_for_memory(source, before)


@contextlib.contextmanager
def _sampled(
    process: TrialProcess, source_for: Callable[[int, int | None], MemorySource], raw: RawTrial
) -> Iterator[tuple[MemorySource, MemorySampler]]:
    """The source and a running sampler, whatever happens stopped at the end; what it saw goes to the raw trial."""
    source = source_for(process.pid, process.keeper.pid if process.how == "fork" else None)
    is_gpu = isinstance(source, GpuSource)
    raw.host = HostCounters(process.keeper.pid)
    sampler = MemorySampler(source, GPU_SAMPLE_INTERVAL_S if is_gpu else SAMPLE_INTERVAL_S, raw.host)
    raw.memory_source = source.name
    try:
        sampler.start()
    except RuntimeError as error:  # no room for another thread; the keeper ends the trial as the sweep ends
        raise machine_error(errno.EAGAIN, "the trial's memory can't be read") from error
    try:
        yield source, sampler
    finally:
        raw.samples, raw.host_readings = sampler.stop(), sampler.host_readings
        if isinstance(source, GpuSource):
            raw.gpu_samples = source.samples
            raw.gpu_warnings += source.warnings
