"""What else the machine did: the arithmetic on a /proc of our own making, and the real one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import pytest

from tests.execution.bench import Bench, wait_until
from vbench.execution import host_load, verdict
from vbench.execution.host_load import HostCounters, HostLoad, HostReading, host_phase
from vbench.execution.memory import MemorySampler, UnmeasuredMemory
from vbench.spec.types import Deadlines

KEEPER = 4_194_305  # above what a pid can be: nothing beneath it is found in the real /proc
TICKS = os.sysconf("SC_CLK_TCK")


BESIDE = KEEPER + 1


class Machine:
    """Files as the kernel has them; times are given in seconds."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.sys = folder / "proc", folder / "sys"
        self.write("proc/self/cgroup", "0::/box\n")
        (self.proc / "self" / "ns").mkdir(parents=True, exist_ok=True)
        (self.proc / "self" / "ns" / "pid").symlink_to("pid:[4026531836]")
        self.folder = folder
        self.cpus(0, 0)
        self.keeper(0)

    def write(self, name: str, text: str) -> None:
        path = self.proc.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def cpus(self, *busy_s: float, steal_s: float = 0.0) -> None:
        """Each CPU's busy seconds; half of them as a nice process's, to see that those count."""
        lines = ["cpu  1 2 3 4 5 6 7 8 9 10"]
        for number, seconds in enumerate(busy_s):
            half, stolen = round(seconds * TICKS / 2), round(steal_s * TICKS)
            lines.append(f"cpu{number} {half} {half} 0 99999 7777 0 0 {stolen} 0 0")
        self.write("proc/stat", "\n".join([*lines, "intr 1 2 3", "ctxt 7"]) + "\n")

    def keeper(self, seconds: float, ended_s: float = 0.0, pid: int = KEEPER) -> None:
        own, ended = round(seconds * TICKS), round(ended_s * TICKS)
        fields = ["S", *["0"] * 10, str(own), "0", str(ended), "0", *["0"] * 20]
        self.write(f"proc/{pid}/stat", f"{pid} (a (keeper)) {' '.join(fields)}\n")

    def counters(self, cpus: Collection[int] = (0, 1)) -> HostCounters:
        return HostCounters(KEEPER, proc=str(self.proc), sys=str(self.sys), cpus=cpus)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def at(reading: HostReading, t: float) -> HostReading:
    """The reading, said to be of another time, and vbench's own time left out of it."""
    values = {name: getattr(reading, name) for name in HostReading.__dataclass_fields__}
    return HostReading(**{**values, "t": t, "vbench_s": 0.0})


def load_of(counters: HostCounters, change: Callable[[], None], seconds: float = 10.0) -> HostLoad | None:
    first = at(counters.read(), 100.0)
    change()
    last = at(counters.read(), 100.0 + seconds)
    whole = counters.is_whole_machine
    return host_phase([first, last], len(counters.cpus), 100.0, 100.0 + seconds, is_whole_machine=whole)


def test_what_isnt_the_trials_is_others(machine: Machine) -> None:
    def run() -> None:
        machine.cpus(10, 6, steal_s=0.5)
        machine.keeper(2, ended_s=9)

    found = load_of(machine.counters(), run)

    assert found is not None
    assert found.busy_cores == pytest.approx(1.6)
    assert found.trial_cores == pytest.approx(1.1)
    assert found.foreign_cores == pytest.approx(0.5)
    assert found.steal_share == pytest.approx(0.05)
    assert (found.cpus, found.seconds, found.is_whole_machine) == (2, 10.0, True)
    assert (found.pressure_share, found.throttled_share, found.num_throttled, found.cpu_mhz) == (None,) * 4


def test_only_the_cpus_that_the_trial_may_use_count(machine: Machine) -> None:
    def run() -> None:
        machine.cpus(1, 10)
        machine.keeper(1)

    on_first = load_of(machine.counters((0,)), run)

    assert on_first is not None
    assert (on_first.cpus, on_first.foreign_cores) == (1, 0.0)


@pytest.mark.parametrize("is_sharing", [True, False])
def test_a_trial_beside_it_is_no_stranger_where_it_may_use_the_same_cpus(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, is_sharing: bool
) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    numbers = range(max(cpus) + 1)
    monkeypatch.setattr(host_load, "running_keepers", lambda: frozenset({KEEPER, BESIDE}))
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    if not is_sharing:  # as of a thread that has a CPU of its own
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {*cpus, 4096} if pid else set(cpus))
    machine.cpus(*(0.0 for _ in numbers))
    machine.keeper(50, pid=BESIDE)
    counters = machine.counters(cpus)

    first = counters.read()
    machine.cpus(*(10.0 if number == cpus[0] else 0.0 for number in numbers))
    machine.keeper(1)
    machine.keeper(56, pid=BESIDE)
    second = counters.read()
    (machine.proc / str(BESIDE) / "stat").unlink()
    third = counters.read()

    others_s = 6.0 if is_sharing else 0.0
    assert second.vbench_s - first.vbench_s == pytest.approx(others_s)
    assert third.vbench_s == second.vbench_s  # one that has ended takes nothing back


