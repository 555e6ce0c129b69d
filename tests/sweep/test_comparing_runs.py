"""Whole comparisons: what they leave, cut short and gone on with, and sides that can't be measured."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.cli.process import SMALL, run_facts
from tests.sweep.comparisons import TWO, Comparisons, Heard, sides
from tests.sweep.conftest import Sweeps
from vbench.analysis.paired import FEWEST_PAIRS, ratio_of_pairs
from vbench.errors import StoreError
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import is_comparison
from vbench.sweep.comparing import Side, pairs_of_records, values_of_records
from vbench.sweep.comparing_session import Progress, Until

METRIC = "output_throughput_tok_s"
SHAPED = SMALL.replace("org/name", "facebook/opt-125m")
"""The model's own 2,048 tokens are known to the planner, not to the fake engine."""


@pytest.fixture
def comparing(sweep: Sweeps) -> Comparisons:
    return Comparisons(sweep.folder)


def test_two_ways_to_set_a_file_are_measured_in_turns(comparing: Comparisons) -> None:
    found = comparing.of_file("max_num_seqs=1", "max_num_seqs=4")
    result = comparing(found)
    assert result.status == "finished"
    assert sides(result) == [(0, "A", 0), (1, "B", 0), (2, "B", 1), (3, "A", 1)] == comparing.heard.turns
    slow, fast = 4 * (8 * 1e-5 + 8 * 0.0105), 4 * 8 * 1e-5 + 8 * 0.012  # seconds for 32 tokens
    for pair in result.pairs:
        assert list(pair) == pytest.approx([32 / slow, 32 / fast], rel=1e-4)
    assert result.pairs == values_of_records(result.records, METRIC)
    for record in result.records:
        assert (record.origin, record.outcome) == ("compare", Outcome.COMPLETED)
        assert result.run.log(record.trial).exists()
        assert "load" in [phase.name for phase in record.phases]  # a start of its own
    assert [one.config["max_num_seqs"] for one in result.records] == [1, 4, 4, 1]
    assert [one.parameters for one in result.records[:2]] == [{"max_num_seqs": 1}, {"max_num_seqs": 4}]
    assert comparing.heard.progress[-1].ratio == ratio_of_pairs(result.pairs)


def test_its_run_folder_is_like_any_other(comparing: Comparisons) -> None:
    result = comparing(comparing.of_file("max_num_seqs=1", "max_num_seqs=4 environment.API_KEY=abc"))
    assert result.run.sweep == "compare-small"
    assert is_comparison(result.run)
    facts = run_facts(result.run.path)
    assert (facts["status"], facts["num_pairs"], facts["most_pairs"], facts["detect"]) == ("finished", 2, 2, 0.03)
    assert facts["sides"]["B"]["title"] == "max_num_seqs=4 environment.API_KEY=abc".replace("abc", "***")
    assert facts["sides"]["B"]["set"] == ["max_num_seqs=4", "environment.API_KEY=***"]
    assert facts["sides"]["B"]["config"]["max_num_seqs"] == 4
    assert "abc" not in result.run.trials_jsonl.read_text() + result.run.run_json.read_text()
    for path in (result.run.sweep_yaml, result.run.prompts_jsonl, result.run.machine_json):
        assert path.stat().st_size > 0
    assert not result.run.pending_json.exists()


def test_a_finished_comparison_is_made_anew_and_an_unfinished_one_goes_on(comparing: Comparisons) -> None:
    found = comparing.of_file("max_num_seqs=1", "max_num_seqs=4")
    first = comparing(found, dataclasses.replace(TWO, timeout_s=0.0))
    assert (first.status, first.pairs) == ("out_of_time", [])
    assert not comparing.heard.is_started
    again = comparing(found)
    assert (again.run, again.status) == (first.run, "finished")
    assert comparing(found).run != first.run
    unfinished = comparing(found, dataclasses.replace(TWO, timeout_s=0.0))
    assert comparing(comparing.of_file("max_num_seqs=2", "max_num_seqs=4")).run != unfinished.run
    assert comparing(found, new=True).run != unfinished.run


