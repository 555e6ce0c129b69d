"""Folders for temporary files: their own, short enough, and gone with who made them."""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execution.bench import Bench, How
from tests.faults.matrix import fault
from vbench.errors import MachineError
from vbench.execution import leftovers, temp_folders
from vbench.outcome import Outcome
from vbench.worker import shared_memory

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])
SHARED_MEMORY = Path("/dev/shm")


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
    def test_both_sides_mean_one_file(self) -> None:
        assert temp_folders.NOTES == shared_memory.NOTES

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
