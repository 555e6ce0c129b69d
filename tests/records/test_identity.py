"""The mark of a run's processes: its own for each folder."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vbench.errors import StoreError
from vbench.records import identity, runs
from vbench.records.runs import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = runs.create(tmp_path / "results", "small", datetime(2026, 11, 22, tzinfo=UTC))
    runs.write_json_atomic(made.run_json, {"name": "small", **identity.new_identity(made)})
    return made


def test_a_folder_keeps_its_mark(run: RunFolder, tmp_path: Path) -> None:
    facts = runs.read_json(run.run_json)
    assert identity.own_facts(run) == (facts, [])

    moved = RunFolder(run.path.rename(tmp_path / "elsewhere"))
    assert identity.own_facts(moved) == (facts, [])


def test_a_copy_gets_its_own(run: RunFolder, tmp_path: Path) -> None:
    first = identity.uid_of(runs.read_json(run.run_json))
    copy = RunFolder(shutil.copytree(run.path, tmp_path / "copy"))
    facts, notes = identity.own_facts(copy)

    assert identity.uid_of(facts) != first
    assert identity.first_uid(facts) == first
    assert facts["name"] == "small"
    assert "was copied" in notes[0]
    assert runs.read_json(copy.run_json) == facts
    assert identity.own_facts(copy) == (facts, [])
    again, _ = identity.own_facts(RunFolder(shutil.copytree(copy.path, tmp_path / "again")))
    assert identity.first_uid(again) == first


def test_a_run_of_before_has_its_mark(run: RunFolder) -> None:
    facts = runs.read_json(run.run_json)
    del facts["folder_inode"]
    runs.write_json_atomic(run.run_json, facts)

    found, notes = identity.own_facts(run)
    assert found["run_uid"] == facts["run_uid"]
    assert found["folder_inode"] == run.path.stat().st_ino
    assert notes == []


@pytest.mark.parametrize("uid", [None, "", "0" * 31, "*"])
def test_no_sound_mark(run: RunFolder, uid: str | None) -> None:
    runs.write_json_atomic(run.run_json, {"run_uid": uid})

    with pytest.raises(StoreError, match="no sound `run_uid`"):
        identity.own_facts(run)
