"""What a run cost: the ledger's lines, and the records that make up for what a killed session couldn't write."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, Vbench, records_of, wait_for
from tests.records.builders import make_record, make_run
from vbench.errors import StoreError
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, create
from vbench.sweep import ledger
from vbench.sweep.ledger import SessionLine, gpus_of, gpus_of_record

ON_TWO_GPUS: dict[str, Any] = {
    "config": {"tensor_parallel_size": 2},
    "hardware": {"gpus": [{"index": 0}, {"index": 1}]},
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create(tmp_path, "demo", datetime(2026, 11, 3, tzinfo=UTC))


def took(trial: int, seconds: float | None, **changes: Any) -> TrialRecord:
    return make_record(trial, duration_s=seconds, **changes)


def line(session: int, first_trial: int, **changes: Any) -> SessionLine:
    return SessionLine(session=session, started_at="2026-11-03T00:00:00+00:00", first_trial=first_trial, **changes)


@pytest.mark.parametrize(
    ("config", "gpus"),
    [
        ({}, 1),
        ({"tensor_parallel_size": 2}, 2),
        ({"tensor_parallel_size": 2, "pipeline_parallel_size": 2, "data_parallel_size": 3, "replicas": 2}, 24),
        ({"tensor_parallel_size": 0, "replicas": "two", "data_parallel_size": None}, 1),
        ({"tensor_parallel_size": True, "replicas": -1}, 1),
    ],
)
def test_gpus_of_a_configuration(config: dict[str, Any], gpus: int) -> None:
    assert gpus_of(config) == gpus


def test_a_trial_on_a_cpu_counts_as_one_gpu_whatever_it_asks_for() -> None:
    assert gpus_of_record(make_record(config={"tensor_parallel_size": 2})) == 1
    assert gpus_of_record(make_record(**ON_TWO_GPUS)) == 2


def test_what_is_written_is_read(run: RunFolder) -> None:
    lines = [line(1, 0, ended_at="later", wall_s=10.0, gpu_s=4.5, trials=2, records=3, status="finished"), line(2, 3)]
    ledger.write(run, lines)
    assert ledger.read(run) == lines
    assert len(run.ledger_jsonl.read_text().splitlines()) == 2


def test_a_run_without_one_has_no_sessions(run: RunFolder) -> None:
    assert ledger.read(run) == []


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "7", '{"session": 1}', '{"session": "x", "started_at": ""}', '{"session": -1, "started_at": ""}',
     '{"session": 1, "started_at": "", "gpu_s": Infinity}'],
)  # fmt: skip
def test_a_damaged_line_is_left_out(run: RunFolder, damage: str) -> None:
    ledger.write(run, [line(2, 3)])
    run.ledger_jsonl.write_text(f"{damage}\n{run.ledger_jsonl.read_text()}")
    assert [one.session for one in ledger.read(run)] == [2]


def test_keys_of_a_later_version_are_ignored(run: RunFolder) -> None:
    run.ledger_jsonl.write_text('{"session": 1, "started_at": "now", "watts": 70, "trials": 4}\n')
    assert ledger.read(run)[0].trials == 4


def test_one_that_cannot_be_opened_is_said(run: RunFolder) -> None:
    run.ledger_jsonl.mkdir()
    with pytest.raises(StoreError, match=r"ledger\.jsonl can't be read"):
        ledger.read(run)


def test_a_whole_ledger_is_what_was_spent() -> None:
    lines = [line(1, 0, wall_s=30, engine_s=20, gpu_s=40, trials=2, records=2), line(2, 2, gpu_s=5, records=1)]
    records = [took(0, 10.0), took(1, 10.0), took(2, 2.5)]
    assert ledger.made_up(lines, records) == lines


def test_a_killed_session_is_made_up_from_its_own_records() -> None:
    # It had counted the first of its three records, of 10 s; the second session's record isn't its own.
    lines = [line(1, 0, wall_s=12, engine_s=10, gpu_s=10, trials=1, records=1), line(2, 3, gpu_s=7, records=1)]
    records = [took(0, 10.0), took(1, 20.0, **ON_TWO_GPUS), took(2, None), took(3, 7.0)]
    first, second = ledger.made_up(lines, records)
    assert (first.wall_s, first.engine_s, first.gpu_s) == (32.0, 30.0, 50.0)
    assert (first.trials, first.records) == (2, 3)  # the refused one was never started
    assert second == lines[1]


def test_making_up_twice_counts_nothing_twice() -> None:
    lines, records = [line(1, 0)], [took(0, 10.0), took(1, 20.0)]
    once = ledger.made_up(lines, records)
    assert ledger.made_up(once, records) == once
    assert ledger.sum_of(once).gpu_s == 30


def test_records_of_before_the_ledger_are_a_session_of_their_own() -> None:
    whole = ledger.made_up([line(1, 2, gpu_s=5, records=1)], [took(0, 10.0), took(1, 20.0), took(2, 5.0)])
    assert [(one.session, one.gpu_s, one.status) for one in whole] == [(0, 30.0, "earlier"), (1, 5, "running")]


def test_a_lost_line_is_made_up_by_the_one_before() -> None:
    lines = [line(1, 0, gpu_s=10, records=1), line(3, 2, gpu_s=4, records=1)]
    whole = ledger.made_up(lines, [took(0, 10.0), took(1, 20.0), took(2, 4.0)])
    assert ledger.sum_of(whole).gpu_s == 34


def test_lost_records_leave_what_the_line_says() -> None:
    lines = [line(1, 0, gpu_s=50, trials=5, records=5)]
    assert ledger.made_up(lines, [took(0, 10.0)]) == lines


def test_trials_side_by_side_may_end_out_of_order() -> None:
    lines = [line(1, 0, gpu_s=20, records=1)]  # trial 1 had ended first
    whole = ledger.made_up(lines, [took(1, 20.0), took(0, 30.0)])
    assert ledger.sum_of(whole).gpu_s == 50


def test_totals_of_a_run_of_before_there_was_a_ledger(tmp_path: Path) -> None:
    refused = took(2, None, throughput=None, outcome=Outcome.INFEASIBLE)
    run = make_run(tmp_path, [took(0, 1800.0), took(1, 3600.0, **ON_TWO_GPUS), refused])
    totals = ledger.totals(run)
    assert (totals.gpu_hours, totals.engine_s, totals.trials, totals.sessions) == (2.5, 5400.0, 2, 1)
    assert ledger.totals(run, [took(0, 36.0)]).gpu_hours == 0.01


def test_sessions_that_were_killed_lose_and_double_nothing(vbench: Vbench) -> None:
    search = "parameters: {max_num_seqs: [1, 2, 4], block_size: [16, 32, 64]}\nsearch: {method: grid}\n"
    file = vbench.write(f"{BASE}engine_args: {{load_seconds: 0.05, sleep_scale: 0.2}}\n{search}")
    for wanted in (2, 5):
        process = vbench.start("sweep", file)
        try:
            wait_for(lambda count=wanted: has_records(vbench, count), f"{wanted} records")  # type: ignore[misc]
        finally:
            process.kill()
            process.communicate()
    vbench("sweep", file, check=0)

    run = vbench.run()
    durations = [record["duration_s"] for record in records_of(run)]
    lines = ledger.read(RunFolder(run))
    assert len(durations) == 9
    assert [one.session for one in lines] == [1, 2, 3]
    assert sum(one.gpu_s for one in lines) == pytest.approx(sum(durations), abs=1e-4)
    assert sum(one.records for one in lines) == 9
    assert ledger.totals(RunFolder(run)) == ledger.sum_of(lines)


def has_records(vbench: Vbench, count: int) -> bool:
    paths = [run / "trials.jsonl" for run in vbench.runs()]
    return any(path.exists() and path.read_bytes().count(b"\n") >= count for path in paths)
