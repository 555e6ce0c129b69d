"""A disk that is full, at every place where something is written: nothing that was measured is lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.cli.process import BASE, COMMAND, Vbench, records_of, run_facts
from tests.faults.matrix import Counts, fault
from tests.faults.small_disk import PAGE_KIB, SmallDisk, small_disk
from vbench.execution.live_engine import LiveEngine
from vbench.records.disk import RESERVE_BYTES

if TYPE_CHECKING:
    from vbench.execution.trial_process import TrialProcess

RESERVE_KIB = RESERVE_BYTES // 1024
TRIALS = 3
SWEEP = f"""\
{BASE}parameters:
  max_num_seqs: [1, 2, 4]
search: {{method: grid, trials: {TRIALS}, finalists: 0}}
"""
Told = list[dict[str, Any]]


@pytest.fixture
def sweep(vbench: Vbench) -> Callable[..., tuple[int, str, Told]]:
    """Runs a sweep that keeps its results on the disk; returns its exit code, what it said, and the records it told."""
    vbench.write(SWEEP)

    def sweep(disk: SmallDisk, *words: str) -> tuple[int, str, Told]:
        done = vbench("sweep", "small.yaml", "--results", disk.path / "results", "--json", *words)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert "defect" not in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stderr, [line for line in lines if "outcome" in line]

    return sweep


def _run_of(disk: SmallDisk) -> Path | None:
    runs = sorted((disk.path / "results" / "small").glob("*/run.json"))
    return runs[-1].parent if runs else None


@fault("vbench", "disk full at each write", "a clear error; what was measured is on disk, and the same command goes on")
@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_disk_that_fills_up_before_the_first_trial(
    short_folder: Path, sweep: Callable[..., tuple[int, str, Told]], counts: Counts, first: int
) -> None:
    sizes = range(first, 16, 4)
    counts.tried(len(sizes) - 1)
    with small_disk(short_folder / "disk", f"size={PAGE_KIB}k") as disk:
        for pages in sizes:
            disk.resize(pages * PAGE_KIB)
            code, said, told = sweep(disk, "--new")
            assert (code, told) == (4, []), said
            assert "No space left on device" in said
        disk.resize(RESERVE_KIB + 4096)
        code, said, told = sweep(disk)
        assert code == 0, said
        run = _run_of(disk)
        assert run is not None
        counts.records(run, TRIALS)


@fault("vbench", "disk full at each write", "a clear error; what was measured is on disk, and the same command goes on")
@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_disk_that_fills_up_while_trials_run(
    short_folder: Path, sweep: Callable[..., tuple[int, str, Told]], counts: Counts, first: int
) -> None:
    """The sizes begin where the first trial has just its room, and end where the last one has."""
    sizes = range(8 + first, 30, 8)
    counts.tried(len(sizes) - 1)
    for pages in sizes:
        with small_disk(short_folder / f"disk-{pages}", f"size={RESERVE_KIB + pages * PAGE_KIB}k") as disk:
            code, said, told = sweep(disk)
            assert code in (0, 4), said
            run = _run_of(disk)
            assert run is not None
            measured = list((run / "logs").glob("[0-9]*.log"))
            assert len(told) == len(measured), f"{len(measured)} trials ran, {len(told)} have a record: {said}"
            counts.records(run, len(told))
            if code == 4:
                assert "No space left on device; free some space and run the same command again" in said
            disk.resize(RESERVE_KIB + 4096)
            code, said, _ = sweep(disk)
            assert code == 0, said
            counts.records(run, TRIALS)
            assert records_of(run)[: len(told)] == told
            assert run_facts(run)["status"] == "finished"
            assert not list(run.glob(".*")), "temporary files in the run's folder"


@fault("vbench", "a limit on the size of files", "refused before a trial is run whose record couldn't be written")
def test_a_limit_on_the_size_of_files(vbench: Vbench, counts: Counts) -> None:
    vbench.write(SWEEP)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVE_BYTES // 2, resource.RLIM_INFINITY))

    done = subprocess.run(
        [COMMAND, "sweep", "small.yaml"], cwd=vbench.folder, env=vbench.environment(), preexec_fn=limit,
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 4, done.stderr
    assert "the file-size limit (ulimit -f) is reached: raise it and run the same command again" in done.stderr
    assert records_of(vbench.run()) == []
    vbench("sweep", "small.yaml", check=0)
    counts.records(vbench.run(), TRIALS)


@fault("vbench", "memory samples can't be written", "the record is kept, with a warning")
def test_samples_that_cannot_be_written(vbench: Vbench, counts: Counts) -> None:
    vbench.write(SWEEP)
    vbench("sweep", "small.yaml", "--trials", "1", check=0)
    run = vbench.run()
    (run / "samples" / "0001.csv").symlink_to("/dev/full")

    vbench("sweep", "small.yaml", check=0)

    counts.records(run, TRIALS)
    records = records_of(run)
    assert [one["outcome"] for one in records] == ["completed"] * TRIALS
    assert records[1]["measurements"]["output_throughput_tok_s"] > 0
    warning = "its memory over time couldn't be written (No space left on device)"
    assert [any(warning in text for text in one["warnings"]) for one in records] == [False, True, False]


@fault(
    "machine",
    "disk full under the engine's log",
    "the trial is `interrupted`, not blamed on its settings; stop, or go on",
)
def test_a_disk_that_the_engine_itself_meets_full(vbench: Vbench, short_folder: Path, counts: Counts) -> None:
    vbench.write(f"{SWEEP}engine_args: {{fail: flood@pass}}\n")
    vbench("sweep", "small.yaml", "--trials", "1", check=0)
    run = vbench.run()
    shutil.rmtree(run / "logs")
    with small_disk(short_folder / "logs", "size=64k") as disk:
        (run / "logs").symlink_to(disk.path)
        done = vbench("sweep", "small.yaml", check=3)
        disk.resize(RESERVE_KIB * 4)
        vbench("sweep", "small.yaml", check=0)

    assert "trial 1 was spoilt by the machine, not by its settings: OSError: [Errno 28] No space left" in done.stderr
    assert "the same command goes on" in done.stderr
    spoilt = records_of(run)[1]
    assert (spoilt["outcome"], spoilt["failure"]["class"]) == ("interrupted", "disk_full")
    counts.records(run, TRIALS + 1)
    again = records_of(run)[2]
    assert again["config"] == spoilt["config"]
    assert again["outcome"] == "completed"


@fault("vbench", "no room for temporary files", "refused with the reason; no trial is blamed for it")
def test_no_room_for_temporary_files(vbench: Vbench, short_folder: Path, counts: Counts) -> None:
    vbench.write(SWEEP)
    with small_disk(short_folder / "small", "nr_inodes=3") as disk:
        full = disk.path
        (full / "one").touch()  # Python itself wants to make a file to see whether the folder may be used
        done = vbench("sweep", "small.yaml", TMPDIR=str(full))
        assert done.returncode in (3, 4), done.stderr
        assert "defect" not in done.stderr
        assert records_of(vbench.run()) == []
    vbench("sweep", "small.yaml", check=0)
    counts.records(vbench.run(), TRIALS)


@fault("vbench", "no room for vbench's cache", "the sweep goes on without it")
def test_no_room_for_the_cache(vbench: Vbench, short_folder: Path, counts: Counts) -> None:
    vbench.write(SWEEP)
    with small_disk(short_folder / "small", "size=4k") as disk:
        disk.fill()
        vbench("sweep", "small.yaml", check=0, XDG_CACHE_HOME=str(disk.path))
    counts.records(vbench.run(), TRIALS)


@fault(
    "vbench", "the folder turns read-only in mid-sweep", "a clear error; earlier records stay, the same command goes on"
)
def test_a_folder_that_cannot_be_written_any_more(
    short_folder: Path, sweep: Callable[..., tuple[int, str, Told]], counts: Counts
) -> None:
    with small_disk(short_folder / "disk", "size=16m") as disk:
        code, said, told = sweep(disk, "--trials", "1")
        assert code == 0, said
        run = _run_of(disk)
        assert run is not None
        os.chmod(run, 0o500)
        disk.read_only(yes=True)
        code, said, told = sweep(disk)
        assert (code, told) == (4, []), said
        assert "Read-only file system; the folder is read-only: choose another results folder" in said
        disk.read_only(yes=False)
        os.chmod(run, 0o700)
        code, said, _ = sweep(disk)
        assert code == 0, said
        counts.records(run, TRIALS)


@fault("vbench", "no room for what a kept engine has said", "it stays in the log where it is; the trial stands")
def test_a_log_that_cannot_be_moved(tmp_path: Path) -> None:
    said = tmp_path / "0000.log"
    said.write_bytes(b"of trial 0\nof trial 1\n")
    full = tmp_path / "0001.log"
    full.symlink_to("/dev/full")
    engine = LiveEngine(process=cast("TrialProcess", None), log=said, log_end=11, said="", gpus_before=None)

    engine.move_log(full)
    assert said.read_bytes() == b"of trial 0\nof trial 1\n"

    engine.move_log(tmp_path / "0002.log")
    assert said.read_bytes() == b"of trial 0\n"
    assert (tmp_path / "0002.log").read_bytes() == b"of trial 1\n"
