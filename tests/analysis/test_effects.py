from __future__ import annotations

import pytest

from tests.records.builders import make_failure, make_record, make_sweep_records
from tests.report.search_builders import make_final, make_stopped
from vbench.analysis.effects import effects
from vbench.analysis.failures import group_failures
from vbench.analysis.frame import to_frame
from vbench.analysis.timing import TimeSplit, time_split
from vbench.metrics import metric_names
from vbench.outcome import Outcome
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")


def test_effects_count_and_summarise_each_value() -> None:
    records = [
        make_record(0, 100.0, parameters={"max_num_seqs": 16}),
        make_record(1, 300.0, parameters={"max_num_seqs": 8}),
        make_record(2, 500.0, parameters={"max_num_seqs": 8}),
        make_record(3, 400.0, parameters={"max_num_seqs": 8}),
        make_record(4, None, outcome=Outcome.CRASHED, parameters={"max_num_seqs": 8}),
        make_record(5, 900.0, outcome=Outcome.OVER_BUDGET, parameters={"max_num_seqs": 16}),
        make_record(6, 700.0),
    ]
    (effect,) = effects(records, FASTEST)
    assert (effect.name, effect.is_numeric) == ("max_num_seqs", True)
    low, high = effect.values
    assert (low.value, low.num_trials, low.num_failed) == (8, 4, 1)
    assert (low.median, low.best, low.best_trial) == (400.0, 500.0, 2)  # median of 300, 400, 500
    assert low.results == ((1, 300.0), (2, 500.0), (3, 400.0))
    assert (high.value, high.num_trials, high.num_failed, high.median) == (16, 2, 1, 100.0)
    assert effect.spread == 4.0  # 400 ÷ 100


def test_values_that_never_completed_have_no_numbers() -> None:
    (effect,) = effects([make_record(0, None, outcome=Outcome.INFEASIBLE, parameters={"q": "awq"})], FASTEST)
    (value,) = effect.values
    assert (value.median, value.best, value.best_trial, value.num_failed) == (None, None, None, 1)
    assert effect.spread is None


def test_values_keep_their_kind_and_are_sorted() -> None:
    mixed = ["b", 10, 9.5, True, None, "a", 1, [1], "10"]
    records = [make_record(trial, parameters={"x": value}) for trial, value in enumerate(mixed)]
    (effect,) = effects(records, FASTEST)
    assert [value.value for value in effect.values] == [1, 9.5, 10, "10", None, True, [1], "a", "b"]
    assert not effect.is_numeric


def test_every_number_of_a_range_stands_by_itself() -> None:
    records = [make_record(trial, parameters={"x": (trial * 7) % 20}) for trial in range(20)]
    (effect,) = effects(records, FASTEST)
    assert [value.value for value in effect.values] == list(range(20))


def test_best_when_minimizing_is_the_smallest() -> None:
    records = [make_record(trial, 100.0, peak_mib=900 - trial, parameters={"x": 1}) for trial in range(3)]
    (effect,) = effects(records, Objective(metric="peak_memory_bytes", direction="minimize"))
    assert effect.values[0].best_trial == 2


def test_failures_are_grouped_by_class_most_frequent_first() -> None:
    records = [
        make_record(0, 100.0),
        make_record(1, None, outcome=Outcome.TIMED_OUT, failure=make_failure("deadline", "", advice="", phase=None)),
        make_record(2, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure("oom", "first line")),
        make_record(3, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure("oom", "second line", phase="pass")),
        make_record(4, None, outcome=Outcome.CRASHED),
        make_record(5, 100.0, outcome=Outcome.OVER_BUDGET),
    ]
    groups = group_failures(records)
    assert [(group.failure_class, group.count) for group in groups] == [
        ("oom", 2),
        ("crashed", 1),  # the outcome's word where a record has no class
        ("deadline", 1),
        ("over_budget", 1),
    ]
    assert groups[0].trials == (2, 3)
    assert groups[0].evidence == "first line"
    assert groups[0].phases == ("load", "pass")
    assert groups[0].outcomes == (Outcome.OUT_OF_MEMORY,)
    assert (groups[1].evidence, groups[1].advice) == ("", "")


def test_a_frame_has_a_row_a_trial_and_flat_columns() -> None:
    frame = to_frame(make_sweep_records())
    assert len(frame) == 20
    assert list(frame.columns[:4]) == ["trial", "origin", "repeat_of", "outcome"]
    assert list(frame.columns[4:7]) == ["failure_class", "keeps_constraints", "bound"]
    assert "param.speculative_config.ngram.num_speculative_tokens" in frame.columns
    assert set(metric_names()) <= set(frame.columns)
    assert frame.loc[5, "failure_class"] == "kv_cache_too_small"
    assert frame["output_throughput_tok_s"].isna()[5]
    assert frame["peak_memory_bytes"].isna()[5]
    assert frame["peak_memory_bytes"].dtype == "Int64"


def test_a_frame_holds_the_records_own_numbers() -> None:
    record = make_record(0, [200.0, 250.0, 400.0], peak_mib=1000, parameters={"x": {"a": 1}})
    row = to_frame([record]).iloc[0]
    assert row["output_throughput_tok_s"] == 250.0
    assert row["p50_ttft_s"] == pytest.approx(0.55)
    assert row["peak_memory_bytes"] == 1000 * 1024**2
    assert row["startup_s"] == 20.0  # 0.5 + 7.5 + 12
    assert row["duration_s"] == 38.5  # 20 + warm-up 5 + passes 5, 4 and 2.5 + 2
    assert row["param.x"] == '{"a": 1}'
    assert bool(row["keeps_constraints"])


def test_a_frame_has_bounds_and_repeats_but_no_bound_as_a_value() -> None:
    frame = to_frame([make_record(0), make_stopped(1, "probe", bound=210.0), make_final(2, 0, 240.0)])
    assert frame["bound"].isna().tolist() == [True, False, True]
    assert frame.loc[1, "bound"] == 210.0
    assert frame["output_throughput_tok_s"].isna()[1]
    assert frame["repeat_of"].isna().tolist() == [True, True, False]
    assert frame.loc[2, "repeat_of"] == 0


def test_whole_numbers_stay_whole_where_some_are_missing() -> None:
    frame = to_frame([make_record(0, parameters={}), make_record(1, parameters={"max_num_seqs": 16, "x": 0.5})])
    assert frame.to_csv().splitlines()[2].split(",")[8:10] == ["16", "0.5"]


def test_a_frame_of_nothing_has_its_columns() -> None:
    frame = to_frame([])
    assert len(frame) == 0
    assert set(metric_names()) <= set(frame.columns)


def test_time_is_split_into_start_up_passes_and_the_rest() -> None:
    # passes at 200 and 250 tok/s: 5 s and 4 s, warm-up as the first: 5 s; 2 s of the 36 s are left
    split = time_split(make_record(4, [200.0, 250.0]))
    assert split == TimeSplit(trial=4, startup_s=20.0, warmup_s=5.0, timed_s=9.0, other_s=2.0)
    assert split.total_s == 36.0


def test_time_of_a_trial_without_a_duration_is_what_is_known() -> None:
    assert time_split(make_record(0, None, duration_s=None)).total_s == 20.0
    assert time_split(make_record(0, None, duration_s=1.0)).other_s == 0.0  # never negative
