"""What comes after the search: the random arm and the finals, whole and cut short; and what ends a search early."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.process import BASE, run_facts
from tests.sweep.conftest import Recorder, Sweeps
from vbench.analysis import ranking
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.sweep import agenda, search_phase
from vbench.sweep.result import SweepResult

# Passes of one trial take 0.634 and 1.347 of their time: whatever lies within a factor of 2 overlaps.
NOISY = """\
engine_args: {noise: 0.5, seed: 1}
parameters:
  max_num_seqs: [1, 2, 4]
  quantization: [none, awq, gptq]
  block_size: [16, 32, 64]
"""
SEARCH = "search: {method: random, trials: 6, seed: 4, finalists: 3, final_rounds: 2"
SHAPED = BASE.replace("org/name", "facebook/opt-125m")
"""The model's own 2,048 tokens are known to the planner, not to the fake engine."""


def said(result: SweepResult) -> list[tuple[Any, ...]]:
    return [(one.trial, one.origin, one.repeat_of, tuple(one.parameters.items())) for one in result.records]


def of_origin(result: SweepResult, origin: str) -> list[TrialRecord]:
    return [one for one in result.records if one.origin == origin]


class Cutter(Recorder):
    """Ends the sweep in the middle of each trial, once a trial; `at_the_end`: when its record is on disk."""

    def __init__(self, *, at_the_end: bool = False) -> None:
        super().__init__(self.heard)
        self.at_the_end = at_the_end
        self.cut: set[str] = set()

    def heard(self, message: dict[str, Any]) -> None:
        if message["event"] == "pass" and not self.at_the_end:
            self.end_once()

    def trial_finished(self, record: TrialRecord, best: TrialRecord | None) -> None:
        super().trial_finished(record, best)
        if self.at_the_end:
            self.end_once()

    def end_once(self) -> None:
        if self.said[-1] not in self.cut:
            self.cut.add(self.said[-1])
            raise KeyboardInterrupt


def run_cut(sweep: Sweeps, extra: str, listener: Cutter) -> SweepResult:
    """As often as it takes."""
    while True:
        try:
            return sweep(extra, listener=listener)
        except KeyboardInterrupt:
            assert listener.status == "interrupted"


def test_finals_measure_the_best_again_in_turns(sweep: Sweeps) -> None:
    result = sweep(f"{NOISY}{SEARCH}}}\n")
    own, finals = of_origin(result, "search"), of_origin(result, "final")
    assert result.status == "finished"
    assert [one.trial for one in own] == list(range(6))
    order = ranking.ranked(own, ranking_objective(sweep))
    chosen = [one.trial for one in (order[0], *ranking.contenders(order, ranking_objective(sweep)))][:3]
    assert len(chosen) == 3
    assert [one.repeat_of for one in finals] == [*chosen, *reversed(chosen)]  # there and back: drift cancels
    for final in finals:
        assert final.config == own[final.repeat_of or 0].config
        assert final.parameters == own[final.repeat_of or 0].parameters
    assert result.best is not None
    assert result.best.trial in chosen
    assert (result.best.model_extra or {})["remeasured"]
    assert sweep.heard.info is not None
    standing = sweep.heard.info.standing
    assert (standing.done, standing.finals_done, standing.finals_planned, standing.place) == (6, 6, 6, "finals 6/6")


def test_a_best_that_stands_alone_is_not_measured_again(sweep: Sweeps) -> None:
    extra = NOISY.replace("noise: 0.5, seed: 1", "seed: 1")
    result = sweep(f"{extra}{SEARCH}}}\n")
    assert len(result.records) == 6
    assert result.status == "finished"


def test_with_one_pass_no_spread_is_known_and_the_first_few_are_measured_again(sweep: Sweeps) -> None:
    result = sweep(f"{NOISY}{SEARCH}}}\n", base=BASE.replace("passes: 2", "passes: 1"))
    assert len(of_origin(result, "final")) == 6


def test_a_run_whose_finals_are_made_has_nothing_left_to_do(sweep: Sweeps) -> None:
    first = sweep(f"{NOISY}{SEARCH}}}\n")
    again = sweep(f"{NOISY}{SEARCH}}}\n")
    assert said(again) == said(first)
    assert sweep.heard.info is not None
    assert sweep.heard.info.is_complete
    assert again.best is not None
    assert first.best is not None
    assert (again.best.trial, again.best.passes) == (first.best.trial, first.best.passes)
    more = sweep(f"{NOISY}{SEARCH.replace('rounds: 2', 'rounds: 3')}}}\n")
    assert len(of_origin(more, "final")) == 9


@pytest.mark.parametrize("at_the_end", [False, True])
def test_cut_in_every_trial_it_ends_with_the_same_trials(sweep: Sweeps, *, at_the_end: bool) -> None:
    # Not engine defaults: these are as fast as max_num_seqs 4, and a tie is decided by memory.
    extra = f"{NOISY}baseline: {{max_num_seqs: 1, quantization: none, block_size: 16}}\n{SEARCH}}}\n"
    whole = sweep(extra)
    assert len(whole.records) == 12
    cutter = Cutter(at_the_end=at_the_end)
    sweep.folder = sweep.folder / "cut"
    sweep.folder.mkdir()
    cut = run_cut(sweep, extra, cutter)
    assert said(cut) == said(whole)
    assert len(cutter.cut) == 12
    assert cut.best is not None
    assert whole.best is not None
    assert cut.best.trial == whole.best.trial


