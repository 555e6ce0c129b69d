"""Finals that were cut short, and trials that a search tried after its finals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_record
from vbench.analysis.answer import find_answer
from vbench.analysis.ranking import best, candidates, late, ranked
from vbench.records.record import TrialRecord
from vbench.report.summary import late_trials, summary_headline
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")


def final(trial: int, of: int, *rates: float, **more: Any) -> TrialRecord:
    return make_record(trial, list(rates), origin="final", repeat_of=of, **more)


def after_finals() -> list[TrialRecord]:
    return [
        make_record(0, [500.0, 505.0, 510.0]),
        make_record(1, [490.0, 500.0, 506.0]),
        make_record(2, [470.0, 480.0, 482.0]),  # was no finalist, and may not come back
        final(3, 0, 400.0, 405.0, 410.0),
        final(4, 1, 420.0, 425.0, 430.0),
    ]


def numbers(records: list[TrialRecord]) -> list[int]:
    return [record.trial for record in records]


def test_a_later_trial_that_is_clearly_ahead_is_the_best() -> None:
    records = [*after_finals(), make_record(5, [600.0, 605.0, 610.0]), make_record(6, [300.0, 305.0, 310.0])]

    assert numbers(ranked(records, FASTEST)) == [5, 1, 0]
    answer = find_answer(records, FASTEST)
    assert (answer.num_remeasured, answer.finals, answer.late) == (2, (), ())
    assert summary_headline(answer) == ("Trial 5 is the best: not measured again, but clearly ahead of the 2 that were")


def test_one_that_is_not_clearly_ahead_is_named_beside_the_best() -> None:
    records = [*after_finals(), make_record(5, [428.0, 432.0, 436.0])]

    assert numbers(ranked(records, FASTEST)) == [1, 0]
    assert numbers(candidates(records, FASTEST)) == [5, 1, 0]  # who should have finals next
    assert "Trial 5 came after the finals" in late_trials(find_answer(records, FASTEST))


def test_what_a_final_came_after_is_not_late() -> None:
    records = [*after_finals(), make_record(5, [600.0, 605.0, 610.0]), final(6, 1, 422.0, 426.0, 431.0)]

    assert late(records, FASTEST) == []
    assert numbers(ranked(records, FASTEST)) == [1, 0]


def test_less_is_better_where_it_is_minimized() -> None:
    slow, quick = make_record(5, [300.0, 305.0, 310.0]), make_record(6, [600.0, 605.0, 610.0])
    least = Objective(metric="output_throughput_tok_s", direction="minimize")

    assert numbers(ranked([*after_finals(), slow, quick], least)) == [5, 0, 1]


def test_one_final_alone_settles_nothing() -> None:
    records = after_finals()[:4]  # the run ended after the first

    winner = best(records, FASTEST)
    assert winner is not None
    assert (winner.trial, winner.measurements["output_throughput_tok_s"]) == (0, pytest.approx(505.0))
    assert numbers(ranked(records, FASTEST)) == [0, 1, 2]


def test_where_no_finalist_keeps_the_constraints_the_others_are_ranked() -> None:
    text = "output_throughput_tok_s >= 450"
    records = [
        make_record(0, [500.0, 505.0, 510.0], constraint_violations={text: -55.0}),
        make_record(1, [490.0, 500.0, 506.0], constraint_violations={text: -50.0}),
        make_record(2, [470.0, 480.0, 482.0], constraint_violations={text: -30.0}),
        final(3, 0, 400.0, 405.0, constraint_violations={text: 47.0}),
        final(4, 1, 420.0, 425.0, constraint_violations={text: 27.0}),
    ]

    assert numbers(ranked(records, FASTEST)) == [2]
