from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.execution.bench import wait_until
from vbench.execution.memory import (
    MemorySample,
    MemorySampler,
    ProcessTreeMemory,
    UnmeasuredMemory,
    kernel_oom_kills,
    peak_bytes,
    write_samples,
)

MIB = 1024**2


class ScriptedSource:
    """Gives the readings of a script, then the last one for ever."""

    name = "script"

    def __init__(self, *readings: int | None) -> None:
        self.readings = list(readings)
        self.num_reads = 0

    def read(self) -> tuple[int | None, int]:
        reading = self.readings[min(self.num_reads, len(self.readings) - 1)]
        self.num_reads += 1
        return reading, 0 if reading is None else 1


def at(t: float, used: int | None) -> MemorySample:
    return MemorySample(t=t, used_bytes=used, num_processes=1)


class TestSampler:
    def test_keeps_every_reading_in_order(self) -> None:
        source = ScriptedSource(10, None, 30, 20)
        sampler = MemorySampler(source, interval_s=0.001)
        sampler.start()
        assert wait_until(lambda: source.num_reads >= 4)
        samples = sampler.stop()

        assert [one.used_bytes for one in samples[:4]] == [10, None, 30, 20]
        assert [one.num_processes for one in samples[:4]] == [1, 0, 1, 1]
        assert [one.t for one in samples] == sorted(one.t for one in samples)
        assert len(samples) == source.num_reads

    def test_a_poke_takes_a_sample_at_once(self) -> None:
        source = ScriptedSource(1, 2)
        sampler = MemorySampler(source, interval_s=3600)
        sampler.start()
        assert wait_until(lambda: source.num_reads == 1)

        sampler.poke()

        assert wait_until(lambda: source.num_reads == 2)
        assert [one.used_bytes for one in sampler.stop()] == [1, 2]

    def test_one_that_never_started_can_be_stopped(self) -> None:
        assert MemorySampler(ScriptedSource(1)).stop() == []

    def test_it_knows_the_peak_so_far(self) -> None:
        source = ScriptedSource(3, None, 7, 5)
        sampler = MemorySampler(source, interval_s=0.001)
        assert sampler.peak_bytes is None
        sampler.start()
        assert wait_until(lambda: source.num_reads >= 4)
        sampler.stop()
        assert sampler.peak_bytes == 7


class TestPeak:
    SAMPLES = (at(1.0, 10), at(2.0, 50), at(3.0, 30), at(4.0, None))

    @pytest.mark.parametrize(
        ("start", "end", "peak"),
        [(0, 9, 50), (1, 1, 10), (2.5, 9, 30), (2, 3, 50), (3.5, 9, None), (5, 9, None)],
    )
    def test_is_the_largest_reading_between(self, start: float, end: float, peak: int | None) -> None:
        assert peak_bytes(self.SAMPLES, start, end) == peak


# Says "up", and on each line that comes allocates 200 MiB that are really touched, and says so.
CHILD = """
import sys
print("up", flush=True)
held = []
for line in sys.stdin:
    held.append(b"x" * (200 * 1024 * 1024))
    print("full", flush=True)
"""
# As CHILD, in a child of its own.
GRANDPARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {CHILD!r}])"
# Says "up", and on a line that comes starts a CHILD, which allocates at the next.
LATE_GRANDPARENT = f"import sys; print('up', flush=True); sys.stdin.readline(); {GRANDPARENT}"
# Holds 200 MiB, forks, and the child says its own pid and its parent's.
FORKING = """
import os, sys
held = b"x" * (200 * 1024 * 1024)
if os.fork() == 0:
    print(os.getppid(), os.getpid(), flush=True)
    sys.stdin.readline()
    os._exit(0)
os.wait()
"""


@contextmanager
def child(program: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def hear(process: subprocess.Popen[str], say: str | None = None) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    if say is not None:
        process.stdin.write(say + "\n")
        process.stdin.flush()
    return process.stdout.readline().strip()


def used(source: ProcessTreeMemory) -> int:
    reading = source.read()[0]
    assert reading is not None
    return reading


class TestProcessTree:
    @pytest.mark.parametrize(("program", "num_processes"), [(CHILD, 1), (GRANDPARENT, 2)], ids=["child", "grandchild"])
    def test_sees_what_was_allocated(self, program: str, num_processes: int) -> None:
        with child(program) as process:
            assert hear(process) == "up"
            before = used(ProcessTreeMemory(process.pid))
            assert hear(process, "more") == "full"
            source = ProcessTreeMemory(process.pid)
            after, count = source.read()

        assert after is not None
        assert after - before == pytest.approx(200 * MIB, rel=0.1)
        assert count == num_processes

    def test_sees_growth_between_its_walks(self) -> None:
        with child(CHILD) as process:
            hear(process)
            source = ProcessTreeMemory(process.pid)
            before = used(source)
            source._next_walk = float("inf")
            assert hear(process, "more") == "full"

            assert used(source) - before == pytest.approx(200 * MIB, rel=0.1)

    def test_sees_processes_that_start_between_its_walks(self) -> None:
        with child(LATE_GRANDPARENT) as process:
            assert hear(process) == "up"
            source = ProcessTreeMemory(process.pid)
            before = used(source)
            source._next_walk = float("inf")
            assert hear(process, "start") == "up"
            assert hear(process, "more") == "full"
            source._next_look = float("-inf")
            after, count = source.read()

        assert after is not None
        assert after - before == pytest.approx(200 * MIB, rel=0.1)
        assert count == 2

    def test_what_a_forked_trial_shares_with_its_keeper_is_counted_once_and_whole(self) -> None:
        with child(FORKING) as process:
            parent, forked = map(int, hear(process).split())
            alone = used(ProcessTreeMemory(forked))
            whole = used(ProcessTreeMemory(forked, keeper_pid=parent))
            assert parent == process.pid

        # Each of the two has half of the 200 MiB in its PSS.
        assert alone == pytest.approx(100 * MIB, rel=0.2)
        assert whole - alone == pytest.approx(100 * MIB, rel=0.2)

    def test_a_dead_process_has_no_reading(self) -> None:
        with child("") as process:
            process.wait()

        assert ProcessTreeMemory(process.pid).read() == (None, 0)

    def test_one_that_waits_to_be_reaped_has_no_reading(self) -> None:
        with child("") as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

            assert ProcessTreeMemory(process.pid).read() == (None, 0)

    def test_one_that_ended_since_the_walk_has_no_reading(self) -> None:
        with child(CHILD) as process:
            hear(process)
            source = ProcessTreeMemory(process.pid)
            assert used(source) > 0
            source._next_walk = float("inf")
            process.kill()
            process.wait()

            assert source.read() == (None, 0)


def test_memory_elsewhere_is_not_claimed() -> None:
    assert UnmeasuredMemory().read() == (None, 0)


def test_samples_are_read_by_one_line_of_pandas(tmp_path: Path) -> None:
    path = tmp_path / "0000.csv"
    write_samples([at(100.0, 5 * MIB), at(100.1, None), at(100.25, 7)], path, origin=100.0)

    frame = pd.read_csv(path)

    assert list(frame.columns) == ["t_s", "memory_bytes", "num_processes"]
    assert frame["t_s"].tolist() == [0.0, 0.1, 0.25]
    assert frame["memory_bytes"].isna().tolist() == [False, True, False]
    assert frame["memory_bytes"].dropna().tolist() == [5 * MIB, 7]


def test_the_kernels_count_of_kills_is_a_number() -> None:
    assert kernel_oom_kills() >= 0
