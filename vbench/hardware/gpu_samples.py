"""A trial's GPUs over time: the memory source for the sampler's thread, and the file that its samples become.

It reads whole devices and splits their memory into the trial's processes and foreign ones. Where that split can't be
known (a container that doesn't see the host's pids), it is None and the device's own figure still stands.
"""

from __future__ import annotations

import csv
import gzip
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol

from vbench.hardware.gpu_device import GpuDevice
from vbench.hardware.gpu_types import GpuProcess, GpuReading
from vbench.units import MIB

GPU_SAMPLE_INTERVAL_S = 0.06  # about 15 Hz with the reading itself: an allocation's peak lasts longer than that
_UNLISTED_BYTES = 64 * MIB  # a device that took this much while its process list stayed empty isn't listing
_UNLISTED_READINGS = 3  # in a row: memory and list are two calls, and a process can end or begin between them


class HostMemory(Protocol):
    """What the process tree uses outside the GPUs (`execution.memory.ProcessTreeMemory` does)."""

    def read(self) -> tuple[int | None, int]:
        """Bytes, None when unknown, and how many processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """One GPU at one moment, as the trial's. None where it couldn't be read."""

    reading: GpuReading
    used_bytes: int | None
    """Of the whole device, less what vbench itself holds there."""
    tree_bytes: int | None
    """Of the trial's process tree."""
    foreign_bytes: int | None
    foreign_pids: tuple[int, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """All of a trial's GPUs at one moment of the monotonic clock."""

    t: float
    used_bytes: int | None
    """Of the fullest GPU: a budget is per GPU. None where one of them couldn't be read."""
    num_processes: int
    host_bytes: int | None
    gpus: tuple[GpuUse, ...]


class GpuSource:
    """A `MemorySource`. `read` never raises; it keeps what it saw in `samples`, of which the sampler knows a part.

    `tree_pids` is asked only when a pid turns up that isn't known yet, because walking /proc costs milliseconds.
    `companions` are vbench's own processes on the GPU (a balloon), and `held_bytes` is what they hold, by GPU index.
    """

    name = "NVML"

    def __init__(
        self, devices: Sequence[GpuDevice], tree_pids: Callable[[], Collection[int]], *,
        host: HostMemory | None = None, companions: Collection[int] = (), held_bytes: Mapping[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.samples: list[GpuSample] = []
        self.read_s = 0.0
        """Time spent reading so far: what sampling costs."""
        self.release_s: float | None = None
        """How long its memory is waited for after a trial; None: as usual."""
        self._reading_since: float | None = None
        self._devices = tuple(devices)
        self._tree_pids = tree_pids
        self._host = host
        self._companions = frozenset(companions)
        self._held = dict(held_bytes or {})
        self._own: set[int] = set()
        self._foreign: set[int] = set()
        self._first_used: dict[int, int] = {}
        self._unlisted: dict[int, int] = {}
        """How many readings in a row had a list that can't be ours, by GPU index; at most `_UNLISTED_READINGS`."""

    @property
    def warnings(self) -> list[str]:
        """What of the split by process couldn't be known, one line for all GPUs concerned."""
        unlisted = [one.label for one in self._devices if self._unlisted.get(one.index, 0) >= _UNLISTED_READINGS]
        if not unlisted:
            return []
        which = ", ".join(unlisted)
        return [
            f"{which}: the processes on it can't be told apart from here (a container without the host's pids?): "
            "memory is the whole device's, and foreign processes can't be named"
        ]

    @property
    def own_pids(self) -> frozenset[int]:
        """The trial's processes that were seen on the GPUs."""
        return frozenset(self._own)

    def is_stuck(self, within_s: float) -> bool:
        """Whether a reading has been going on for so long."""
        since = self._reading_since
        return since is not None and time.monotonic() - since >= within_s

    def read(self) -> tuple[int | None, int]:
        """Bytes on the fullest GPU, and the number of the trial's processes."""
        t = self._reading_since = time.monotonic()
        gpus = tuple(self._use(device.read()) for device in self._devices)
        host_bytes, num_processes = self._host.read() if self._host is not None else (None, len(self._own))
        used = [one.used_bytes for one in gpus]
        known = [one for one in used if one is not None]
        fullest = max(known) if known and len(known) == len(used) else None
        self.samples.append(
            GpuSample(t=t, used_bytes=fullest, num_processes=num_processes, host_bytes=host_bytes, gpus=gpus)
        )
        self.read_s += time.monotonic() - t
        self._reading_since = None
        return fullest, num_processes

    def _use(self, reading: GpuReading) -> GpuUse:
        used = reading.used_bytes
        if used is not None:
            used = max(0, used - self._held_by_companions(reading))
        own, foreign = self._split(reading)
        return GpuUse(
            reading=reading,
            used_bytes=used,
            tree_bytes=_sum(own),
            foreign_bytes=_sum(foreign),
            foreign_pids=None if foreign is None else tuple(one.pid for one in foreign),
        )

    def _held_by_companions(self, reading: GpuReading) -> int:
        """What they were told to hold; where they are listed, with their contexts (some 0.1 to 0.3 GiB each)."""
        listed = sum(one.used_bytes or 0 for one in reading.processes or () if one.pid in self._companions)
        return max(listed, self._held.get(reading.index, 0))

    def _split(self, reading: GpuReading) -> tuple[list[GpuProcess] | None, list[GpuProcess] | None]:
        """The trial's processes and the foreign ones; None for both where the driver's list can't be trusted."""
        if reading.processes is None or not self._is_listed(reading):
            return None, None
        pids = {one.pid for one in reading.processes}
        if pids - self._own - self._foreign - self._companions:
            tree = set(self._tree_pids())
            self._own |= pids & tree
            self._foreign |= pids - self._own - self._companions
        own = [one for one in reading.processes if one.pid in self._own]
        return own, [one for one in reading.processes if one.pid in self._foreign]

    def _is_listed(self, reading: GpuReading) -> bool:
        """Whether the pids are ours to interpret: some exist here, or the list is empty and nothing was taken."""
        if reading.used_bytes is not None:
            self._first_used.setdefault(reading.index, reading.used_bytes)
        if reading.processes:
            # pids of processes that ended just now stay known; only a list of strangers is another namespace's.
            known = self._own | self._foreign | self._companions
            is_listed = any(one.pid in known or os.path.exists(f"/proc/{one.pid}") for one in reading.processes)
        else:
            taken = (reading.used_bytes or 0) - self._first_used.get(reading.index, 0)
            is_listed = taken < _UNLISTED_BYTES
        in_a_row = self._unlisted.get(reading.index, 0)
        if in_a_row < _UNLISTED_READINGS:
            self._unlisted[reading.index] = 0 if is_listed else in_a_row + 1
        return is_listed


def _sum(processes: Sequence[GpuProcess] | None) -> int | None:
    """Bytes of them all; None where one of them couldn't be read."""
    if processes is None:
        return None
    known = [one.used_bytes for one in processes if one.used_bytes is not None]
    return sum(known) if len(known) == len(processes) else None


_COLUMNS: dict[str, Callable[[GpuUse], Any]] = {
    "used_bytes": lambda one: one.used_bytes,
    "tree_bytes": lambda one: one.tree_bytes,
    "foreign_bytes": lambda one: one.foreign_bytes,
    "utilization_percent": lambda one: one.reading.utilization_percent,
    "memory_utilization_percent": lambda one: one.reading.memory_utilization_percent,
    "power_w": lambda one: one.reading.power_w,
    "energy_j": lambda one: one.reading.energy_j,
    "sm_clock_mhz": lambda one: one.reading.sm_clock_mhz,
    "memory_clock_mhz": lambda one: one.reading.memory_clock_mhz,
    "temperature_c": lambda one: one.reading.temperature_c,
    "clock_reasons": lambda one: one.reading.clock_reasons,
    "foreign_pids": lambda one: one.foreign_pids,
    "ecc_errors": lambda one: one.reading.ecc_errors,
    "xids": lambda one: one.reading.xids,
}


def write_gpu_samples(samples: Sequence[GpuSample], path: Path, origin: float) -> None:
    """CSV (gzipped where the name ends in .gz) that `pandas.read_csv(path)` reads; a row per sample.

    `t_s` counts from `origin` on the monotonic clock; then `memory_bytes`, `num_processes`, `host_bytes`, and for each
    GPU `gpu0_used_bytes`, `gpu0_power_w`, …, by NVML's index. An empty cell wasn't readable; `-` is an empty list, and
    `|` parts a list.
    """
    indexes = [one.reading.index for one in samples[0].gpus] if samples else []
    with _open(path) as file:
        writer = csv.writer(file)
        gpu_names = [f"gpu{index}_{column}" for index in indexes for column in _COLUMNS]
        writer.writerow(["t_s", "memory_bytes", "num_processes", "host_bytes", *gpu_names])
        for one in samples:
            cells = [_cell(value_of(gpu)) for gpu in one.gpus for value_of in _COLUMNS.values()]
            writer.writerow(
                [f"{one.t - origin:.3f}", _cell(one.used_bytes), one.num_processes, _cell(one.host_bytes), *cells]
            )


def _open(path: Path) -> TextIOWrapper:
    if path.suffix == ".gz":
        return gzip.open(path, "wt", encoding="utf-8", newline="")
    return path.open("w", newline="", encoding="utf-8")


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "|".join(map(str, value)) or "-"
    return round(value, 3) if isinstance(value, float) else value
