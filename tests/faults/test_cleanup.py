"""What is left in files: temporary ones, and shared memory. Nothing is, whoever was killed; and nobody else's goes."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, Vbench, keeper_of, records_of, wait_for
from tests.execution.bench import Bench, How, open_bench, wait_until
from tests.faults.matrix import Counts, fault
from vbench.execution import leftovers, temp_folders
from vbench.execution.live_engine import LiveEngine
from vbench.outcome import Outcome

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])
SHARED_MEMORY = Path("/dev/shm")
PROMISE = "what the trial made there is removed after it; what others made stays"
LONG = f"{BASE}engine_args: {{fail: leak_shm@load, sleep_scale: 100000.0}}\nbaseline: {{}}\n"
"""A sweep whose first trial makes shared memory and then takes very long."""


def left(name: str = "psm_*") -> set[Path]:
    return set(SHARED_MEMORY.glob(name))


@pytest.fixture(autouse=True)
def _needs_shared_memory() -> None:
    if not os.access(SHARED_MEMORY, os.W_OK):
        pytest.skip("no /dev/shm here")


def notes(folder: Path) -> str:
    """What keepers have noted, whose folders lie in this one."""
    found = [path for path in folder.glob(f"vbench-keeper-*/{temp_folders.NOTES}") if path.exists()]
    return "".join(path.read_text() for path in found)


def holding(bench: Bench, how: How, before: set[Path]) -> LiveEngine:
    """A kept engine that has made shared memory, of which its keeper knows."""
    ran = bench.run(how=how, keep_engine=True, engine_args={"fail": "leak_shm@load"})
    assert ran.raw.engine is not None, ran.log
    (made,) = left() - before
    assert wait_until(lambda: made.name in notes(Path(tempfile.gettempdir())))
    return ran.raw.engine


class TestSharedMemory:
    @fault("engine", "shared memory that another program has mapped too", "it stays as long as that needs it")
    def test_that_of_two(self, tmp_path: Path) -> None:
        before = left()
        with open_bench("fake", tmp_path) as bench:
            engine = holding(bench, "cold", before)
            (made,) = left() - before
            with made.open("r+b") as file, mmap.mmap(file.fileno(), 0):
                bench.close(engine)
                bench.run(how="cold")
                time.sleep(1.0)  # all that ends with the trial has told the keeper by now: it has to look by itself
                assert made.exists()
            assert wait_until(lambda: left() <= before)

    @fault("engine", "shared memory left by a trial that ended well", PROMISE)
    @BOTH
    def test_after_a_good_end(self, tmp_path: Path, how: How) -> None:
        before = left()
        with open_bench("fake", tmp_path) as bench:
            engine = holding(bench, how, before)
            again = bench.run(engine=engine, keep_engine=True)
            assert again.raw.engine is not None
            assert len(left() - before) == 1  # a kept engine's stays as long as it is kept

            bench.close(again.raw.engine)
            assert wait_until(lambda: left() <= before)

    @fault("engine", "shared memory left by a killed trial", PROMISE)
    @BOTH
    @pytest.mark.parametrize("ending", ["kill", "segfault", "exit"])
    def test_after_a_bad_one(self, tmp_path: Path, how: How, ending: str) -> None:
        before = left()
        with open_bench("fake", tmp_path) as bench:
            ran = bench.run(engine=holding(bench, how, before), sampling={"fail": ending})

            assert ran.outcome is Outcome.CRASHED
            assert wait_until(lambda: left() <= before)

    @fault("vbench", "keeper killed: shared memory of its trials", "vbench removes it, by what the keeper had noted")
    @BOTH
    def test_after_a_killed_keeper(self, tmp_path: Path, how: How) -> None:
        before = left()
        with open_bench("fake", tmp_path) as bench:
            engine = holding(bench, how, before)
            os.kill(bench.keeper.pid, signal.SIGKILL)
            assert wait_until(lambda: not bench.keeper.is_running)
            assert wait_until(lambda: bench.processes() == [])
            engine.discard()

        assert left() <= before

    @fault("engine", "shared memory of other programs", "it is never touched, mapped or not")
    def test_nobody_elses_goes(self, tmp_path: Path) -> None:
        mapped, lying = SHARED_MEMORY / f"psm_{os.getpid():x}a", SHARED_MEMORY / f"psm_{os.getpid():x}b"
        held: list[mmap.mmap] = []
        before = left()

        def make(message: dict[str, Any]) -> None:
            if message.get("name") == "warmup":
                lying.write_bytes(b"x")
                with mapped.open("w+b") as file:
                    file.truncate(4096)
                    held.append(mmap.mmap(file.fileno(), 4096))

        try:
            with open_bench("fake", tmp_path) as bench:
                engine = holding(bench, "fork", before)
                bench.run(engine=engine, on_event=make)
                assert wait_until(lambda: left() - before == {mapped, lying})
                bench.run()
            assert mapped.exists()
            assert lying.exists()
        finally:
            mapped.unlink()
            lying.unlink()
            held[0].close()


def start_long(vbench: Vbench, before: set[Path]) -> tuple[subprocess.Popen[str], Path]:
    """A sweep whose first trial is running and has made shared memory; its run."""
    process = vbench.start("sweep", vbench.write(LONG))
    wait_for(lambda: left() - before, "shared memory")
    wait_for(lambda: notes(Path(vbench.environment()["TMPDIR"])), "a note of it")
    return process, vbench.run()


class TestKilledVbench:
    @fault("vbench", "SIGKILL in mid-trial: its files", "temporary files and shared memory go with the processes")
    def test_nothing_is_left_in_files(self, vbench: Vbench) -> None:
        before = left()
        process, _ = start_long(vbench, before)
        temporary = Path(vbench.environment()["TMPDIR"])
        assert len(list(temporary.glob("vbench-*"))) == 2  # the trial's and the keeper's

        process.kill()
        process.communicate()

        assert wait_until(lambda: left() <= before)
        assert wait_until(lambda: list(temporary.iterdir()) == [])

    @fault(
        "vbench", "vbench and its keeper killed at once", "the next vbench removes what was left, whatever it sweeps"
    )
    def test_the_next_one_removes_what_was_left(self, vbench: Vbench, counts: Counts) -> None:
        before = left()
        process, run = start_long(vbench, before)
        keeper = keeper_of(process.pid, run)
        assert keeper is not None
        os.kill(keeper, signal.SIGSTOP)  # so that it can't clean up in between
        process.kill()
        os.kill(keeper, signal.SIGKILL)
        process.communicate()
        temporary = Path(vbench.environment()["TMPDIR"])
        assert len(list(temporary.glob("vbench-*"))) == 2
        assert len(left() - before) == 1

        vbench("sweep", vbench.write(BASE.replace("name: small", "name: other") + "baseline: {}\n"), check=0)

        assert list(temporary.iterdir()) == []
        assert left() <= before
        counts.records(vbench.run("other"), len(records_of(vbench.run("other"))))

    @fault("vbench", "another vbench at work", "its temporary files stay, as does what only looks like ours")
    def test_those_in_use_stay(self, vbench: Vbench, monkeypatch: pytest.MonkeyPatch) -> None:
        temporary = Path(vbench.environment()["TMPDIR"])
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        used = leftovers.make_temp_folder("cd" * 16)
        foreign = [temporary / name for name in ("vbench-notes-of-mine", "vbench-20261122-baseline")]
        for one in foreign:
            one.mkdir(0o700)
            (one / "trials.jsonl").write_text("{}\n")

        vbench("sweep", vbench.write(BASE + "baseline: {}\n"), check=0)

        assert sorted(temporary.iterdir()) == sorted([used, *foreign])
        assert [len(list(one.iterdir())) for one in foreign] == [1, 1]
        leftovers.remove_temp_folder(used)
        for one in foreign:
            shutil.rmtree(one)


@pytest.mark.engine
class TestRealEngine:
    """vLLM takes shared memory wherever its engine core or a rank is a process of its own."""

    @fault("engine", "vLLM killed in a pass: its shared memory and sockets", "none is left")
    @pytest.mark.parametrize("mode", ["async", "server"])
    def test_killed(self, vllm_bench: Bench, mode: str) -> None:
        before, made = left("*"), set()

        def kill(message: dict[str, Any]) -> None:
            pids.extend([message["pid"]] if message["event"] == "hello" else [])
            if message.get("name") == "pass":
                made.update(left("*") - before)
                os.kill(pids[0], signal.SIGKILL)

        pids: list[int] = []
        ran = vllm_bench.run(mode=mode, load={}, on_event=kill)

        assert ran.outcome is not Outcome.COMPLETED
        assert made
        assert wait_until(lambda: left("*") <= before)

    @fault("engine", "vLLM's server that ends as it should: its shared memory", "none is left")
    def test_ended(self, vllm_bench: Bench) -> None:
        before = left("*")
        ran = vllm_bench.run(mode="server", load={})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert wait_until(lambda: left("*") <= before)

    @fault("surroundings", "TMPDIR too long for sockets", "trials get a folder in /tmp; ZMQ's sockets have room")
    def test_in_a_long_folder(self, vllm_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        long = tmp_path / ("long" * 30)
        long.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(long))

        ran = vllm_bench.run(mode="async", load={})

        assert ran.outcome is Outcome.COMPLETED, ran.log
