"""Memory over time: a source that can be asked for bytes, and the thread that asks.

The interface is the one that NVML fills for GPUs; here is the source for a CPU engine, the trial's process tree. PSS
(proportional set size, proc(5) `smaps_rollup`) counts a page shared by n processes as 1/n in each, so what a forked
trial shares with its keeper isn't counted twice.
"""

from __future__ import annotations

import csv
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vbench.execution.host_load import HostCounters, HostReading
from vbench.execution.process_tree import descendants

SAMPLE_INTERVAL_S = 0.1
STOP_S = 10.0  # for a sampler's last reading
# Walking page tables slows the walked process down (2 % of a core cost forked trials 3 % of their throughput here), so
# it is rationed: this share of one core, and sooner only while files are being mapped, as in loading.
_MAX_DUTY = 0.004
_MAX_HOST_DUTY = 0.001  # of one core: a reading takes about a millisecond where the engine has 60 threads
_MIN_WALK_INTERVAL_S = 0.25
_FILE_GROWTH = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySample:
    """Bytes in use at one moment of the monotonic clock; None where the source couldn't be read."""

    t: float
    used_bytes: int | None
    num_processes: int


class MemorySource(Protocol):
    """Something that knows how much memory a trial uses now."""

    name: str

    def read(self) -> tuple[int | None, int]:
        """Bytes used (None when unknown) and the number of processes they belong to. Never raises."""


class ProcessTreeMemory:
    """PSS of a trial's process and all its descendants.

    A forked trial shares the imported engine's pages with its keeper, and PSS counts only half of each. `keeper_pid`
    adds the other half (the keeper's PSS less what is private to it), so that a forked trial reads like the same one
    in a process of its own.

    Reading PSS walks every page table (tens of milliseconds for a loaded engine), so it is done seldom: again when more
    files have been mapped, else at a small duty. In between, the change of anonymous resident memory since then (statm,
    a tenth of a millisecond) is added to it, and what is private to processes that started since (an engine's ranks).
    """

    name = "process tree PSS"

    def __init__(self, pid: int, keeper_pid: int | None = None) -> None:
        self._root = pid
        self._keeper_pid = keeper_pid
        self._pids: list[int] = [pid]
        self._pss_bytes: int | None = None
        self._anonymous_at_walk = 0
        self._mapped_at_walk = 0
        self._next_walk = float("-inf")
        self._next_look = float("-inf")

    def read(self) -> tuple[int | None, int]:
        now = time.monotonic()
        resident = self._resident()
        mapped = sum(files for _, files in resident)
        is_loading = mapped > self._mapped_at_walk * (1 + _FILE_GROWTH)
        if now >= self._next_walk or (is_loading and now >= self._next_look):
            self._walk()
            self._next_walk = _rationed(now)
            self._next_look = time.monotonic() + _MIN_WALK_INTERVAL_S
            resident = self._resident()
        elif now >= self._next_look:
            self._add_new_processes()
            self._next_look = _rationed(now)  # each thread of the trial has a file to be read: an engine has hundreds
            resident = self._resident()
        if self._pss_bytes is None or not resident:
            return None, len(resident)
        anonymous = sum(anonymous for anonymous, _ in resident)
        return max(0, self._pss_bytes + anonymous - self._anonymous_at_walk), len(resident)

    def _resident(self) -> list[tuple[int, int]]:
        return [sizes for pid in self._pids if (sizes := _read_statm(pid)) is not None]

    def _walk(self) -> None:
        self._pids = [self._root, *descendants(self._root)]
        resident = self._resident()
        readings = [memory[0] for pid in self._pids if (memory := _read_rollup(pid)) is not None]
        keeper = _read_rollup(self._keeper_pid) if self._keeper_pid is not None else None
        shared_bytes = keeper[0] - keeper[1] if keeper is not None else 0
        self._pss_bytes = sum(readings) + shared_bytes if readings else None
        self._anonymous_at_walk = sum(anonymous for anonymous, _ in resident)
        self._mapped_at_walk = sum(files for _, files in resident)

    def _add_new_processes(self) -> None:
        for pid in descendants(self._root):
            if pid in self._pids or self._pss_bytes is None:
                continue
            memory, sizes = _read_rollup(pid), _read_statm(pid)
            if memory is not None and sizes is not None:
                self._pids.append(pid)
                self._pss_bytes += memory[1]
                self._anonymous_at_walk += sizes[0]
                self._mapped_at_walk += sizes[1]


