"""What else the machine did while a trial ran: other processes' CPU time, stolen and throttled time, load, pressure.

Counters since boot are read at the edges of phases; what a phase took is the difference between its two edges. One
reading opens a handful of files of /proc, whatever else runs (docs/measuring.md has its cost). What a machine or a
container doesn't show is None, never 0.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vbench.execution.keeper_client import running_keepers
from vbench.execution.proc_files import (
    TICK_S,
    cpu_times,
    first_number,
    pressure_s,
    process_s,
    read_link,
    read_text,
    throttling,
    throttling_file,
)
from vbench.execution.process_tree import descendants

_EDGE_S = 0.5  # the last reading comes a little before a trial's end
_MIN_S = 0.05  # of a shorter phase the counters' ticks of 10 ms say nothing
_SKEW = 0.05  # cores by which the trial's own count may pass that of all processes, as the kernel counts them apart
_MOST_CLOCKS = 4  # a clock may take a kernel milliseconds to tell
_FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of linux/proc_ns.h: the machine's own, no container's


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """Counters at one moment `t` of the monotonic clock, in seconds of CPU time; None is "not told here"."""

    t: float
    busy_s: float | None
    """Of all processes on the CPUs that the trial may use (proc_stat(5): all but idle, iowait and steal)."""
    steal_s: float | None
    """Of those CPUs, what the hypervisor gave to other machines."""
    trial_s: float | None
    """Of the trial's processes, those that ended among them."""
    vbench_s: float
    """Of vbench itself, and of its other trials, where they may use the same CPUs."""
    pressure_s: float | None = None
    """Time in which some process of the machine waited for a CPU (PSI, `some`)."""
    throttled_s: float | None = None
    """Time for which this cgroup's quota held its processes back."""
    num_throttled: int | None = None
    load_1min: float | None = None
    cpu_mhz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLoad:
    """The machine in one phase. Cores are CPU seconds per second; shares are of 1; None is "not told here"."""

    seconds: float
    cpus: int
    """That the trial may use. Busy, foreign and steal are of these alone."""
    busy_cores: float | None
    trial_cores: float | None
    """What the trial's own processes took."""
    vbench_cores: float
    """What vbench took, and its trials beside this one, where they may use the same CPUs."""
    foreign_cores: float | None
    """Busy, less the trial and vbench."""
    steal_share: float | None
    """Of the CPUs' time."""
    pressure_share: float | None
    """Of the time; processes of the trial that wait for each other are in it."""
    throttled_share: float | None
    """Throttled CPU time ÷ time; above 1 where several CPUs were held back."""
    num_throttled: int | None
    load_1min: float | None
    """At the phase's end."""
    cpu_mhz: float | None
    """Mean of a few CPUs at the phase's end, idle ones among them."""
    is_whole_machine: bool
    """False in a container: foreign processes may be another container's, which can't be seen from here."""

    def as_json(self) -> dict[str, Any]:
        """Plain data, rounded to what the counters tell."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }  # fmt: skip


class HostCounters:
    """Reads the counters, for a trial that is beneath the keeper with this pid, on the CPUs that the calling thread may
    use. `proc`, `sys` and `cpus` are others in tests."""

    def __init__(
        self, keeper_pid: int, *, proc: str = "/proc", sys: str = "/sys", cpus: Collection[int] | None = None
    ) -> None:
        self._keeper_pid, self._proc = keeper_pid, proc
        self.cpus = frozenset(os.sched_getaffinity(0) if cpus is None else cpus)
        # Trials side by side have CPUs of their own where the engine runs on them; those on GPUs share them all.
        self._shares_cpus = self.cpus == os.sched_getaffinity(os.getpid())
        self._beside_s: dict[int, float] = {}  # by keeper; of one that has ended what was seen last
        self.is_whole_machine = read_link(f"{proc}/self/ns/pid") == _FIRST_PID_NAMESPACE
        self._cgroup = throttling_file(proc, sys)
        clocks = [f"{sys}/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in sorted(self.cpus)]
        self._clocks = [path for path in clocks[:_MOST_CLOCKS] if os.path.exists(path)]

    def read(self) -> HostReading:
        """The counters now. Never raises."""
        t = time.monotonic()
        busy_s, steal_s = cpu_times(read_text(f"{self._proc}/stat"), self.cpus)
        throttled_s, num_throttled = throttling(read_text(self._cgroup)) if self._cgroup else (None, None)
        return HostReading(
            t=t,
            busy_s=busy_s,
            steal_s=steal_s,
            trial_s=self._tree_s(self._keeper_pid),
            vbench_s=time.process_time() + self._others_s(),
            pressure_s=pressure_s(read_text(f"{self._proc}/pressure/cpu")),
            throttled_s=throttled_s,
            num_throttled=num_throttled,
            load_1min=first_number(read_text(f"{self._proc}/loadavg")),
            cpu_mhz=self._mhz(),
        )

    def _tree_s(self, keeper_pid: int) -> float | None:
        """Of a keeper and all beneath it, with what of them has ended and was waited for: it never goes back."""
        keeper = process_s(read_text(f"{self._proc}/{keeper_pid}/stat"))
        if keeper is None:
            return None
        beneath = [process_s(read_text(f"{self._proc}/{pid}/stat")) for pid in descendants(keeper_pid)]
        return keeper + sum(one for one in beneath if one is not None)

    def _others_s(self) -> float:
        """Of this process's other keepers, and of what they run."""
        if self._shares_cpus:
            for pid in running_keepers() - {self._keeper_pid}:
                self._beside_s[pid] = max(self._tree_s(pid) or 0.0, self._beside_s.get(pid, 0.0))
        return sum(self._beside_s.values())

    def _mhz(self) -> float | None:
        known = [khz for path in self._clocks if (khz := first_number(read_text(path))) is not None]
        return sum(known) / len(known) / 1000 if known else None


