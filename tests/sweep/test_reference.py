"""The reference, measured again after every so many trials: when, which, and what hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.analysis.test_drift import around
from tests.records.builders import make_record
from tests.sweep.conftest import Sweeps
from tests.sweep.test_phases import NOISY, SEARCH, Cutter, of_origin, run_cut, said
from tests.sweep.test_side_by_side import Two
from vbench.execution.trials import TrialRunner
from vbench.search.early_stop import EarlyStop, Plan
from vbench.search.grid import GridSearch
from vbench.spec.types import MeasureSpec, Objective
from vbench.sweep import executors, reference_phase
from vbench.sweep.agenda import Agenda
from vbench.sweep.budget import Budget
from vbench.sweep.reference_phase import ReferencePhase

AUTO = f"{NOISY}search: {{trials: 8, seed: 4, finalists: 3, final_rounds: 1, prune: false}}\n"
BASELINE = "baseline: {max_num_seqs: 1, quantization: none, block_size: 16}\n"


@pytest.fixture
def every_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_phase, "USUAL_EVERY", 3)


@pytest.mark.usefixtures("every_three")
def test_the_baseline_is_measured_again_after_every_so_many(sweep: Sweeps) -> None:
    result = sweep(BASELINE + AUTO)

    origins = [one.origin for one in result.records]
    assert origins[:10] == ["baseline", "search", "search", "reference", *["search"] * 3, "reference", *["search"] * 2]
    assert {one.repeat_of for one in of_origin(result, "reference")} == {0}
    assert {one.parameters["max_num_seqs"] for one in of_origin(result, "reference")} == {1}
    assert sweep.heard.info is not None
    standing = sweep.heard.info.standing
    assert (standing.done, standing.planned, standing.num_records) == (8, 8, len(result.records))
    assert result.best is not None
    assert result.best.origin != "reference"
    assert "reference" not in {result.records[one.repeat_of or 0].origin for one in of_origin(result, "final")}


@pytest.mark.parametrize("at_the_end", [False, True])
def test_cut_in_every_trial_it_comes_at_the_same_places(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch, *, at_the_end: bool
) -> None:
    """By a method that asks the same however long trials take."""
    monkeypatch.setattr(ReferencePhase, "every", 3)
    extra = f"{BASELINE}{NOISY}search: {{method: random, trials: 8, seed: 4}}\n"
    whole = sweep(extra)
    sweep.folder = sweep.folder / "cut"
    sweep.folder.mkdir()

    cut = run_cut(sweep, extra, Cutter(at_the_end=at_the_end))

    assert len(of_origin(cut, "reference")) == 2
    assert said(cut) == said(whole)


@pytest.mark.usefixtures("every_three")
def test_without_a_baseline_it_is_the_first_that_completed(sweep: Sweeps) -> None:
    first = sweep(AUTO.replace("noise", "fail: none, noise"))

    assert [one.repeat_of for one in of_origin(first, "reference")] == [0, 0]


@pytest.mark.usefixtures("every_three")
def test_it_runs_alone(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two: none is started beside it, and it is started beside none."""
    running: list[list[str]] = []

    class Watched(Two):
        def start(self, job: Any) -> None:
            super().start(job)
            running.append([one.origin for one in self.jobs])

    monkeypatch.setattr(executors, "Inline", Watched)
    result = sweep(BASELINE + AUTO)

    assert len(of_origin(result, "reference")) >= 1
    assert ["search", "search"] in running
    assert [one for one in running if "reference" in one] == [["reference"]] * len(of_origin(result, "reference"))


@pytest.mark.usefixtures("every_three")
@pytest.mark.parametrize(
    ("search", "expected"),
    [(SEARCH + "}\n", 0), (SEARCH.replace("random", "auto") + "}\n", 1), ("search: {trials: 3}\n", 0)],
)
def test_unasked_only_where_the_method_is_ours_and_the_search_is_long(
    sweep: Sweeps, search: str, expected: int
) -> None:
    assert len(of_origin(sweep(NOISY + search), "reference")) == expected


@pytest.mark.usefixtures("every_three")
@pytest.mark.parametrize(("every", "expected"), [(0, 0), (2, 3), (7, 1), (8, 0)])
def test_as_asked(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch, every: int, expected: int) -> None:
    asked = MeasureSpec(warmup_passes=0, passes=2, reference_every=every)
    made = ReferencePhase.__init__

    def with_asked(self: ReferencePhase, maker: Any, budget: Budget) -> None:
        made(self, maker, budget)
        maker.spec = replace(maker.spec, measure=asked)

    monkeypatch.setattr(ReferencePhase, "__init__", with_asked)

    assert len(of_origin(sweep(AUTO), "reference")) == expected


@pytest.mark.usefixtures("every_three")
def test_where_no_time_is_left_there_is_none(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget ends with the trial before it: the run ends too, and doesn't wait for a reference."""
    monkeypatch.setattr(Budget, "may_start", lambda budget, _=1: "session_end" if budget._line.trials >= 3 else None)

    result = sweep(AUTO)

    assert [one.origin for one in result.records] == ["search"] * 3
    assert result.status == "session_end"


@pytest.mark.usefixtures("every_three")
def test_it_has_an_engine_of_its_own(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = AUTO.replace("  block_size: [16, 32, 64]", "  sampling.temperature: [0.0, 0.2, 0.4]")
    released: list[str] = []
    release = TrialRunner.release

    def noted(self: TrialRunner) -> None:
        released.append("release")
        release(self)

    monkeypatch.setattr(TrialRunner, "release", noted)
    result = sweep(shared)

    references = of_origin(result, "reference")
    assert len(references) == 2
    assert [one.environment["worker_start"] for one in references] == ["fork", "fork"]
    assert released


def test_the_search_hears_nothing_of_it(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(ReferencePhase, "every", 3)
    monkeypatch.setattr(GridSearch, "tell", lambda _, record: told.append(record.origin))
    extra = f"{NOISY}{BASELINE}search: {{method: grid, trials: 5}}\n"

    assert len(of_origin(sweep(extra), "reference")) == 1
    assert told == ["baseline", *["search"] * 4]
    sweep(extra)
    assert told == ["baseline", *["search"] * 4] * 2


def test_early_stops_learn_nothing_of_it() -> None:
    rule = EarlyStop(
        Objective(metric="output_throughput_tok_s", direction="maximize"),
        Plan(prompts=10, passes=3, warmup_passes=1, probe_prompts=0),
    )
    rule.learn(make_record(0, around(250.0)))
    rule.learn(make_record(1, around(400.0), origin="reference", repeat_of=0))

    assert rule.best is not None
    assert rule.best.trial == 0


@pytest.mark.usefixtures("every_three")
def test_a_machine_that_has_changed_is_a_warning_of_the_reference(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reference's passes are made to look 8 % longer."""
    noted: Callable[..., Any] = Agenda.noted

    def slower(self: Agenda, job: Any, record: Any) -> Any:
        if job.origin == "reference":
            passes = [one.model_copy(update={"duration_s": one.duration_s * 1.08}) for one in record.passes]
            record = record.model_copy(update={"passes": passes})
        return noted(self, job, record)

    monkeypatch.setattr(Agenda, "noted", slower)
    result = sweep(BASELINE + AUTO.replace("noise: 0.5", "noise: 0.001"))

    for record in of_origin(result, "reference"):
        (warning,) = [one for one in record.warnings if one.startswith("the reference, trial 0")]
        assert "measured again is 7." in warning
        assert "slower" in warning
