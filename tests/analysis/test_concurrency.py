from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.factorial_builders import FASTEST
from tests.records.builders import make_record
from vbench.analysis.concurrency import LoadStudy, knee, load_studies
from vbench.analysis.loads import load_of, whole_load
from vbench.analysis.merged import moved
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

RATES = {1: 100.0, 2: 190.0, 4: 300.0, 8: 305.0}
"""tok/s by requests in flight: near the top from 4 on."""


def at(trial: int, load: Any, rate: float | None, *, name: str = "load.max_concurrency", **others: Any) -> TrialRecord:
    outcome = Outcome.COMPLETED if rate is not None else Outcome.CRASHED
    return make_record(trial, rate, outcome=outcome, parameters={name: load, **others})


def study_of(records: list[TrialRecord], best: int | None = None) -> LoadStudy:
    holder = next((one for one in records if one.trial == best), None)
    (found,) = load_studies(records, FASTEST, holder)
    return found


def test_alike_trials_are_a_line_and_the_best_trials_line_is_first() -> None:
    ours = [at(trial, load, rate, q="awq") for trial, (load, rate) in enumerate(RATES.items())]
    theirs = [at(10 + trial, load, rate / 2, q="none") for trial, (load, rate) in enumerate(RATES.items())]
    found = study_of([*theirs, *ours], best=3)
    first, second, every = found.lines
    assert first.is_alike
    assert first.has_best
    assert first.trials == (0, 1, 2, 3)
    assert [(point.load, point.value) for point in first.points] == [(1, 100), (2, 190), (4, 300), (8, 305)]
    assert first.points[0].ttft_s == pytest.approx(0.955)  # p95 of 0.1 to 1.0 s
    assert (second.is_alike, second.has_best) == (True, False)
    assert not every.is_alike
    assert [point.count for point in every.points] == [2, 2, 2, 2]
    assert (found.knee, found.is_rising) == (4, False)
    assert found.paired == (3.05, 3.05)  # 305 ÷ 100 in both


def test_without_alike_trials_the_best_at_each_value_is_the_line() -> None:
    records = [at(trial, load, rate, q=trial) for trial, (load, rate) in enumerate(RATES.items())]
    records += [at(9, 8, 50.0, q=9), at(10, 16, None)]
    found = study_of(records, best=3)
    (line,) = found.lines
    assert not line.is_alike
    assert [(point.load, point.value, point.count) for point in line.points][-1] == (8, 305, 2)
    assert (found.knee, found.is_rising) == (None, False)  # the best of a few has a shape by chance alone
    assert found.paired == ()


def test_still_rising_is_no_knee() -> None:
    found = study_of([at(trial, load, 100.0 * load) for trial, load in enumerate((1, 2, 4))])
    assert (found.knee, found.is_rising) == (None, True)


def test_two_values_have_no_shape() -> None:
    found = study_of([at(0, 1, 100.0), at(1, 2, 200.0)])
    assert (found.knee, found.is_rising, found.paired) == (None, False, (2.0,))


def test_where_all_prompts_run_at_once_there_is_no_knee() -> None:
    rates = {2: 100.0, 8: 200.0, 10: 300.0, 64: 301.0}  # 10 prompts
    found = study_of([at(trial, load, rate, name="max_num_seqs") for trial, (load, rate) in enumerate(rates.items())])
    assert (found.knee, found.whole) == (None, 10)
    replicas = [at(trial, load, rate, name="replicas") for trial, (load, rate) in enumerate(rates.items())]
    assert (study_of(replicas).knee, study_of(replicas).whole) == (10, None)


def test_one_value_or_none_is_nothing_to_study() -> None:
    assert load_studies([at(0, 4, 100.0), at(1, 8, None)], FASTEST, None) == []
    assert load_studies([make_record(0), make_record(1, parameters={"x": 2})], FASTEST, None) == []


def test_less_is_better_has_lines_but_no_knee() -> None:
    smallest = Objective(metric="peak_memory_bytes", direction="minimize")
    records = [at(trial, load, rate) for trial, (load, rate) in enumerate(RATES.items())]
    records = [one.model_copy(update={"measurements": {"peak_memory_bytes": 100 - one.trial}}) for one in records]
    (found,) = load_studies(records, smallest, None)
    assert (found.knee, found.is_rising) == (None, False)
    assert found.lines[0].points[0].ttft_s is None


def test_a_load_is_what_was_chosen_then_fixed_then_said() -> None:
    chosen = make_record(0, parameters={"max_num_seqs": "8"}, config={"max_num_seqs": 16})
    fixed = make_record(1, config={"load": {"max_concurrency": 4}}, engine_facts={"max_num_seqs": 256})
    assert load_of(chosen, "max_num_seqs") == 8.0
    assert load_of(fixed, "load.max_concurrency") == 4.0
    assert load_of(fixed, "max_num_seqs") == 256.0
    assert load_of(fixed, "load.request_rate") is None
    assert load_of(make_record(2, parameters={"max_num_seqs": "auto"}), "max_num_seqs") is None


def test_a_knee_is_neither_the_first_nor_the_last() -> None:
    assert knee([(1, 100.0), (2, 101.0), (4, 102.0)]) is None
    assert knee([(1, 10.0), (2, 96.0), (4, 100.0)]) == 2
    assert knee([(1, 10.0), (2, 90.0), (4, 100.0)]) is None


def test_each_answer_counts_and_replicas_share_the_prompts() -> None:
    plain = make_record(0, parameters={"max_num_seqs": 4})
    assert whole_load(plain, "max_num_seqs") == 10
    four = make_record(0, config={"sampling": {"n": 4}, "replicas": 3})
    assert whole_load(four, "max_num_seqs") == 16  # four prompts, four answers to each
    assert whole_load(four, "load.max_concurrency") == 10
    assert whole_load(four, "replicas") is None


def test_trials_of_two_runs_are_not_alike() -> None:
    here = moved([at(trial, load, rate) for trial, (load, rate) in enumerate(RATES.items())][:2], 0, "a/1")
    there = moved([at(trial, load, rate / 2) for trial, (load, rate) in enumerate(RATES.items())][2:], 10, "b/2")
    found = study_of([*here, *there])
    assert [line.trials for line in found.lines if line.is_alike] == [(0, 1), (12, 13)]
