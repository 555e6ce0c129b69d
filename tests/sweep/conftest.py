"""A sweep run within the test's own process, for what needs no process of vbench; and the command, for what does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, Vbench
from vbench.progress import RunInfo, RunSummary
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point
from vbench.sweep.prepared import prepare
from vbench.sweep.result import SweepResult
from vbench.sweep.start import run_sweep


class Recorder:
    """A listener that keeps what it hears; `on_trial` is called with each message of a running trial."""

    def __init__(self, on_event: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.on_event = on_event
        self.said: list[str] = []
        self.info: RunInfo | None = None
        self.status = ""
        self.summary: RunSummary | None = None

    @property
    def notes(self) -> str:
        assert self.info is not None
        return "\n".join(self.info.notes)

    def run_started(self, info: RunInfo) -> None:
        self.info = info
        self.said.append("run_started")

    def engine_starting(self) -> None:
        self.said.append("engine_starting")

    def engine_ready(self, fork_blocker: str | None, seconds: float) -> None:
        self.said.append("engine_ready")

    def trial_started(self, number: int, point: Point, origin: str) -> None:
        self.said.append(f"trial_started {number}")

    def trial_event(self, message: dict[str, Any]) -> None:
        self.on_event(message)

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        self.said.append(f"trial_finished {record.trial}")

    def run_finished(self, run: RunFolder, summary: RunSummary, status: str) -> None:
        self.status, self.summary = status, summary
        self.said.append("run_finished")


class Sweeps:
    """Runs sweeps under one results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard = Recorder()

    def __call__(
        self, extra: str = "", *, new: bool = False, listener: Recorder | None = None, base: str = BASE,
        warm_start: Sequence[RunFolder] = (),
    ) -> SweepResult:  # fmt: skip
        self.heard = listener or Recorder()
        prepared = prepare(parse_spec(base + extra, self.folder / "small.yaml"))
        return run_sweep(prepared, self.folder / "results", self.heard, force_new=new, warm_start=warm_start)


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Sweeps(tmp_path)


@pytest.fixture
def vbench(tmp_path: Path) -> Vbench:
    return Vbench(tmp_path)
