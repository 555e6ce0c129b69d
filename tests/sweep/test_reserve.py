"""Budgets and what comes after the search: room is kept for it, and what was cut short is told of and made later."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.process import BASE
from tests.records.builders import make_record
from tests.sweep.conftest import Sweeps
from tests.sweep.test_phases import NOISY, SEARCH, of_origin, said
from vbench.progress import Standing
from vbench.records import runs
from vbench.spec.loader import parse_spec
from vbench.sweep.budget import Budget
from vbench.sweep.limits import Limits
from vbench.sweep.reserve import search_stop


def test_the_time_budget_is_of_the_whole_run(sweep: Sweeps) -> None:
    extra = NOISY.replace("seed: 1", "seed: 1, load_seconds: 0.25")
    result = sweep(f"{extra}{SEARCH.replace('trials: 6', 'trials: 20')}, timeout: 3s}}\n")
    assert result.status == "out_of_time"
    assert len(of_origin(result, "search")) < 12  # each takes 0.25 s and more
    without = sweep(f"{extra}{SEARCH}, timeout: 1ms}}\n", new=True)
    assert without.status == "out_of_time"
    assert without.records == ()


def test_finals_that_a_budget_cuts_short_are_told_of_and_made_later(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sweep(f"{NOISY}{SEARCH}}}\n")

    def spent_after_two_finals(*_: object) -> str | None:
        assert sweep.heard.info is not None
        return "gpu_hours" if sweep.heard.info.standing.finals_done == 2 else None

    with monkeypatch.context() as patch:
        patch.setattr(Budget, "may_start", spent_after_two_finals)
        cut = sweep(f"{NOISY}{SEARCH}}}\n", new=True)
    assert cut.status == "gpu_hours"
    assert said(cut) == said(whole)[:8]
    assert sweep.heard.summary is not None
    (note,) = sweep.heard.summary.notes
    assert note == "only 2 of 6 finals were made, as the GPU-hours are spent: the lead of the best may be luck"
    assert said(sweep(f"{NOISY}{SEARCH}}}\n")) == said(whole)


def test_a_search_leaves_time_for_what_comes_after_it(tmp_path: Path) -> None:
    now = [0.0]
    run = runs.create(tmp_path, "small", datetime.now(UTC))
    spec = parse_spec(BASE, tmp_path / "small.yaml")
    budget = Budget(spec, run, Limits(timeout_s=100.0), clock=lambda: now[0])
    # Trials of 5 s: 30 s for 6 finals.
    standing = Standing(planned=50, finals_expected=6, trials_s=20.0, num_timed=4)
    now[0] = 69.0
    assert search_stop(budget, standing) is None
    now[0] = 71.0
    assert search_stop(budget, standing) == "out_of_time"
    standing.trials_s = 400.0  # of 100 s: finals would take it all, and have a third
    now[0] = 66.0
    assert search_stop(budget, standing) is None
    standing.has_random_arm, standing.search_s, standing.random_s = True, 12.0, 10.0
    assert search_stop(budget, standing) == "out_of_time"


def test_a_search_on_several_gpus_leaves_gpu_hours_for_what_comes_after_it(tmp_path: Path) -> None:
    run = runs.create(tmp_path, "small", datetime.now(UTC))
    spec = parse_spec(BASE, tmp_path / "small.yaml")
    budget = Budget(spec, run, Limits(gpu_hours=1.0), clock=lambda: 0.0)
    standing = Standing(planned=50, finals_expected=4)
    for trial in range(13):  # 100 s on 2 GPUs each: 4 finals take 800 GPU-seconds
        assert search_stop(budget, standing) is None
        budget.trial_ended(make_record(trial, duration_s=100.0), gpus=2)
        standing.trials_s, standing.num_timed = standing.trials_s + 100.0, standing.num_timed + 1
    assert search_stop(budget, standing) is None  # 1,000 are left
    budget.trial_ended(make_record(13, duration_s=101.0), gpus=2)
    assert search_stop(budget, standing) == "gpu_hours"
