"""The trials as CSV and as Parquet, as someone with pandas finds them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.records.builders import make_record, make_run, make_sweep_records
from tests.report.search_builders import make_search_records
from vbench.analysis.frame import to_frame
from vbench.errors import StoreError
from vbench.metrics import metric_names, value_of
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.contents import read_run
from vbench.report.subject import Subject
from vbench.report.trials_files import write_trials


def written(tmp_path: Path, records: list[TrialRecord], **run_facts: Any) -> tuple[Path, Path, RunFolder]:
    """The files of a run with these records."""
    run = make_run(tmp_path / "results", records, **run_facts)
    paths = tmp_path / "trials.csv", tmp_path / "trials.parquet"
    write_trials([Subject(folder=run, contents=read_run(run))], *paths)
    return *paths, run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_ten_lines_of_pandas_do_something_useful(tmp_path: Path) -> None:
    _, path, _ = written(tmp_path, make_sweep_records())
    trials = pd.read_parquet(path)
    done = trials[(trials.outcome == "completed") & trials.keeps_constraints]
    top = done.nlargest(3, "output_throughput_tok_s")
    by_seqs = done.groupby("param.max_num_seqs").output_throughput_tok_s.agg(["median", "count"])
    failed = trials[trials.failure_class.notna()].groupby("failure_class").trial.apply(list)
    configs = [json.loads(text) for text in top.config]
    assert by_seqs["median"].is_monotonic_increasing
    assert by_seqs["count"].sum() == len(done)
    assert configs[0]["max_num_seqs"] == top["param.max_num_seqs"].iloc[0] == 64
    assert failed["kv_cache_too_small"] == [5, 11, 12]


def test_both_have_the_frame_and_the_facts(tmp_path: Path) -> None:
    records = make_search_records()
    plain, typed, run = written(tmp_path, records)
    frame, trials = to_frame(records), pd.read_parquet(typed)
    rows = rows_of(plain)
    assert list(trials.columns)[: len(frame.columns)] == list(frame.columns)
    assert list(rows[0]) == list(trials.columns)
    assert trials["trial"].tolist() == [int(row["trial"]) for row in rows] == [one.trial for one in records]
    assert set(trials["run"]) == {f"{run.sweep}/{run.run_id}"}
    for name in metric_names():
        expected = [value_of(one.measurements, name) for one in records]
        assert [None if pd.isna(value) else value for value in trials[name]] == expected
        assert [None if row[name] == "" else float(row[name]) for row in rows] == expected


def test_types_and_units_are_kept(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    records = [
        make_record(0, None, parameters={"n": None, "flag": True, "rate": 1}),
        make_record(1, 250.0, parameters={"n": 16, "flag": False, "rate": 0.5, "nested": {"a": [1]}, "huge": 2**70}),
    ]
    schema = pq.read_schema(written(tmp_path, records)[1])
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types["trial"] == types["param.n"] == types["peak_memory_bytes"] == types["num_warnings"] == "int64"
    assert (types["param.flag"], types["param.rate"], types["duration_s"]) == ("bool", "double", "double")
    assert (types["param.nested"], types["param.huge"], types["config"]) == ("string", "string", "string")
    assert schema.field("p95_ttft_s").metadata == {b"unit": b"s"}
    facts = json.loads(schema.metadata[b"vbench"])
    assert facts["objective"] == ["maximize output_throughput_tok_s"]
    assert (facts["vbench_version"], facts["mark"]) == (["0.1.0"], [])
    assert facts["units"]["peak_memory_bytes"] == "B"
    row = pd.read_parquet(tmp_path / "trials.parquet").iloc[1]
    assert (json.loads(row["param.nested"]), row["param.huge"]) == ({"a": [1]}, str(2**70))


def test_fake_and_emulated_are_said_in_each_row(tmp_path: Path) -> None:
    _, fake, _ = written(tmp_path / "a", [make_record(0, engine="fake")])
    target = {"is_emulated": True, "profile": "t4", "notes": ["held to 15 GiB"]}
    _, emulated, _ = written(tmp_path / "b", [make_record(0)], target=target)
    assert pd.read_parquet(fake)["mark"].tolist() == ["fake"]
    assert pd.read_parquet(emulated)["mark"].tolist() == ["emulated"]


def test_start_up_is_split(tmp_path: Path) -> None:
    _, path, _ = written(tmp_path, [make_record(0, warnings=["a", "b"]), make_record(1, None, phases=[])])
    first, second = (row for _, row in pd.read_parquet(path).iterrows())
    assert (first["startup_start_s"], first["startup_import_s"], first["startup_load_s"]) == (0.5, 7.5, 12.0)
    assert first["num_warnings"] == 2
    assert pd.isna(second["startup_load_s"])


def test_text_is_inert_in_csv_and_as_it_is_in_parquet(tmp_path: Path) -> None:
    hostile = '=HYPERLINK("http://x")'
    plain, typed, _ = written(tmp_path, [make_record(0, parameters={"x": hostile, "n": -3}), make_record(1)])
    (row, _) = rows_of(plain)
    assert (row["param.x"], row["param.n"]) == (f"'{hostile}", "-3")
    assert pd.read_parquet(typed)["param.x"].dropna().tolist() == [hostile]


def test_what_utf8_cant_hold_ends_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "results", [make_record(0, parameters={"x": "odd"})])
    text = run.trials_jsonl.read_text(encoding="utf-8").replace('"odd"', '"\\ud800"')
    run.trials_jsonl.write_text(text, encoding="utf-8")
    paths = tmp_path / "trials.csv", tmp_path / "trials.parquet"
    write_trials([Subject(folder=run, contents=read_run(run))], *paths)
    assert pd.read_parquet(paths[1])["param.x"].tolist() == ["?"]


@pytest.mark.parametrize("count", [0, 3, 7])
def test_any_number_of_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("vbench.report.trials_files._ROWS", 3)
    plain, typed, _ = written(tmp_path, [make_record(trial) for trial in range(count)])
    assert len(pd.read_parquet(typed)) == count
    assert len(plain.read_text(encoding="utf-8").splitlines()) == 1 + count


def test_files_are_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, typed, run = written(tmp_path, [make_record(0)])
    before = plain.read_bytes(), typed.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"trials.parquet can't be written: No space left on device; free some space"):
        write_trials([Subject(folder=run, contents=read_run(run))], plain, typed)
    assert (plain.read_bytes(), typed.read_bytes()) == before
    assert not list(tmp_path.glob(".*"))
