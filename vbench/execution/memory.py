"""Memory over time: a source that can be asked for bytes, and the thread that asks.

The interface is the one that NVML fills for GPUs; here is the source for a CPU engine, the trial's process tree. PSS
(proportional set size, proc(5) `smaps_rollup`) counts a page shared by n processes as 1/n in each, so what a forked
trial shares with its keeper isn't counted twice.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

SAMPLE_INTERVAL_S = 0.1
_MAX_DUTY = 0.02  # of one core: a slow reading makes samples rarer, not the trial slower
_TREE_REFRESH_S = 0.5


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
    """PSS of a process and all its descendants."""

    name = "process tree PSS"

    def __init__(self, pid: int) -> None:
        self._root = pid
        self._pids: list[int] = [pid]
        self._refreshed = float("-inf")

    def read(self) -> tuple[int | None, int]:
        now = time.monotonic()
        if now - self._refreshed >= _TREE_REFRESH_S:
            self._pids = [self._root, *_descendants(self._root)]
            self._refreshed = now
        readings = [pss for pid in self._pids if (pss := _pss_bytes(pid)) is not None]
        return (sum(readings) if readings else None), len(readings)


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _pss_bytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # ended meanwhile
        return None
    return None  # a zombie has no mappings


def kernel_oom_kills() -> int:
    """How often the kernel's out-of-memory killer has struck since boot (`oom_kill` of /proc/vmstat); 0 if unknown."""
    try:
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class MemorySampler:
    """A thread that reads a source until stopped; `poke` asks for a sample now (at the edge of a phase)."""

    def __init__(self, source: MemorySource, interval_s: float = SAMPLE_INTERVAL_S) -> None:
        self.source = source
        self.samples: list[MemorySample] = []
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
        """End the thread and return everything it saw."""
        self._is_stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        return self.samples

    def _run(self) -> None:
        while not self._is_stopped:
            start = time.monotonic()
            used_bytes, num_processes = self.source.read()
            cost_s = time.monotonic() - start
            self.samples.append(MemorySample(t=start, used_bytes=used_bytes, num_processes=num_processes))
            self._wake.wait(max(self._interval_s, cost_s / _MAX_DUTY))
            self._wake.clear()


def peak_bytes(samples: Sequence[MemorySample], start: float, end: float) -> int | None:
    """The largest reading within [start, end] of the monotonic clock; None when there was none."""
    return max(
        (one.used_bytes for one in samples if start <= one.t <= end and one.used_bytes is not None), default=None
    )


def write_samples(samples: Sequence[MemorySample], path: Path, origin: float) -> None:
    """CSV with `t_s` (from the trial's start), `memory_bytes`, `num_processes`: one line of pandas reads it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["t_s", "memory_bytes", "num_processes"])
        for one in samples:
            memory = "" if one.used_bytes is None else one.used_bytes
            writer.writerow([f"{one.t - origin:.3f}", memory, one.num_processes])
