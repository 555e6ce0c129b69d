from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_failure, make_record
from tests.report.search_builders import make_stopped
from vbench.analysis.merged import moved
from vbench.analysis.neighbours import Neighbour, by_parameter, neighbours
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
BEST = {"seqs": 16, "eager": True, "spec": "ngram", "spec.ngram.tokens": 4}


def record(trial: int, rate: float, **changes: Any) -> TrialRecord:
    return make_record(trial, [rate, rate * 1.01, rate * 0.99], parameters={**BEST, **changes})


def found(*others: TrialRecord) -> list[Neighbour]:
    best = record(0, 400)
    return neighbours(best, [best, *others], FASTEST)


def test_one_that_differs_in_one_alone() -> None:
    (one,) = found(record(1, 200, seqs=8), record(2, 100, seqs=8, eager=False))
    assert (one.parameter, one.trial, one.value, one.ratio, one.is_clear) == ("seqs", 1, 8, 2.0, True)


def test_one_that_the_passes_do_not_tell_apart() -> None:
    (one,) = found(record(1, 399, seqs=8))
    assert not one.is_clear


def test_an_options_settings_belong_to_it() -> None:
    other = {name: value for name, value in BEST.items() if name != "spec.ngram.tokens"} | {"spec": "none"}
    (one,) = found(make_record(1, [200.0] * 3, parameters=other))
    assert (one.parameter, one.value) == ("spec", "none")


def test_but_are_their_own_where_the_option_is_the_same() -> None:
    (one,) = found(record(1, 200, **{"spec.ngram.tokens": 2}))
    assert (one.parameter, one.value) == ("spec.ngram.tokens", 2)


def test_true_is_not_1() -> None:
    (one,) = found(record(1, 200, eager=1))
    assert one.parameter == "eager"


def test_one_that_left_a_parameter_to_the_engine_says_nothing_of_it() -> None:
    other = {name: value for name, value in BEST.items() if name != "seqs"}
    assert found(make_record(1, [200.0] * 3, parameters=other)) == []


def test_one_that_was_stopped_has_its_bound() -> None:
    (one,) = found(make_stopped(1, bound=320.0, parameters={**BEST, "seqs": 8}))
    assert (one.result, one.is_bound, one.ratio, one.is_clear) == (320.0, True, 1.25, True)


def test_one_that_failed_has_nothing() -> None:
    failed = make_record(1, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(), parameters={**BEST, "seqs": 8})
    assert found(failed) == []


def test_less_is_better_where_it_is() -> None:
    best = record(0, 400)
    quickest = Objective(metric="p95_e2e_latency_s", direction="minimize")
    (one,) = neighbours(best, [best, record(1, 200, seqs=8)], quickest)
    assert one.ratio == pytest.approx(2.0, rel=0.05)
    assert one.is_clear


def test_each_parameters_closest_first() -> None:
    groups = by_parameter(found(record(1, 200, seqs=8), record(2, 300, seqs=4), record(3, 100, eager=False)))
    assert {name: [one.trial for one in group] for name, group in groups.items()} == {"seqs": [2, 1], "eager": [3]}


def test_one_that_is_clearly_better_is_neither_clear_nor_level() -> None:
    (broke,) = found(record(1, 800, seqs=8).model_copy(update={"constraint_violations": {"p95_ttft_s <= 1": 0.5}}))
    (close,) = found(record(2, 399, seqs=8))
    assert (broke.is_clear, broke.is_level) == (False, False)
    assert (close.is_clear, close.is_level) == (False, True)


def test_single_values_leave_it_open_whether_there_is_a_difference() -> None:
    best, other = make_record(0, 400.0, parameters=BEST), make_record(1, 399.0, parameters={**BEST, "seqs": 8})
    (one,) = neighbours(best, [best, other], FASTEST)
    assert (one.is_clear, one.is_level) == (False, False)


def test_a_baseline_that_overrides_a_fixed_argument_is_no_neighbour() -> None:
    fixed = {"max_model_len": 4096}

    def at(trial: int, seqs: int, length: int = 4096, **more: Any) -> TrialRecord:
        config = {**fixed, "max_model_len": length, "seqs": seqs}
        return make_record(trial, [400.0, 404.0, 396.0], parameters={"seqs": seqs}, config=config, **more)

    searched = [at(1, 16), at(2, 32)]
    assert neighbours(searched[0], [at(0, 8, 8192, origin="baseline"), *searched], FASTEST)[0].trial == 2
    alike = neighbours(searched[0], [at(0, 8, origin="baseline"), *searched], FASTEST)
    assert [one.trial for one in alike] == [0, 2]


def test_a_trial_of_another_run_is_no_neighbour() -> None:
    here, there = moved([record(0, 400), record(1, 200, seqs=8)], 0, "a/1"), moved([record(0, 100, seqs=8)], 10, "b/2")
    assert [one.trial for one in neighbours(here[0], [*here, *there], FASTEST)] == [1]
