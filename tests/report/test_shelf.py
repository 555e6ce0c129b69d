from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from tests.report.undrawn import draw_nothing
from vbench.errors import StoreError, UsageError
from vbench.records.runs import RunFolder
from vbench.report import build, shelf
from vbench.report.build import ReportFiles, build_reports
from vbench.report.page import make_page


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files go doesn't depend on what is in them."""
    draw_nothing(monkeypatch)
    monkeypatch.setattr(build, "make_page", lambda *subjects, **_: replace(make_page(*subjects), sections=(), plots=()))


def run(root: Path, sweep: str = "demo", engine: str = "vllm") -> RunFolder:
    return make_run(root / "results", [make_record(0, 100.0, engine=engine)], sweep=sweep)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def made(runs: list[RunFolder], root: Path, name: str = "") -> ReportFiles:
    return build_reports(runs, root / "reports", name=name)


def test_the_name_is_the_sweeps(tmp_path: Path) -> None:
    def named(*paths: str) -> str:
        return shelf.name_of([RunFolder(tmp_path / path) for path in paths])

    assert named("demo/1") == "demo"
    assert named("demo/1", "t4/1") == "demo+t4"
    assert named("demo/1", "demo/2") == "demo+2-runs"
    long = named(*(f"{'é' * 60}{number}/1" for number in range(9)))
    assert long.endswith("+9-runs")
    assert len(long.encode()) <= 100


@pytest.mark.parametrize("name", [".", "..", "a/b", "/a", "a\0", "x" * 201])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        shelf.checked_name(name)


def test_the_report_of_another_run_moves_aside_whole(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    before = made([first], tmp_path)
    held = {name: (before.html.parent / name).read_bytes() for name in names(before.html.parent)}
    after = made([second], tmp_path)
    away = before.html.parent / first.run_id
    assert after.moved_to == away
    assert {name: (away / name).read_bytes() for name in names(away)} == held
    assert second.run_id in after.html.read_text(encoding="utf-8")
    assert made([second], tmp_path).moved_to is None
    assert made([first], tmp_path).moved_to == before.html.parent / second.run_id


def test_files_that_do_not_come_again_are_removed_and_others_stay(tmp_path: Path) -> None:
    one = run(tmp_path)
    folder = made([one], tmp_path).html.parent
    (folder / "plots" / "old.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("mine")
    stored = json.loads((folder / "report.json").read_text())
    stored["files"]["plots"] = ["plots/old.png"]
    (folder / "report.json").write_text(json.dumps(stored))
    made([one], tmp_path)
    assert "plots/old.png" not in names(folder)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("path", ["../../outside", "/etc/hostname", "", "plots/../../x", 7])
def test_what_a_report_json_claims_outside_of_its_folder_is_left_alone(tmp_path: Path, path: Any) -> None:
    one = run(tmp_path)
    folder = made([one], tmp_path).html.parent
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "reports" / "x").write_text("mine")
    for claim in ({"id": "other", "files": {"html": path}}, {"id": path or "..", "files": {"html": "report.html"}}):
        (folder / "report.json").write_text(json.dumps(claim))
        assert made([one], tmp_path).moved_to is None
    assert (tmp_path / "outside").read_text() == (tmp_path / "reports" / "x").read_text() == "mine"


def test_several_runs_have_a_folder_of_their_own_and_one_id(tmp_path: Path) -> None:
    one, two = run(tmp_path), run(tmp_path, "other")
    files = made([one, two], tmp_path)
    assert files.html.parent.name == "demo+other"
    assert shelf.id_of([one, two]) == shelf.id_of([two, one]) != shelf.id_of([one])
    assert made([two, one], tmp_path, name="demo+other").moved_to is None


def test_marks_are_in_the_names_of_files(tmp_path: Path) -> None:
    fake = made([run(tmp_path, engine="fake")], tmp_path)
    assert (fake.html.name, fake.csv.name) == ("report-fake.html", "trials-fake.csv")
    both = made([run(tmp_path), run(tmp_path, "other", engine="fake")], tmp_path)
    assert both.html.name == "report-partly-fake.html"
    assert both.summary["mark"] == "partly-fake"
    assert [part["mark"] for part in both.summary["parts"]] == [None, "fake"]


def test_a_folder_that_cannot_be_cleared_is_a_store_error(tmp_path: Path) -> None:
    one = run(tmp_path)
    files = made([one], tmp_path)
    files.html.unlink()
    files.html.mkdir()
    with pytest.raises(StoreError, match="can't be cleared"):
        shelf.clear(files.html.parent, one.run_id, ["report-fake.html"])