def test_the_random_arm_takes_as_long_as_the_search_and_repeats_nothing(sweep: Sweeps) -> None:
    extra = f"{NOISY}baseline: {{}}\nsearch: {{method: tpe, trials: 6, seed: 4, random_arm: true}}\n"
    result = sweep(extra)
    configs = [tuple(sorted(one.parameters.items())) for one in result.records]
    assert len(set(configs)) == len(configs)
    arm = run_facts(result.run.path)["random_arm"]
    search_s = sum(one.duration_s or 0.0 for one in of_origin(result, "search"))
    own_s = sum(one.duration_s or 0.0 for one in of_origin(result, "random"))
    by_number = {one.trial: one for one in result.records}
    borrowed_s = sum(by_number[trial].duration_s or 0.0 for trial in arm["borrowed"])
    assert arm["engine_s"] == pytest.approx(own_s + borrowed_s, abs=0.01)
    assert arm["engine_s"] >= search_s - 0.01
    assert all(by_number[trial].origin in ("search", "baseline") for trial in arm["borrowed"])
    assert all(one.stopped is None for one in of_origin(result, "random"))
    again = sweep(extra)
    assert said(again) == said(result)
    assert run_facts(result.run.path)["random_arm"] == arm


def test_the_search_hears_nothing_of_the_random_arm_and_the_finals(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vbench.search.grid import GridSearch

    told: list[str] = []
    monkeypatch.setattr(GridSearch, "tell", lambda _, record: told.append(record.origin))
    extra = f"{NOISY}baseline: {{}}\nsearch: {{method: grid, trials: 3, finalists: 2, random_arm: true}}\n"
    result = sweep(extra)
    assert of_origin(result, "random")
    assert of_origin(result, "final")
    assert told == ["baseline", "search", "search"]
    sweep(extra)
    assert told == ["baseline", "search", "search"] * 2


def test_what_is_refused_does_not_count(sweep: Sweeps) -> None:
    lengths = "parameters: {max_model_len: [4096, 5120, 6144, 1024, 2048]}\n"
    result = sweep(f"{lengths}search: {{method: grid, trials: 2}}\n", base=SHAPED)
    outcomes = [one.outcome for one in result.records]
    assert outcomes == [Outcome.INFEASIBLE] * 3 + [Outcome.COMPLETED] * 2
    assert result.status == "finished"
    assert sweep.heard.info is not None
    assert (sweep.heard.info.standing.done, sweep.heard.info.standing.planned) == (2, 2)


def test_a_search_of_which_all_is_refused_comes_to_an_end(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_phase, "MOST_REFUSED", 7)
    monkeypatch.setattr(agenda, "MOST_REFUSED", 7)
    lengths = "parameters: {max_model_len: {low: 4096, high: 8192}}\n"
    extra = f"{lengths}search: {{method: random, trials: 3, random_arm: true}}\n"
    for _ in range(2):  # and so it stays
        result = sweep(extra, base=SHAPED)
        assert result.status == "exhausted"
        assert [one.outcome for one in result.records] == [Outcome.INFEASIBLE] * 7
        assert "engine_starting" not in sweep.heard.said
        assert sweep.heard.summary is not None
        assert "refused 7 configurations in a row" in "".join(sweep.heard.summary.notes)


def test_best_md_and_the_ledger_are_kept(sweep: Sweeps) -> None:
    result = sweep(f"{NOISY}{SEARCH}}}\n")
    assert result.best is not None
    assert f"the best is trial {result.best.trial}" in result.run.best_md.read_text()
    (line,) = result.run.ledger_jsonl.read_text().splitlines()
    assert '"trials": 12' in line
    assert '"status": "finished"' in line


def test_a_warm_start_is_told_first_and_remembered(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    from vbench.search.grid import GridSearch

    teacher = sweep(f"{NOISY}search: {{method: random, trials: 3}}\n", base=BASE.replace("small", "teacher"))
    told: list[list[int]] = []
    monkeypatch.setattr(GridSearch, "tell_prior", lambda _, records: told.append([one.trial for one in records]))
    extra = f"{NOISY}search: {{method: grid, trials: 2}}\n"
    result = sweep(extra, warm_start=[teacher.run])
    assert "3 of its 3 trials are taken over as hints" in sweep.heard.notes
    assert run_facts(result.run.path)["warm_start"] == [f"teacher/{teacher.run.run_id}"]
    sweep(extra.replace("trials: 2", "trials: 3"))
    assert told == [[0, 1, 2]] * 2
    teacher.run.run_json.unlink()
    teacher.run.trials_jsonl.unlink()
    sweep(extra.replace("trials: 2", "trials: 4"))
    assert "is gone: the search goes on without" in sweep.heard.notes


def ranking_objective(sweep: Sweeps) -> Any:
    assert sweep.heard.info is not None
    return sweep.heard.info.spec.objective
