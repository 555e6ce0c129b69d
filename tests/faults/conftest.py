"""What every test of the fault matrix has: counts, a command in a folder of its own, and a look at what is left."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Vbench
from tests.faults import left_over
from tests.faults.matrix import Counts, Row

_GONE_WITHIN_S = 120.0
"""Killed processes may take so long to leave a busy machine."""
_ROWS = pytest.StashKey[dict[tuple[str, str], Row]]()
_COUNTS = pytest.StashKey[Counts]()
JSON_NAME = "VBENCH_FAULTS_JSON"
"""Of the variable that says where the counts are written."""


class MarkedVbench(Vbench):
    """The command, its processes marked as the test's."""

    def environment(self, **changes: str) -> dict[str, str]:
        """As `Vbench.environment`."""
        return {**super().environment(**changes), left_over.MARK: os.environ[left_over.MARK]}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line("markers", "fault(part, name, promise): a row of the fault matrix")
    config.stash[_ROWS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count a test once it is over."""
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is None:
        return report
    part, name, promise = mark.args
    rows = item.config.stash[_ROWS]
    row = rows.setdefault((part, name), Row(part=part, name=name, promise=promise))
    if report.skipped:
        row.skipped += 1
        item.stash[_FAILED] = None
    elif report.failed:
        item.stash[_FAILED] = True
    if report.when == "teardown" and item.stash.get(_FAILED, False) is not None:
        row.add(item.stash.get(_COUNTS, Counts()), has_passed=not item.stash.get(_FAILED, False))
    return report


_FAILED = pytest.StashKey[bool | None]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the counts where somebody asked for them."""
    path = os.environ.get(JSON_NAME)
    if path:
        rows = [row.as_json() for row in session.config.stash[_ROWS].values()]
        Path(path).write_text(json.dumps(rows), encoding="utf-8")


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counts:
    """What the test sees, beyond whether it passes."""
    found: Counts = request.node.stash.setdefault(_COUNTS, Counts())
    return found


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty folder with a short path: sockets below it must have room for their names."""
    path = Path(tempfile.mkdtemp(prefix="vf-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def vbench(short_folder: Path) -> Vbench:
    """The installed command in a folder of its own."""
    return MarkedVbench(short_folder)


@pytest.fixture(autouse=True)
def nothing_is_left(
    counts: Counts,
    short_folder: Path,
    tmp_path: Path,  # made before TMPDIR is another
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """After each test: none of its processes, of its temporary files, of its shared memory."""
    mark = uuid.uuid4().hex
    temporary = short_folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv(left_over.MARK, mark)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before, segments = left_over.all_pids(), left_over.shared_memory()
    left_over.adopt_orphans(yes=True)
    yield
    try:
        alive = _after_a_while(lambda: left_over.processes(mark, before))
        left_over.reap()
        files = sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*"))
        shared = _after_a_while(lambda: left_over.unmapped(left_over.shared_memory() - segments)) if not alive else ()
    finally:
        left_over.adopt_orphans(yes=False)
    counts.processes_left += len(alive)
    counts.files_left += len(files) + len(shared)
    assert not alive, f"processes are left: {alive}"
    assert not files, f"temporary files are left: {files}"
    assert not shared, f"shared memory is left: {sorted(shared)}"


def _after_a_while(look: Any) -> Any:
    """What is still there after the time that a busy machine may take."""
    end = time.monotonic() + _GONE_WITHIN_S
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found
