"""Counters out of the kernel's text files, of /proc and of cgroups: None where a file isn't there, or doesn't tell."""

from __future__ import annotations

import os
from collections.abc import Collection

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def read_text(path: str) -> str:
    """The whole file; empty where it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("ascii", "replace")
    except OSError:
        return ""


def read_link(path: str) -> str:
    """Where a link leads; empty where that can't be read."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def cpu_times(stat: str, cpus: Collection[int]) -> tuple[float | None, float | None]:
    """Busy and stolen seconds of these CPUs (/proc/stat); None where one of them isn't listed."""
    busy, steal, found = 0, 0, 0
    for line in stat.splitlines():
        name, _, rest = line.partition(" ")
        if not name.startswith("cpu"):
            break  # the CPUs stand first
        if name == "cpu" or not name[3:].isdigit() or int(name[3:]) not in cpus:
            continue
        user, nice, system, _, _, irq, softirq, stolen = ([int(one) for one in rest.split()] + [0] * 8)[:8]
        busy, steal, found = busy + user + nice + system + irq + softirq, steal + stolen, found + 1
    return (busy * TICK_S, steal * TICK_S) if found and found == len(cpus) else (None, None)


def process_s(stat: str) -> float | None:
    """CPU seconds of a process and of its children that ended (proc_pid_stat(5): utime, stime, cutime, cstime)."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICK_S if len(fields) > 14 else None


def pressure_s(text: str) -> float | None:
    """Seconds in which some process waited for a CPU (/proc/pressure/cpu)."""
    some = next((line for line in text.splitlines() if line.startswith("some ")), "")
    total = some.rpartition("total=")[2]
    return int(total) / 1e6 if total.isdigit() else None


def first_number(text: str) -> float | None:
    """What a file begins with, where that is a number."""
    try:
        return float(text.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return None


def throttling(text: str) -> tuple[float | None, int | None]:
    """Seconds and periods of a cgroup's cpu.stat: version 2 counts microseconds, version 1 nanoseconds."""
    pairs = (line.split() for line in text.splitlines())
    found = {one[0]: int(one[1]) for one in pairs if len(one) == 2 and one[1].isdigit()}
    if "throttled_usec" in found:
        return found["throttled_usec"] / 1e6, found.get("nr_throttled")
    return (found["throttled_time"] / 1e9, found.get("nr_throttled")) if "throttled_time" in found else (None, None)


def throttling_file(proc: str, sys: str) -> str | None:
    """The cpu.stat of the cgroup that we are in; None where no quota is counted."""
    places = [f"{sys}/fs/cgroup/cpu.stat", f"{sys}/fs/cgroup/cpu/cpu.stat"]
    for line in read_text(f"{proc}/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            places.insert(0, f"{sys}/fs/cgroup{path}/cpu.stat")
        elif "cpu" in controllers.split(","):
            places.insert(0, f"{sys}/fs/cgroup/{controllers}{path}/cpu.stat")
    return next((one for one in places if "nr_throttled" in read_text(one)), None)
