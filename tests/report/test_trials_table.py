"""Every trial as a row: exact keys behind rounded cells, what can be filtered, and what a cut table keeps."""

from __future__ import annotations

import pytest

from tests.records.builders import MIB, make_failure, make_record
from tests.report.search_builders import make_stopped
from vbench.analysis.answer import find_answer
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report import trials_table as module
from vbench.report.contents import DEFAULT_OBJECTIVE
from vbench.report.tables import Row, Table
from vbench.report.trials_section import rows_to_show
from vbench.report.trials_table import trials_table, uses_ranges

RECORDS = [
    make_record(0, [200.0, 210.0, 220.0], origin="baseline", parameters={"seqs": 8, "spec": "none"}),
    make_record(1, 330.4, parameters={"seqs": 64, "spec": "ngram"}, warnings=["slow", "hot"], peak_mib=1500),
    make_record(
        2,
        None,
        outcome=Outcome.OUT_OF_MEMORY,
        failure=make_failure(),
        parameters={"seqs": 128},
        peak_mib=None,
        duration_s=None,
        phases=[],
    ),
    make_record(3, 300.0, parameters={"seqs": 64, "spec": "ngram"}, constraint_violations={"x <= 1": 0.5}),
    make_record(4, 329.9, origin="final", repeat_of=1, parameters={"seqs": 64, "spec": "ngram"}),
]


def table_of(records: list[TrialRecord], names: tuple[str, ...] = ("seqs", "spec"), **more: object) -> Table:
    return trials_table(records, find_answer(records, DEFAULT_OBJECTIVE), names, **more)  # type: ignore[arg-type]


def column(table: Table, title: str) -> list[tuple[str, object]]:
    place = table.columns.index(title)
    return [(row.cells[place], row.keys[place]) for row in table.rows]


def test_numbers_carry_their_exact_values_and_what_is_missing_none() -> None:
    table = table_of(RECORDS)
    assert column(table, "Output throughput")[:3] == [
        ("210 tok/s", pytest.approx(210.0)),
        ("330 tok/s", pytest.approx(330.4)),
        ("–", None),
    ]
    assert column(table, "Peak memory")[1:3] == [("1.46 GiB", 1500 * MIB), ("–", None)]
    assert column(table, "seqs")[2] == ("128", 128)
    assert column(table, "spec")[1:3] == [("ngram", None), ("–", None)]
    assert {table.columns[place] for place in table.numeric} >= {"Trial", "Output throughput", "Duration", "seqs"}


def test_outcomes_and_purposes_are_short_so_that_they_can_be_filtered() -> None:
    table = table_of(RECORDS)
    assert [text for text, _ in column(table, "Outcome")] == [
        "completed",
        "completed",
        "out of memory",
        "breaks a constraint",
        "completed",
    ]
    assert column(table, "Part of") == [
        ("baseline", "baseline"),
        ("search", "search"),
        ("search", "search"),
        ("search", "search"),
        ("final of 1", "final"),
    ]
    assert {table.columns[place] for place in table.filters} == {"Outcome", "Part of", "seqs", "spec"}
    assert [text for text, _ in column(table, "Remarks")][1:4] == [
        "2 warnings",
        "kv_cache_too_small",
        "violates x <= 1",
    ]


def test_a_parameter_of_many_values_is_no_filter() -> None:
    table = table_of([make_record(trial, 100.0, parameters={"seqs": trial}) for trial in range(40)], ("seqs",))
    assert "seqs" not in {table.columns[place] for place in table.filters}


def test_what_is_very_long_is_cut_in_the_middle() -> None:
    table = table_of([make_record(0, parameters={"n" * 500: "v" * 9000})], ("n" * 500,))
    (title,) = [title for title in table.columns if title.startswith("nnn")]
    assert (len(title), len(column(table, title)[0][0])) == (60, 240)


def test_each_row_has_an_address() -> None:
    assert [row.anchor for row in table_of(RECORDS).rows] == [f"trial-{trial}" for trial in range(5)]


def test_headroom_and_runs_have_columns_where_they_are_known() -> None:
    assert not {"Headroom", "Run"} & set(table_of(RECORDS).columns)
    table = table_of(
        RECORDS,
        headroom=lambda record: 2048.0 * MIB if record.trial == 1 else None,
        runs={1: "demo/one", 2: "demo/two"},
    )
    assert column(table, "Headroom")[:2] == [("–", None), ("2.00 GiB", 2048 * MIB)]
    assert [text for text, _ in column(table, "Run")][:3] == ["–", "demo/one", "demo/two"]
    assert "Headroom" not in table_of(RECORDS, headroom=lambda record: None).columns


def test_more_metrics_stand_only_where_something_measured_them() -> None:
    table = table_of(RECORDS)
    assert "p95 Time to first token" in table.columns
    assert "Draft acceptance rate" not in table.columns
    assert table.columns.count("Output throughput") == 1


def test_many_trials_get_ranges_as_intervals_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [make_record(trial, [100.0, 101.0, 102.0, 103.0, 109.0]) for trial in range(3)]
    monkeypatch.setattr(module, "MAX_INTERVALS", 3)
    assert not uses_ranges(records)
    monkeypatch.setattr(module, "MAX_INTERVALS", 2)
    assert uses_ranges(records)
    shown, low = column(table_of(records), "Interval")[0]
    assert (shown, low) == ("100.0 – 109.0", pytest.approx(100.0))


def test_a_table_that_is_cut_keeps_what_matters_and_a_sample_of_all_else() -> None:
    rates = [100.0 + (trial * 37) % 200 for trial in range(200)]
    records = [make_record(trial, rate) for trial, rate in enumerate(rates)]
    records[0] = make_record(0, 50.0, origin="baseline")
    records.append(make_record(200, 290.0, origin="final", repeat_of=7))
    shown = rows_to_show(records, DEFAULT_OBJECTIVE, limit=40)
    trials = [record.trial for record in shown]
    assert len(trials) == 40
    assert trials == sorted(set(trials))
    assert {0, 200} <= set(trials)
    best = sorted(range(1, 200), key=lambda trial: -rates[trial])[:30]
    assert set(best) <= set(trials)
    others = sorted(set(trials) - set(best) - {0, 200})
    assert len(others) == 8
    assert others[0] < 50
    assert others[-1] > 150


def test_a_table_that_fits_is_whole() -> None:
    assert rows_to_show(RECORDS, DEFAULT_OBJECTIVE) == RECORDS


def test_rows_without_keys_stay_as_they_were() -> None:
    assert (Row(cells=("a",)).keys, Row(cells=("a",)).anchor) == ((), "")


def test_a_peak_of_a_trial_that_ended_early_is_one_so_far() -> None:
    early = make_stopped(1, bound=200.0)
    early = early.model_copy(update={"measurements": {**early.measurements, "peak_memory_bytes": 512 * MIB}})
    records = [make_record(0, 250.0), early]
    table = trials_table(records, find_answer(records, DEFAULT_OBJECTIVE), (), headroom=lambda _: 1024 * MIB)
    place = {title: index for index, title in enumerate(table.columns)}
    cells = [(row.cells[place["Peak memory"]], row.cells[place["Headroom"]]) for row in table.rows]
    assert cells == [("1,000 MiB", "1.00 GiB"), ("≥ 512 MiB", "≤ 1.00 GiB")]
    assert [row.keys[place["Peak memory"]] for row in table.rows] == [1000 * MIB, 512 * MIB]