class Cutter(Heard):
    """Ends the comparison in the middle of each trial, or once its record is on disk, once a trial."""

    def __init__(self, *, at_the_end: bool) -> None:
        super().__init__(self.end_in_the_middle)
        self.at_the_end = at_the_end
        self.cut: list[tuple[int, Side, int]] = []

    def end_in_the_middle(self, message: dict[str, Any]) -> None:
        if message["event"] == "pass" and not self.at_the_end:
            self.end_once()

    def trial_ended(self, record: TrialRecord, progress: Progress) -> None:
        if self.at_the_end:
            self.end_once()

    def end_once(self) -> None:
        if self.turns[-1] not in self.cut and len(self.cut) < 12:
            self.cut.append(self.turns[-1])
            raise KeyboardInterrupt


@pytest.mark.parametrize("at_the_end", [False, True])
def test_cut_in_every_trial_it_comes_to_the_same_pairs(comparing: Comparisons, *, at_the_end: bool) -> None:
    found = comparing.of_file("max_num_seqs=1", "max_num_seqs=4")
    whole = comparing(found)
    cutter = Cutter(at_the_end=at_the_end)
    if at_the_end:  # the first of a pair is measured anew each time: let it come to an end
        cutter.cut = [(1, "B", 0)] * 6
    comparing.folder = comparing.folder / "cut"
    while True:
        try:
            result = comparing(found, heard=cutter)
            break
        except KeyboardInterrupt:
            (run,) = (comparing.folder / "results").glob("*/*")
            assert run_facts(run)["status"] == "interrupted"
    assert result.pairs == whole.pairs
    assert len(cutter.cut) > 4
    completed = [one for one in result.records if one.outcome is Outcome.COMPLETED]
    for a, b in pairs_of_records(result.records):
        assert abs(completed.index(a) - completed.index(b)) == 1  # next to each other


def test_a_half_pair_of_an_earlier_session_is_measured_anew(comparing: Comparisons) -> None:
    found = comparing.of_file("max_num_seqs=1", "max_num_seqs=4")
    cutter = Cutter(at_the_end=True)
    with pytest.raises(KeyboardInterrupt):
        comparing(found, heard=cutter)
    result = comparing(found)
    assert comparing.heard.num_earlier == 0
    assert sides(result) == [(0, "A", 0), (1, "A", 0), (2, "B", 0), (3, "B", 1), (4, "A", 1)]
    assert [(a.trial, b.trial) for a, b in pairs_of_records(result.records)] == [(1, 2), (4, 3)]


def test_a_side_that_fails_ends_it_and_what_was_measured_is_kept(comparing: Comparisons) -> None:
    result = comparing(comparing.of_file("max_num_seqs=1", "fail=exception@pass"))
    assert result.status == "failed"
    assert result.failed is not None
    assert result.failed.outcome is Outcome.CRASHED
    assert [one.outcome for one in result.records] == [Outcome.COMPLETED, Outcome.CRASHED]
    assert sides(result) == [(0, "A", 0), (1, "B", 0)]
    assert run_facts(result.run.path)["status"] == "failed"
    again = comparing(comparing.of_file("max_num_seqs=1", "fail=exception@pass"))
    assert again.run == result.run  # it isn't finished: tried again
    assert sides(again)[2:] == [(2, "A", 0), (3, "B", 0)]


def test_a_side_that_the_planner_refuses_is_recorded_once_and_nothing_is_started(comparing: Comparisons) -> None:
    comparing.write(SHAPED)
    for _ in range(2):
        result = comparing(comparing.of_file("max_model_len=1024", "max_model_len=4096"))
        assert result.status == "failed"
        assert not comparing.heard.is_started
        assert [(one.outcome, sides(result)[0][1]) for one in result.records] == [(Outcome.INFEASIBLE, "B")]
        assert result.failed is not None
        assert result.failed.failure is not None
        assert "2,048" in result.failed.failure.evidence or "2048" in result.failed.failure.evidence


def test_a_comparison_in_use_is_left_alone(comparing: Comparisons) -> None:
    found = comparing.of_file("max_num_seqs=1", "max_num_seqs=4")
    first = comparing(found, dataclasses.replace(TWO, timeout_s=0.0))
    with first.run.lock(), pytest.raises(StoreError, match="in use"):
        comparing(found)


def test_one_configuration_against_itself(comparing: Comparisons) -> None:
    result = comparing(comparing.of_file("max_num_seqs=2", "max_num_seqs=2"), Until())
    assert "one configuration" in comparing.heard.notes
    assert len(result.pairs) == FEWEST_PAIRS
    assert {a / b for a, b in result.pairs} == {1.0}
