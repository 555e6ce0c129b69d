"""The matrix itself: it sees what is left, and it counts what is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.process import SMALL, Vbench, records_of
from tests.faults import left_over
from tests.faults.matrix import Counts, Row, fault


def test_a_process_that_changed_its_name_and_its_parent_is_seen(tmp_path: Path) -> None:
    before = left_over.all_pids()
    script = "import os, subprocess, sys; subprocess.Popen(['/bin/sleep', '600'], start_new_session=True, env={})"
    subprocess.run([sys.executable, "-c", script], check=True)
    found = left_over.processes(os.environ[left_over.MARK], before)
    assert list(found.values()) == ["/bin/sleep 600"]
    os.kill(next(iter(found)), 9)


def test_a_marked_process_is_seen(tmp_path: Path) -> None:
    before = left_over.all_pids()
    with subprocess.Popen(["/bin/sleep", "600"]) as child:
        assert list(left_over.processes("another", before)) == [child.pid]  # by its parent
        assert list(left_over.processes(os.environ[left_over.MARK], before)) == [child.pid]
        child.kill()
    assert not left_over.processes(os.environ[left_over.MARK], before)


def test_shared_memory_that_nobody_maps_is_seen() -> None:
    before = left_over.shared_memory()
    path = left_over.SHARED_MEMORY / f"vbench-test-{os.getpid()}"
    path.write_bytes(b"x")
    try:
        assert path.name in left_over.unmapped(left_over.shared_memory() - before)
    finally:
        path.unlink()


def test_lost_and_doubled_records_are_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"trial": number}) for number in (0, 1, 1, 3)]
    (tmp_path / "trials.jsonl").write_text("\n".join([*lines, '{"trial": 4']), encoding="utf-8")
    seen = Counts()
    with pytest.raises(AssertionError, match=r"no record of \[2, 4\]"):
        seen.records(tmp_path, 5)
    assert (seen.records_lost, seen.records_doubled) == (2, 1)
    with pytest.raises(AssertionError, match="twice"):
        seen.records(tmp_path, (0, 1, 3))


@pytest.mark.parametrize("where", [lambda folder: folder, lambda _: "a hf_planted b"])
def test_secrets_are_found(tmp_path: Path, where: Callable[[Path], Path | str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "log").write_bytes(b"\xff token=hf_planted\n")
    seen = Counts()
    with pytest.raises(AssertionError, match="the secret stands in"):
        seen.secrets(where(tmp_path), "hf_planted")
    assert seen.secrets_found == 1
    seen.secrets(tmp_path, "hf_other")


def test_a_row_adds_up() -> None:
    row = Row(part="engine", name="x", promise="y")
    row.add(Counts(faults_tried=50), has_passed=True)
    row.add(Counts(faults_tried=3, records_lost=1), has_passed=False)
    shown = row.as_json()
    assert (shown["tests"], shown["faults_tried"], shown["survived"], shown["records_lost"]) == (2, 53, 50, 1)


@fault("vbench", "nothing at all", "every trial has one record, and nothing is left")
def test_without_a_fault(vbench: Vbench, counts: Counts) -> None:
    vbench("sweep", vbench.write(SMALL), check=0)
    counts.records(vbench.run(), 5)
    assert len(records_of(vbench.run())) == 5
