"""`vbench report`: which runs, where the files go, what is printed. Pages themselves are tested in tests/report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.process import Vbench
from tests.records.builders import make_record, make_run
from tests.report.undrawn import draw_nothing
from vbench.cli import report as command
from vbench.cli.main import run_command
from vbench.errors import EXIT_OK, EXIT_STORE, EXIT_USAGE
from vbench.records.runs import RunFolder
from vbench.report import build
from vbench.report.contents import RunContents
from vbench.report.several import subjects_of
from vbench.report.subject import Subject, Wishes

Report = Callable[..., int]


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """The command in an empty folder, without the time that drawing takes."""
    draw_nothing(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return lambda *words: run_command(["report", *map(str, words)], False)


def run(root: Path, sweep: str, *rates: float, engine: str = "vllm", **facts: Any) -> RunFolder:
    records = [make_record(trial, [rate] * 3, engine=engine) for trial, rate in enumerate(rates)]
    return make_run(root / "results", records, sweep=sweep, **facts)


def test_several_runs_make_one_page(report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "monday", 100.0)
    run(tmp_path, "tuesday", 300.0)
    assert report("monday", "tuesday", "monday") == EXIT_OK  # one that is named twice stands there once
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "reports/monday+tuesday/report.html"
    assert all((tmp_path / line).is_file() for line in lines)
    assert "Trials here" in (tmp_path / lines[0]).read_text(encoding="utf-8")


def test_a_name_and_a_folder_of_choice(report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "monday", 100.0)
    assert report("--name", "week", "--out", tmp_path / "there") == EXIT_OK
    assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / "there" / "week" / "report.html")
    assert report("--name", "../week") == EXIT_USAGE
    assert "--name" in capsys.readouterr().err


def test_json_is_one_object_with_the_answer_and_the_files(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run(tmp_path, "monday", 100.0, 250.0)
    assert report("--json") == EXIT_OK
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    (part,) = found["parts"]
    assert part["runs"] == [f"monday/{made.run_id}"]
    assert (part["mark"], part["trials"], part["completed"]) == (None, 2, 2)
    best = part["best"]
    assert (best["trial"], best["trial_in_run"], best["run"]) == (1, 1, f"monday/{made.run_id}")
    assert best["value"] == pytest.approx(250.0)
    assert best["interval"]["kind"] == "range"
    assert (best["gain"], best["gain_interval"]) == (None, None)  # there is no baseline
    assert best["peak_memory_bytes"] == 1000 * 1024**2
    assert (tmp_path / found["folder"] / found["files"]["html"]).is_file()
    assert json.loads((tmp_path / "reports" / "monday" / "report.json").read_text())["parts"] == found["parts"]
    assert printed.err == ""


def test_the_report_of_an_earlier_run_is_kept_and_said_to_be(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(tmp_path, "monday", 100.0)
    second = run(tmp_path, "monday", 200.0)
    report(f"monday/{first.run_id}")
    capsys.readouterr()
    report(f"monday/{second.run_id}")
    assert f"is now in reports/monday/{first.run_id}/" in capsys.readouterr().err
    assert (tmp_path / "reports" / "monday" / first.run_id / "report.html").is_file()


def test_marks_are_in_the_printed_names(report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "formula", 100.0, engine="fake")
    emulated = {"profile": "t4", "is_emulated": True, "limit_bytes": 1, "notes": []}
    run(tmp_path, "small", 100.0, target=emulated)
    report("formula")
    report("small")
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert {"report-fake.html", "trials-fake.csv", "report-emulated.html", "report-emulated.md"} <= set(names)


def test_the_readers_own_numbers_reach_the_page(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Wishes | None] = []

    def watched(runs: Sequence[tuple[RunFolder, RunContents]], wishes: Wishes | None) -> tuple[Subject, ...]:
        seen.append(wishes)
        return subjects_of(runs, wishes)

    monkeypatch.setattr(build, "subjects_of", watched)
    run(tmp_path, "monday", 100.0)
    assert report("--prompts", 12_000, "--tasks", 50, "--hours", 1.5) == EXIT_OK
    assert seen == [Wishes(prompts=12_000, tasks=50, hours=1.5)]
    assert report("--prompts", 0) == EXIT_USAGE
    assert report("--hours", 0) == EXIT_USAGE


def test_a_browser_opens_only_when_asked(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", opened.append)
    run(tmp_path, "monday", 100.0)
    report()
    assert opened == []
    report("--open")
    assert [Path(one).name for one in opened] == ["report.html"]


def test_steps_are_told_on_a_terminal_where_there_is_much_to_do(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "monday", 100.0)
    monkeypatch.setattr(command, "_LARGE_BYTES", 1)
    report()
    assert capsys.readouterr().err == ""  # no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    report()
    said = capsys.readouterr().err
    assert "reading monday/" in said
    assert said.endswith("\x1b[K")


@pytest.mark.parametrize("words", [["nowhere"], ["monday", "nowhere"]])
def test_a_run_that_is_not_there_ends_it_before_anything_is_written(
    report: Report, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "monday", 100.0)
    assert report(*words) == EXIT_USAGE
    assert "no run 'nowhere'" in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()


def test_records_that_cannot_be_opened_are_an_error_with_advice(
    report: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run(tmp_path, "monday")
    made.trials_jsonl.unlink()
    made.trials_jsonl.mkdir()
    assert report() == EXIT_STORE
    assert "can't be read" in capsys.readouterr().err
    assert not (tmp_path / "reports").exists()


def test_the_whole_command_once(small_run: Vbench, tmp_path: Path) -> None:
    done = small_run("report", "small", "--out", tmp_path, "--json", check=0)
    found = json.loads(done.stdout)
    assert found["mark"] == "fake"
    assert all((Path(found["folder"]) / name).is_file() for name in found["files"]["plots"])