class UnmeasuredMemory:
    """For engines whose memory isn't on the host: nothing is read, and nothing is claimed."""

    name = ""

    def read(self) -> tuple[int | None, int]:
        return None, 0


def _rationed(start: float) -> float:
    """When something that began at `start` and has just ended may be done again."""
    end = time.monotonic()
    return end + max(_MIN_WALK_INTERVAL_S, (end - start) / _MAX_DUTY)


def _read_statm(pid: int) -> tuple[int, int] | None:
    """Resident bytes of a process: anonymous, and of mapped files; None when it ended, or is a zombie."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return None
    return ((resident - shared) * _PAGE_BYTES, shared * _PAGE_BYTES) if resident else None


def _read_rollup(pid: int) -> tuple[int, int] | None:
    """A process's PSS and its private bytes; None when it ended, or is a zombie without mappings."""
    pss_kib, private_kib, is_mapped = 0, 0, False
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    pss_kib, is_mapped = int(line.split()[1]), True
                elif line.startswith((b"Private_Clean:", b"Private_Dirty:")):
                    private_kib += int(line.split()[1])
    except OSError:
        return None
    return (pss_kib * 1024, private_kib * 1024) if is_mapped else None


def kernel_oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck since boot (`oom_kill` of /proc/vmstat); 0 if unknown."""
    with suppress(OSError):
        lines = Path("/proc/vmstat").read_text().splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    return 0


class MemorySampler:
    """A thread that reads a source until stopped; `poke` asks for a sample now (at the edge of a phase). With `host` it
    reads the machine's counters too: then, at its start and at its end."""

    def __init__(
        self, source: MemorySource, interval_s: float = SAMPLE_INTERVAL_S, host: HostCounters | None = None
    ) -> None:
        self.source, self.host = source, host
        self.samples: list[MemorySample] = []
        self.peak_bytes: int | None = None
        """The largest reading so far."""
        self.host_readings: list[HostReading] = []
        self._next_host = float("-inf")
        self._host_costs_s: list[float] = []
        self._interval_s = interval_s
        self._wake = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="memory-sampler", daemon=True)

    def start(self) -> None:
        """Begin sampling."""
        self._thread.start()

    def poke(self) -> None:
        """Take a sample as soon as possible."""
        self._wake.set()

    def stop(self) -> list[MemorySample]:
        """End the thread and return everything it saw. One whose driver no longer answers is left behind."""
        self._is_stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        return list(self.samples)

    def _run(self) -> None:
        self._read_host()
        is_due = False
        while not self._is_stopped:
            start = time.monotonic()
            used_bytes, num_processes = self._read()
            self.samples.append(MemorySample(t=start, used_bytes=used_bytes, num_processes=num_processes))
            if used_bytes is not None:
                self.peak_bytes = max(used_bytes, self.peak_bytes or 0)
            if self._wake.wait(self._interval_s):
                self._wake.clear()
                is_due = True
            if is_due and time.monotonic() >= self._next_host:
                is_due = False
                self._read_host()
        self._read_host()

    def _read(self) -> tuple[int | None, int]:
        try:
            return self.source.read()
        except OSError:  # no file can be opened (EMFILE), say: this reading is lost, not all that follow
            return None, 0

    def _read_host(self) -> None:
        if self.host is not None:
            before_s = time.thread_time()
            with suppress(OSError):
                self.host_readings.append(self.host.read())
            # The least of the last few: a page fault or two in one of them mustn't keep the next away for long.
            self._host_costs_s = [*self._host_costs_s[-2:], time.thread_time() - before_s]
            self._next_host = time.monotonic() + min(self._host_costs_s) / _MAX_HOST_DUTY


def peak_bytes(samples: Sequence[MemorySample], start: float, end: float) -> int | None:
    """The largest reading within [start, end] of the monotonic clock; None when there was none."""
    within = (one.used_bytes for one in samples if start <= one.t <= end)
    return max((used for used in within if used is not None), default=None)


def write_samples(samples: Sequence[MemorySample], path: Path, origin: float) -> None:
    """CSV with `t_s` (from the trial's start), `memory_bytes`, `num_processes`: one line of pandas reads it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["t_s", "memory_bytes", "num_processes"])
        for one in samples:
            writer.writerow(
                [f"{one.t - origin:.3f}", "" if one.used_bytes is None else one.used_bytes, one.num_processes]
            )
