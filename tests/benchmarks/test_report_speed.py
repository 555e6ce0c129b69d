"""The made-up runs that reports are timed with are like real ones, and the same each time."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report_records import record_bytes, write_run
from vbench.outcome import Outcome
from vbench.records.store import RecordStore


def test_made_up_runs_are_whole_and_the_same_each_time(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "a", 150), write_run(tmp_path / "b", 150)
    assert one.trials_jsonl.read_bytes() == two.trials_jsonl.read_bytes()
    assert record_bytes(one)["median_record_bytes"] >= 4096
    found = RecordStore(one.trials_jsonl).read()
    assert not found.problems
    assert [record.trial for record in found.records] == list(range(150))
    outcomes = {record.outcome for record in found.records}
    assert {Outcome.COMPLETED, Outcome.PRUNED, Outcome.OUT_OF_MEMORY} <= outcomes
    assert [record.origin for record in found.records].count("final") == 6
    assert any(record.warnings for record in found.records)
