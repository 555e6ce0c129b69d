"""What is left in files: temporary ones, and shared memory. Nothing is, whoever was killed; and nobody else's goes."""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, Vbench, keeper_of, records_of, wait_for
from tests.execution.bench import Bench, How, open_bench, wait_until
from tests.faults.matrix import Counts, fault
from vbench.errors import MachineError
from vbench.execution import leftovers, temp_folders
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


class TestSharedMemory:
    @fault("engine", "shared memory left by a trial that ended well", PROMISE)
    @BOTH
    def test_after_a_good_end(self, tmp_path: Path, how: How) -> None:
        before = left()
        with open_bench("fake", tmp_path) as bench:
            ran = bench.run(how=how, engine_args={"fail": "leak_shm@load"})

            assert ran.outcome is Outcome.COMPLETED, ran.log
            assert wait_until(lambda: left() == before)

    @fault("engine", "shared memory left by a killed trial", PROMISE)
    @BOTH
    @pytest.mark.parametrize("ending", ["kill", "segfault", "exit"])
    def test_after_a_bad_one(self, tmp_path: Path, how: How, ending: str) -> None:
        before, made = left(), set()

        def look(message: dict[str, Any]) -> None:
            if message.get("name") == "warmup":
                made.update(left() - before)

        with open_bench("fake", tmp_path) as bench:
            ran = bench.run(how=how, engine_args={"fail": "leak_shm@load"}, sampling={"fail": ending}, on_event=look)

            assert ran.outcome is Outcome.CRASHED
            assert len(made) == 1
            assert wait_until(lambda: left() == before)

    @fault("engine", "shared memory of a kept engine", "it stays as long as the engine is kept, and no longer")
    def test_that_of_a_kept_engine_goes_with_it(self, tmp_path: Path) -> None:
        before = left()
        with open_bench("fake", tmp_path) as bench:
            ran = bench.run(keep_engine=True, engine_args={"fail": "leak_shm@load"})
            assert ran.raw.engine is not None
            again = bench.run(engine=ran.raw.engine, keep_engine=True, engine_args={"fail": "leak_shm@load"})
            assert again.raw.engine is not None
            assert len(left() - before) == 1

            bench.close(again.raw.engine)
            assert wait_until(lambda: left() == before)

    @fault("engine", "shared memory of other programs", "it is never touched, mapped or not")
    def test_nobody_elses_goes(self, tmp_path: Path) -> None:
        mapped, lying = SHARED_MEMORY / f"psm_{os.getpid():x}a", SHARED_MEMORY / f"psm_{os.getpid():x}b"
        held: list[mmap.mmap] = []

        def make(message: dict[str, Any]) -> None:
            if message.get("name") == "warmup":
                lying.write_bytes(b"x")
                with mapped.open("w+b") as file:
                    file.truncate(4096)
                    held.append(mmap.mmap(file.fileno(), 4096))

        try:
            with open_bench("fake", tmp_path) as bench:
                ran = bench.run(engine_args={"fail": "leak_shm@load", "sleep_scale": 0.5}, on_event=make)
                assert ran.outcome is Outcome.COMPLETED
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
    return process, wait_for(vbench.runs, "the run")[0]


class TestKilledVbench:
    @fault("vbench", "SIGKILL in mid-trial: its files", "temporary files and shared memory go with the processes")
    def test_nothing_is_left_in_files(self, vbench: Vbench) -> None:
        before = left()
        process, _ = start_long(vbench, before)
        temporary = Path(vbench.environment()["TMPDIR"])
        assert len(list(temporary.glob("vbench-*"))) == 2  # the trial's and the keeper's

        process.kill()
        process.communicate()

        assert wait_until(lambda: left() == before)
        assert wait_until(lambda: list(temporary.iterdir()) == [])

    @fault(
        "vbench", "vbench and its keeper killed at once", "the next vbench removes what was left, whatever it sweeps"
    )
    def test_the_next_one_removes_what_was_left(self, vbench: Vbench, counts: Counts) -> None:
        before = left()
        process, run = start_long(vbench, before)
        keeper = wait_for(lambda: keeper_of(process.pid, run), "the keeper")
        os.kill(keeper, signal.SIGSTOP)  # so that it can't clean up in between
        process.kill()
        os.kill(keeper, signal.SIGKILL)
        process.communicate()
        temporary = Path(vbench.environment()["TMPDIR"])
        assert len(list(temporary.glob("vbench-*"))) == 2
        assert len(left() - before) == 1

        vbench("sweep", vbench.write(BASE.replace("name: small", "name: other") + "baseline: {}\n"), check=0)

        assert list(temporary.iterdir()) == []
        assert left() == before
        counts.records(vbench.run("other"), len(records_of(vbench.run("other"))))

    @fault("vbench", "another vbench at work", "its temporary files stay, as does what only looks like ours")
    def test_those_in_use_stay(self, vbench: Vbench, monkeypatch: pytest.MonkeyPatch) -> None:
        temporary = Path(vbench.environment()["TMPDIR"])
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        used = leftovers.make_temp_folder("cd" * 16)
        foreign = temporary / "vbench-notes-of-mine"
        foreign.mkdir()

        vbench("sweep", vbench.write(BASE + "baseline: {}\n"), check=0)

        assert sorted(temporary.iterdir()) == sorted([used, foreign])
        leftovers.remove_temp_folder(used)
        foreign.rmdir()


