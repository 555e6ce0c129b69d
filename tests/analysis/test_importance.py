from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.analysis.factorial_builders import FASTEST, make_known
from tests.records.builders import make_record
from tests.report.search_builders import make_search_records, make_stopped
from vbench.analysis.additive import MAX_TRIALS, fit_additive
from vbench.analysis.coded import NOT_SET, RUN, coded
from vbench.analysis.importance import importance
from vbench.analysis.merged import moved
from vbench.outcome import Outcome
from vbench.spec.types import Objective

SETTINGS: dict[str, list[Any]] = {
    "big": [1, 2],
    "small": ["a", "b", "c"],
    "nothing": [True, False],
    "nor_this": [1, 2, 3],
}


def big_and_small(settings: dict[str, object]) -> float:
    return 100.0 * (2.0 if settings["big"] == 2 else 1.0) * (1.2 if settings["small"] == "b" else 1.0)


def test_what_matters_is_found_and_what_does_not_could_be_chance() -> None:
    found = importance(coded(make_known(60, SETTINGS, big_and_small), FASTEST))
    assert [one.name for one in found.shares][:2] == ["big", "small"]
    assert [one.name for one in found.shares if one.is_clear] == ["big", "small"]
    # log 2 against log 1.2 for a third of the trials: variances of 0.120 and 0.0074, and 0.0025 of noise
    assert found.shares[0].share == pytest.approx(0.92, abs=0.05)
    assert found.predicted == pytest.approx(0.97, abs=0.03)
    assert sum(one.share for one in found.shares) == pytest.approx(found.predicted)
    assert all(0 <= one.error < 0.1 for one in found.shares)


def test_nothing_is_said_to_matter_where_nothing_does() -> None:
    found = importance(coded(make_known(40, SETTINGS, lambda _: 100.0, noise=0.2), FASTEST))
    assert not [one.name for one in found.shares if one.is_clear]
    assert found.shares or "no better than the mean" in found.why_not


def test_false_claims_are_rare() -> None:
    draw = random.Random(8)
    base = make_known(24, SETTINGS, lambda _: 100.0)
    claims = 0
    for _ in range(40):
        values = [draw.lognormvariate(4, 0.3) for _ in base]
        records = [
            one.model_copy(update={"measurements": {"output_throughput_tok_s": value}})
            for one, value in zip(base, values, strict=True)
        ]
        claims += any(one.is_clear for one in importance(coded(records, FASTEST)).shares)
    assert claims <= 6  # 2 are expected; 7 or more of 40 have a chance of 1 in 300


def test_the_same_trials_give_the_same_shares() -> None:
    records = make_known(50, SETTINGS, big_and_small)
    assert importance(coded(records, FASTEST)) == importance(coded(records[::-1], FASTEST))


def test_too_few_trials_are_refused() -> None:
    found = importance(coded(make_known(9, SETTINGS, big_and_small), FASTEST))
    assert (found.shares, found.predicted) == ((), None)
    assert found.why_not.startswith("9 completed trials are too few")


def test_a_value_that_never_changes_is_no_reason() -> None:
    assert importance(coded(make_known(12, {"x": [1]}, lambda _: 5.0), FASTEST)).why_not.startswith(
        "nothing that varied"
    )
    same = make_known(12, {"x": [1, 2]}, lambda _: 5.0, noise=0.0)
    assert importance(coded(same, FASTEST)).why_not.startswith("nothing that varied")


def test_parameters_that_changed_together_share() -> None:
    records = [
        one.model_copy(update={"parameters": {**one.parameters, "twin": one.parameters["big"]}})
        for one in make_known(40, SETTINGS, big_and_small)
    ]
    shares = {one.name: one.share for one in importance(coded(records, FASTEST)).shares}
    assert shares["big"] == pytest.approx(shares["twin"])
    assert shares["big"] > 0.3


def test_many_parameters_are_sampled_and_the_one_that_matters_is_first() -> None:
    values = {f"p{one}": [1, 2] for one in range(12)}
    found = importance(coded(make_known(60, values, lambda s: 100.0 * s["p5"]), FASTEST))
    assert found.shares[0].name == "p5"
    assert found.shares[0].is_clear
    assert sum(one.share for one in found.shares) == pytest.approx(found.predicted)


