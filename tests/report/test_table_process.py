"""The process that writes the tables of large runs: the same files as without it, and none of it left over."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from vbench.errors import StoreError
from vbench.report import build
from vbench.report.contents import read_run
from vbench.report.subject import Subject
from vbench.report.table_process import TableProcess, table_process
from vbench.report.trials_files import trials_files, write_trials


@pytest.fixture
def process() -> Iterator[TableProcess]:
    with table_process(is_worth=True) as found:
        if found is None:
            pytest.skip("one core, or threads of others: no process beside")
        yield found


def subject_of(tmp_path: Path, count: int) -> Subject:
    run = make_run(tmp_path / "results", [make_record(trial) for trial in range(count)])
    return Subject(folder=run, contents=read_run(run))


def files_in(folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    return folder / "trials.csv", folder / "trials.parquet"


def test_it_writes_what_would_be_written_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: TableProcess
) -> None:
    monkeypatch.setattr("vbench.report.trials_files._ROWS", 4)
    subject = subject_of(tmp_path, 11)
    alone, helped = files_in(tmp_path / "alone"), files_in(tmp_path / "helped")
    write_trials([subject], *alone)
    write_trials([subject], *helped, process)
    assert [path.read_bytes() for path in helped] == [path.read_bytes() for path in alone]
    assert not list(tmp_path.glob("*/.*"))


def test_one_that_was_killed_is_done_without(tmp_path: Path, process: TableProcess) -> None:
    os.kill(process.pid, signal.SIGKILL)
    paths = files_in(tmp_path / "tables")
    write_trials([subject_of(tmp_path, 3)], *paths, process)
    assert len(paths[0].read_text(encoding="utf-8").splitlines()) == 4


def test_one_that_is_killed_at_work_is_done_without(tmp_path: Path, process: TableProcess) -> None:
    paths = files_in(tmp_path / "tables")
    with trials_files([subject_of(tmp_path, 3)], *paths, process) as files:
        os.kill(process.pid, signal.SIGKILL)
        files.place()
    assert len(paths[0].read_text(encoding="utf-8").splitlines()) == 4


def test_what_it_cant_write_is_said(tmp_path: Path, process: TableProcess) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(StoreError, match=r"trials.parquet can't be written: No such file or directory"):
        write_trials([subject_of(tmp_path, 3)], missing / "trials.csv", missing / "trials.parquet", process)


def test_a_block_that_fails_leaves_no_file_and_no_process(tmp_path: Path, process: TableProcess) -> None:
    paths = files_in(tmp_path / "tables")
    with (
        pytest.raises(ZeroDivisionError),
        trials_files([subject_of(tmp_path, 3)], *paths, process),
    ):
        raise ZeroDivisionError
    assert not list((tmp_path / "tables").iterdir())
    assert not Path(f"/proc/{process.pid}").exists()


def test_large_runs_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def noted(**options: Any) -> Any:
        asked.append(options["is_worth"])
        return table_process(is_worth=False)

    monkeypatch.setattr(build, "table_process", noted)
    run = make_run(tmp_path / "results", [make_record(0)])
    build.build_report(run, tmp_path / "out")
    monkeypatch.setattr(build, "_LARGE", 100)
    build.build_report(run, tmp_path / "out")
    assert asked == [False, True]
