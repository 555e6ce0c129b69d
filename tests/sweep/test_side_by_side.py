"""The loop with an executor that has room for two, whose trials end in another order than they began."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.sweep.conftest import Sweeps
from tests.sweep.test_phases import NOISY, SEARCH, Cutter, of_origin, run_cut, said
from vbench.execution.runner import OnEvent
from vbench.execution.trials import TrialRunner
from vbench.records.record import TrialRecord
from vbench.sweep import executors
from vbench.sweep.jobs import Inline, Job, read_pending, run_job


class Two(Inline):
    """Of two that were started, the later ends first."""

    def __init__(self, runner: TrialRunner, on_event: OnEvent) -> None:
        super().__init__(runner, on_event)
        self.jobs: list[Job] = []

    @property
    def running(self) -> Sequence[Job]:
        return tuple(self.jobs)

    @property
    def has_room(self) -> bool:
        return len(self.jobs) < 2

    def start(self, job: Job) -> None:
        self.jobs.append(job)

    def wait(self) -> tuple[Job, TrialRecord]:
        record = run_job(self.runner, self.jobs[-1], lambda _: None)
        return self.jobs.pop(), record


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "Inline", Two)


def test_each_phase_begins_when_the_last_has_ended(sweep: Sweeps) -> None:
    result = sweep(f"{NOISY}{SEARCH}, random_arm: true}}\n")
    records = result.records
    assert sorted(one.trial for one in records) == list(range(len(records)))
    assert [one.trial for one in records] != list(range(len(records)))
    origins = [one.origin for one in records]
    assert origins == sorted(origins, key=["search", "random", "final"].index)
    assert (origins.count("search"), origins.count("final")) == (6, 6)
    first = [tuple(one.parameters.items()) for one in records if one.origin != "final"]
    assert len(set(first)) == len(first)


def test_what_ran_beside_another_when_all_was_cut_short_is_run_with_its_number(sweep: Sweeps) -> None:
    extra = f"{NOISY}{SEARCH}}}\n"
    whole = sweep(extra)
    sweep.folder = sweep.folder / "cut"
    sweep.folder.mkdir()
    cutter = Cutter(at_the_end=True)
    with pytest.raises(KeyboardInterrupt):
        sweep(extra, listener=cutter)
    assert cutter.info is not None
    assert [one["trial"] for one in read_pending(cutter.info.run)] == [0, 1]
    cut = run_cut(sweep, extra, cutter)
    assert sorted(said(cut)[:6]) == sorted(said(whole)[:6])
    assert len(of_origin(cut, "final")) == 6
    assert sorted(one.trial for one in cut.records) == list(range(12))