def test_many_trials_are_thinned_out_and_counted() -> None:
    found = importance(coded(make_known(MAX_TRIALS + 500, {"x": [1, 2]}, lambda s: 100.0 * s["x"]), FASTEST))
    assert (found.num_trials, found.num_measured) == (MAX_TRIALS, MAX_TRIALS + 500)


def test_objectives_of_zero_or_less_are_taken_as_they_are() -> None:
    measured = [{"nll_increase": 0.1 * (trial % 2) - 0.05} for trial in range(12)]
    records = [make_record(trial, parameters={"x": trial % 2}, measurements=one) for trial, one in enumerate(measured)]
    found = importance(coded(records, Objective(metric="nll_increase", direction="minimize")))
    assert not found.is_log
    assert found.shares[0].is_clear


def test_only_trials_that_completed_have_a_value_and_finals_stand_for_their_trials() -> None:
    data = coded([*make_search_records(), make_stopped(30)], FASTEST)
    assert 13 not in data.trials  # a final
    values = dict(zip(data.trials.tolist(), data.values.tolist(), strict=True))
    assert values[9] == 397.0  # of its finals, not its first 398
    assert np.isnan(values[5])
    assert np.isnan(values[10])
    assert data.is_pruned.sum() == 5


def test_numbers_with_many_values_are_binned_and_words_pooled() -> None:
    records = [
        make_record(trial, parameters={"n": trial, "w": f"w{trial % 20}", "few": trial % 3}) for trial in range(60)
    ]
    number, word, few = coded(records, FASTEST).parameters
    assert number.is_binned
    assert len(number.levels) == 8
    assert number.levels[0] == (0, 6)
    assert np.bincount(number.codes).tolist() == [7, 8, 7, 8, 7, 8, 7, 8]
    assert (word.num_pooled, len(word.levels)) == (13, 8)
    assert few.levels == (0, 1, 2)
    assert not few.is_binned


def test_a_setting_that_does_not_apply_has_no_level() -> None:
    records = [
        make_record(0, origin="baseline", parameters={}, engine_facts={"n": 2, "kind": "unheard of"}),
        make_record(1, parameters={"kind": "a", "n": 1, "a.size": 3}),
        make_record(2, parameters={"kind": "b", "n": 2}),
        make_record(3, None, outcome=Outcome.CRASHED, parameters={"kind": "a", "n": 1, "a.size": 4}),
    ]
    kind, number, size = coded(records, FASTEST).parameters
    assert kind.codes.tolist() == [NOT_SET, 0, 1, 0]
    assert number.codes.tolist() == [1, 0, 1, 0]  # the engine said what it used for the baseline
    assert size.codes.tolist() == [NOT_SET, 0, NOT_SET, 1]


def test_nothing_varied_is_no_fit() -> None:
    assert fit_additive(coded([make_record(0, parameters={"x": 1})], FASTEST)) is None
    assert fit_additive(coded([], FASTEST)) is None


def test_one_of_very_many_parameters_can_still_be_clear() -> None:
    values: dict[str, list[Any]] = {f"p{place}": [1, 2] for place in range(30)}
    found = importance(coded(make_known(90, values, lambda one: 100.0 * one["p7"]), FASTEST))
    assert [one.name for one in found.shares if one.is_clear] == ["p7"]


def test_what_a_run_did_is_not_put_down_to_a_parameter() -> None:
    """The second run is half as fast, and tried other values mostly: the parameter itself does nothing."""
    first = make_known(60, {"x": [1, 1, 1, 2], "y": [0, 1]}, lambda _: 200.0)
    second = make_known(60, {"x": [1, 2, 2, 2], "y": [0, 1]}, lambda _: 100.0)
    both = [*moved(first, 0, "a/1"), *moved(second, 100, "b/2")]
    found = {one.name: one for one in importance(coded(both, FASTEST)).shares}
    assert found[RUN].is_clear
    assert not found["x"].is_clear
    assert found[RUN].share > 3 * found["x"].share
    assert RUN not in {one.name for one in coded(moved(first, 0, "a/1"), FASTEST).parameters}