def host_phase(
    readings: Sequence[HostReading], cpus: int, start: float, end: float, *, is_whole_machine: bool
) -> HostLoad | None:
    """The machine within [start, end] of the monotonic clock; None where the readings don't tell.

    Between two readings counters are taken to run evenly.
    """
    if end - start < _MIN_S or not readings or not cpus:
        return None

    def rate(name: str) -> float | None:
        first, last = _at(readings, name, start), _at(readings, name, end)
        if first is None or last is None or last < first:  # a counter that went back gives no difference
            return None
        return (last - first) / (end - start)

    busy, trial, vbench = rate("busy_s"), rate("trial_s"), rate("vbench_s")
    if busy is None or vbench is None:
        return None
    steal, throttled = rate("steal_s"), rate("num_throttled")
    foreign = None if trial is None else busy - trial - vbench
    if foreign is not None and foreign < -_SKEW * cpus - TICK_S / (end - start):
        return None  # what is shown as all processes isn't: a sandbox with a /proc of its own
    last = next((one for one in reversed(readings) if one.t <= end + _EDGE_S), readings[-1])
    return HostLoad(
        seconds=end - start,
        cpus=cpus,
        busy_cores=busy,
        trial_cores=trial,
        vbench_cores=vbench,
        foreign_cores=None if foreign is None else max(0.0, foreign),
        steal_share=None if steal is None else steal / cpus,
        pressure_share=rate("pressure_s"),
        throttled_share=rate("throttled_s"),
        num_throttled=None if throttled is None else round(throttled * (end - start)),
        load_1min=last.load_1min,
        cpu_mhz=last.cpu_mhz,
        is_whole_machine=is_whole_machine,
    )


def _at(readings: Sequence[HostReading], name: str, t: float) -> float | None:
    """A counter at a moment, straight between the readings around it; None more than half a second outside them."""
    known = [(one.t, float(value)) for one in readings if (value := getattr(one, name)) is not None]
    after = bisect_left(known, t, key=lambda pair: pair[0])
    if 0 < after < len(known):
        (t0, value0), (t1, value1) = known[after - 1], known[after]
        return value0 + (value1 - value0) * (t - t0) / (t1 - t0)
    nearest = min(known, key=lambda pair: abs(pair[0] - t), default=None)
    return nearest[1] if nearest is not None and abs(nearest[0] - t) <= _EDGE_S else None
