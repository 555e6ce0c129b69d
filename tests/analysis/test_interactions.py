from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.factorial_builders import FASTEST, make_known
from tests.records.builders import make_failure, make_record
from tests.report.search_builders import make_stopped
from vbench.analysis.additive import fit_additive
from vbench.analysis.coded import coded
from vbench.analysis.effects import effects
from vbench.analysis.failing_values import failing_values
from vbench.analysis.importance import importance
from vbench.analysis.interactions import Pair, interactions, level_text
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord

SETTINGS: dict[str, list[Any]] = {"tp": [1, 2], "replicas": [1, 2], "dtype": ["a", "b"], "quant": ["x", "y", "z"]}


def pairs_of(records: list[TrialRecord]) -> tuple[Pair, ...]:
    data = coded(records, FASTEST)
    fit = fit_additive(data)
    return interactions(data, fit, importance(data, fit))


def crossed(settings: dict[str, object]) -> float:
    """Two of both is four times as slow; `dtype` matters by itself."""
    rate = 100.0 * (1.5 if settings["dtype"] == "a" else 1.0)
    return rate / 4 if (settings["tp"], settings["replicas"]) == (2, 2) else rate


def test_a_pair_that_does_more_together_is_found_first() -> None:
    first, second = pairs_of(make_known(60, SETTINGS, crossed))
    assert {first.first.name, first.second.name} == {"tp", "replicas"}
    assert first.is_clear
    assert not second.is_clear
    assert first.at is not None
    assert first.ratio is not None
    one_by_one = {(0, 0): 0.5**0.5, (0, 1): 2**0.5, (1, 0): 2**0.5, (1, 1): 0.5**0.5}  # around ×4 in one of four cells
    assert first.ratio == pytest.approx(one_by_one[first.at], rel=0.2)


def test_without_an_interaction_none_is_claimed_and_the_most_important_are_shown() -> None:
    def alone(settings: dict[str, object]) -> float:
        return 100.0 * (3.0 if settings["tp"] == 2 else 1.0) * (2.0 if settings["dtype"] == "a" else 1.0)

    found = pairs_of(make_known(60, SETTINGS, alone))
    assert len(found) == 2
    assert not any(pair.is_clear for pair in found)
    assert all(pair.ratio is None for pair in found)
    assert (found[0].first.name, found[0].second.name) == ("tp", "dtype")


def test_cells_count_what_was_tried_and_what_became_of_it() -> None:
    records = make_known(30, {"a": [1, 2], "b": [1, 2, 3]}, lambda s: 100.0 * s["a"])
    records = [one for one in records if one.parameters != {"a": 2, "b": 3}]
    both = {"a": 1, "b": 1}
    before = sum(one.parameters == both for one in records)
    failed = make_record(40, None, outcome=Outcome.CRASHED, parameters=both, failure=make_failure("crashed"))
    records += [failed, make_stopped(41, parameters=both)]
    (pair,) = pairs_of(records)
    assert [one.name for one in (pair.first, pair.second)] == ["a", "b"]
    cell = pair.cells[0][0]
    assert (cell.num_measured, cell.num_failed, cell.num_pruned) == (before, 1, 1)
    assert cell.median == pytest.approx(100, rel=0.1)
    assert not pair.cells[1][2].is_tried
    assert pair.cells[1][2].median is None


def test_a_setting_of_one_value_is_no_pair_with_its_own_choice() -> None:
    records = []
    for one in make_known(40, {"kind": ["none", "ngram"], "size": [1, 2, 3]}, lambda s: 100.0 * s["size"]):
        kept = {"kind": one.parameters["kind"]}
        if kept["kind"] == "ngram":
            kept["kind.ngram.size"] = one.parameters["size"]
        records.append(one.model_copy(update={"parameters": kept}))
    assert pairs_of(records) == ()


def test_too_few_trials_have_no_pairs() -> None:
    assert pairs_of(make_known(9, SETTINGS, crossed)) == ()
    assert pairs_of([]) == ()


def test_levels_as_text() -> None:
    records = [make_record(trial, parameters={"n": trial, "w": f"w{trial % 20}"}) for trial in range(60)]
    number, word = coded(records, FASTEST).parameters
    assert level_text(number, 0, str) == "0 – 6"
    assert level_text(word, 7, str) == "13 others"
    assert level_text(word, 0, str) == "w0"


def test_values_that_fail_more_often_are_named_with_counts() -> None:
    records = []
    for trial in range(40):
        settings = {"tp": 1 + trial % 2, "x": trial % 5}
        if settings["tp"] == 2 and trial % 4 == 1:
            failed = make_failure("crashed")
            records.append(make_record(trial, None, outcome=Outcome.CRASHED, parameters=settings, failure=failed))
        else:
            records.append(make_record(trial, parameters=settings))
    (found,) = failing_values(effects(records, FASTEST))
    assert (found.name, found.value) == ("tp", 2)
    assert (found.num_failed, found.num_trials, found.other_failed, found.other_trials) == (10, 20, 0, 20)
    # all ten of 10 among 20 of 40, drawn blindly
    assert found.p_value == pytest.approx(0.000218, rel=0.01)


def test_a_few_failures_here_and_there_are_no_pattern() -> None:
    records = [
        make_record(trial, None, outcome=Outcome.CRASHED, parameters={"x": trial % 2})
        if trial in (3, 8)
        else make_record(trial, parameters={"x": trial % 2})
        for trial in range(12)
    ]
    assert failing_values(effects(records, FASTEST)) == []
    assert failing_values(effects(records[:1], FASTEST)) == []