class TestTempFolder:
    @fault("engine", "temporary files and sockets left by a trial", "they go with the trial's own folder")
    @BOTH
    @pytest.mark.parametrize("kind", ["leak_temp", "leak_socket"])
    def test_what_a_trial_leaves_goes(self, fake_bench: Bench, how: How, kind: str) -> None:
        ran = fake_bench.run(how=how, engine_args={"fail": kind})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert fake_bench.temp_folders() == []

    @fault("surroundings", "TMPDIR too long for sockets", "trials get a folder in /tmp; ZMQ's sockets have room")
    def test_a_long_one_is_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        long = tmp_path / ("long" * 30)
        long.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(long))

        folder = leftovers.make_temp_folder("ef" * 16)
        try:
            assert folder.parent == Path("/tmp")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / "01234567-0123-0123-0123-012345678901"))
        finally:
            leftovers.remove_temp_folders("ef" * 16)
        assert not folder.exists()

    @fault("surroundings", "no folder for temporary files", "exit code 3 says to set TMPDIR")
    def test_none_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", "/proc/nothing")

        with pytest.raises(MachineError, match="set TMPDIR to a folder with room, where you may write"):
            leftovers.make_temp_folder("ef" * 16)

    def test_a_folder_is_locked_as_long_as_its_maker_lives(self) -> None:
        folder = leftovers.make_temp_folder("ef" * 16)
        program = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        other = subprocess.run([sys.executable, "-S", "-c", program, str(folder)], stderr=subprocess.PIPE, check=False)

        assert b"BlockingIOError" in other.stderr
        leftovers.remove_temp_folder(folder)
        assert folder not in temp_folders._locks


@pytest.fixture
def abandoned() -> Iterator[Path]:
    """A folder that a vbench made which is no more, with notes of shared memory."""
    folder = leftovers.make_temp_folder("12" * 16, is_keepers=True)
    os.close(temp_folders._locks.pop(folder))
    yield folder
    temp_folders.remove_temp_folder(folder)


class TestNotes:
    def test_what_is_noted_goes_if_it_is_the_same(self, abandoned: Path) -> None:
        same, another = SHARED_MEMORY / f"psm_{os.getpid():x}c", SHARED_MEMORY / f"psm_{os.getpid():x}d"
        outside = abandoned / "outside"
        for one in (same, another, outside):
            one.write_bytes(b"x")
        (abandoned / temp_folders.NOTES).write_text(
            f"{same.stat().st_ino} {same.name}\n{another.stat().st_ino + 1} {another.name}\n"
            f"{outside.stat().st_ino} ../..{outside}\nnonsense\n"
        )

        temp_folders._remove_shared_memory(abandoned)

        assert [one.exists() for one in (same, another, outside)] == [False, True, True]
        another.unlink()

    def test_what_somebody_maps_stays(self, abandoned: Path) -> None:
        path = SHARED_MEMORY / f"psm_{os.getpid():x}e"
        with path.open("w+b") as file:
            file.truncate(4096)
            held = mmap.mmap(file.fileno(), 4096)
        (abandoned / temp_folders.NOTES).write_text(f"{path.stat().st_ino} {path.name}\n")

        temp_folders._remove_shared_memory(abandoned)

        assert path.exists()
        held.close()
        path.unlink()

    def test_an_abandoned_folder_goes_with_any_run(self, abandoned: Path) -> None:
        leftovers.remove_temp_folders("34" * 16)

        assert not abandoned.exists()

    def test_not_while_it_is_locked(self, abandoned: Path) -> None:
        fd = os.open(abandoned, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        leftovers.remove_temp_folders("34" * 16)

        assert abandoned.exists()
        os.close(fd)


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
        assert wait_until(lambda: left("*") == before)

    @fault("engine", "vLLM's server that ends as it should: its shared memory", "none is left")
    def test_ended(self, vllm_bench: Bench) -> None:
        before = left("*")
        ran = vllm_bench.run(mode="server", load={})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert wait_until(lambda: left("*") == before)

    @fault("surroundings", "TMPDIR too long for sockets", "trials get a folder in /tmp; ZMQ's sockets have room")
    def test_in_a_long_folder(self, vllm_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        long = tmp_path / ("long" * 30)
        long.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(long))

        ran = vllm_bench.run(mode="async", load={})

        assert ran.outcome is Outcome.COMPLETED, ran.log