def test_pressure_quota_load_and_clock_where_they_are(machine: Machine) -> None:
    def quota(usec: int, times: int) -> None:
        text = f"usage_usec 5\nnr_periods 90\nnr_throttled {times}\nthrottled_usec {usec}\n"
        machine.write("sys/fs/cgroup/box/cpu.stat", text)

    quota(1_000_000, 3)
    machine.write("proc/pressure/cpu", "some avg10=1.00 avg60=0.00 total=1000000\nfull avg10=0.00 total=77\n")
    machine.write("proc/loadavg", "3.25 1.00 0.50 2/300 4242\n")
    for cpu, khz in enumerate((2_000_000, 3_000_000)):
        machine.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", f"{khz}\n")

    def run() -> None:
        quota(1_500_000, 8)
        machine.write("proc/pressure/cpu", "some avg10=9.00 avg60=0.00 total=4000000\n")

    found = load_of(machine.counters(), run)

    assert found is not None
    assert found.pressure_share == pytest.approx(0.3)
    assert found.throttled_share == pytest.approx(0.05)
    assert (found.num_throttled, found.load_1min, found.cpu_mhz) == (5, 3.25, 2500.0)


def test_the_older_cgroups_count_in_nanoseconds(machine: Machine) -> None:
    machine.write("proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/pod\n")

    def quota(nanoseconds: int) -> None:
        text = f"nr_periods 9\nnr_throttled 1\nthrottled_time {nanoseconds}\n"
        machine.write("sys/fs/cgroup/cpu,cpuacct/pod/cpu.stat", text)

    quota(0)
    found = load_of(machine.counters(), lambda: quota(2_000_000_000))

    assert found is not None
    assert found.throttled_share == pytest.approx(0.2)


def test_in_a_container_it_says_that_others_may_be_out_of_sight(machine: Machine) -> None:
    link = machine.proc / "self" / "ns" / "pid"
    link.unlink()
    link.symlink_to("pid:[4026532281]")

    found = load_of(machine.counters(), lambda: machine.cpus(5, 5))

    assert found is not None
    assert not found.is_whole_machine


@pytest.mark.parametrize("hidden", ["stat", "a CPU", "a sandbox's own"])
def test_what_isnt_shown_is_none(machine: Machine, hidden: str) -> None:
    if hidden == "stat":
        (machine.proc / "stat").unlink()
        assert load_of(machine.counters(), lambda: None) is None
    elif hidden == "a CPU":
        assert load_of(machine.counters((0, 5)), lambda: None) is None
    else:  # all processes together took nothing, the trial ten seconds
        assert load_of(machine.counters(), lambda: machine.keeper(10)) is None


def test_a_keeper_that_has_gone_leaves_others_untold(machine: Machine) -> None:
    found = load_of(machine.counters(), (machine.proc / str(KEEPER) / "stat").unlink)

    assert found is not None
    assert (found.busy_cores, found.foreign_cores) == (0.0, None)


def test_between_two_readings_a_counter_runs_evenly() -> None:
    def reading(t: float, busy_s: float) -> HostReading:
        return HostReading(t=t, busy_s=busy_s, steal_s=0.0, trial_s=busy_s / 2, vbench_s=0.0)

    readings = [reading(0.0, 0.0), reading(10.0, 10.0), reading(20.0, 30.0)]

    def foreign(start: float, end: float) -> float | None:
        found = host_phase(readings, 2, start, end, is_whole_machine=True)
        return None if found is None else found.foreign_cores

    assert foreign(5.0, 10.0) == pytest.approx(0.5)
    assert foreign(5.0, 15.0) == pytest.approx(0.75)
    assert foreign(15.0, 20.4) == pytest.approx(5.0 / 5.4)
    assert foreign(15.0, 21.0) is None  # nobody looked
    assert foreign(5.0, 5.01) is None  # shorter than a tick tells


def test_the_sampler_reads_at_its_ends_and_where_it_is_poked() -> None:
    sampler = MemorySampler(UnmeasuredMemory(), 0.01, HostCounters(os.getpid()))
    sampler.start()
    assert wait_until(lambda: len(sampler.samples) > 20)
    assert len(sampler.host_readings) == 1
    for _ in range(2):
        seen = len(sampler.host_readings)
        sampler.poke()
        assert wait_until(partial(has_more_than, sampler, seen))
    sampler.stop()
    assert len(sampler.host_readings) == 4
    assert [one.t for one in sampler.host_readings] == sorted(one.t for one in sampler.host_readings)


def has_more_than(sampler: MemorySampler, seen: int) -> bool:
    return len(sampler.host_readings) > seen


def test_the_real_machine_tells_whose_time_it_was(fake_bench: Bench) -> None:
    """A process outside the trial's tree spins while the fake engine sleeps: its time is foreign."""
    spin = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    busy = subprocess.Popen([sys.executable, "-c", spin])
    try:
        time.sleep(0.2)
        ran = fake_bench.run(
            engine_args={"sleep_scale": 15.0}, warmup_passes=0, deadlines=Deadlines(load_s=60, pass_s=60, close_s=20)
        )
    finally:
        busy.kill()
        busy.wait()
    timed = [one.host for one in verdict.phases_of(ran.raw) if one.name == "pass" and one.host is not None]

    assert timed
    for host in timed:
        if host["foreign_cores"] is None:
            pytest.skip("this machine doesn't show all processes")
        # It shares the cores with whatever else runs here, and the trial sleeps.
        assert host["foreign_cores"] > 0.3
        assert host["trial_cores"] < 0.3
        assert host["busy_cores"] <= host["cpus"] * 1.1
