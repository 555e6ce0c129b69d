"""Large runs are read slim, and nothing that a report shows changes by that."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report_records import write_run
from tests.report.search_builders import make_search_run
from vbench.analysis import many
from vbench.analysis.many import MANY, read_records
from vbench.analysis.statistics import interval_of, pass_values
from vbench.analysis.timing import time_split
from vbench.metrics import metric_names, value_of
from vbench.records.packed import PackedPhases
from vbench.records.parts import parts_of
from vbench.records.plain import KEPT_VALUES
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.report.blocks import Plot, Section, walk
from vbench.report.contents import DEFAULT_OBJECTIVE, read_run
from vbench.report.processes import beside
from vbench.report.sections import sections_of
from vbench.report.subject import Subject
from vbench.spec.types import Objective

LATENCY = Objective(metric="p95_ttft_s", direction="minimize")
COUNT = 240


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A made-up run with all that a real one has."""
    return write_run(tmp_path_factory.mktemp("many"), COUNT)


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    """What one test reads isn't kept for the others."""
    yield
    gc.unfreeze()


def pairs(run: RunFolder, *objectives: Objective) -> list[tuple[TrialRecord, TrialRecord]]:
    """Each record, whole and slim."""
    store = RecordStore(run.trials_jsonl)
    slim = read_records(store, objectives or (DEFAULT_OBJECTIVE,), many=10).records
    return list(zip(store.read().records, slim, strict=True))


def is_slim(record: TrialRecord) -> bool:
    return isinstance(record.phases, PackedPhases)


def test_small_runs_keep_everything(run: RunFolder) -> None:
    assert COUNT <= MANY
    store = RecordStore(run.trials_jsonl)
    assert read_records(store, (DEFAULT_OBJECTIVE,)).records == store.read().records


def test_slim_records_have_the_same_numbers(run: RunFolder) -> None:
    found = [(whole, slim) for whole, slim in pairs(run) if is_slim(slim)]
    assert len(found) > COUNT / 2
    for whole, slim in found:
        assert slim.measurements == whole.measurements
        assert [value_of(slim.measurements, one) for one in metric_names()] == [
            value_of(whole.measurements, one) for one in metric_names()
        ]
        assert time_split(slim) == time_split(whole)
        assert interval_of(slim, DEFAULT_OBJECTIVE.metric) == interval_of(whole, DEFAULT_OBJECTIVE.metric)
        for name in ("config", "parameters", "outcome", "failure", "stopped", "engine", "prompt_set", "estimate",
                     "warnings", "environment", "hardware", "started_at", "duration_s", "trial"):  # fmt: skip
            assert getattr(slim, name) == getattr(whole, name)
        for ours, theirs in zip(slim.phases, whole.phases, strict=True):
            for name in ("name", "index", "start_s", "end_s", "peak_memory_bytes", "gpus"):
                assert getattr(ours, name) == getattr(theirs, name)


def test_types_of_numbers_are_kept(run: RunFolder) -> None:
    for whole, slim in pairs(run):
        for name, value in whole.measurements.items():
            assert type(slim.measurements[name]) is type(value)


def test_a_latency_objective_keeps_its_values_by_pass(run: RunFolder) -> None:
    found = [(whole, slim) for whole, slim in pairs(run, LATENCY) if is_slim(slim) and whole.outcome.is_measured]
    assert found
    for whole, slim in found:
        assert (slim.model_extra or {})[KEPT_VALUES] == {LATENCY.metric: pass_values(whole, LATENCY.metric)}
        assert interval_of(slim, LATENCY.metric) == interval_of(whole, LATENCY.metric)


def test_what_is_shown_with_more_is_whole(run: RunFolder) -> None:
    found = pairs(run)
    finals = [(whole, slim) for whole, slim in found if whole.origin in ("baseline", "final")]
    assert len(finals) == 7
    targets = {whole.repeat_of for whole, _ in finals}
    assert all(not is_slim(slim) for whole, slim in found if whole.trial in targets)
    assert all(slim == whole for whole, slim in finals)


def test_disturbed_trials_keep_what_the_machine_did(tmp_path: Path) -> None:
    run = write_run(tmp_path, 40)
    text = run.trials_jsonl.read_text(encoding="utf-8").splitlines(keepends=True)
    text[30] = text[30].replace('"steal_share":0.0', '"steal_share":0.4').replace('"seconds":0.', '"seconds":9.')
    assert text[30].count('"steal_share":0.4') == 3
    run.trials_jsonl.write_text("".join(text), encoding="utf-8")
    slim = read_records(RecordStore(run.trials_jsonl), (), many=10).records
    kept = [record.trial for record in slim if is_slim(record) and any(one.host for one in record.phases)]
    assert kept == [30]


def test_equal_parts_are_one_object(run: RunFolder) -> None:
    slim = [record for _, record in pairs(run) if is_slim(record)]
    assert len({id(record.environment) for record in slim}) == 1
    assert len({id(record.prompt_set) for record in slim}) == 1
    assert not {type(record.parameters["enable_chunked_prefill"]) for record in slim} - {bool}


@pytest.mark.parametrize("make", [lambda path: write_run(path, 120), make_search_run])
def test_the_page_is_the_same(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)
    whole = sections_of(Subject(folder=run, contents=read_run(run)))
    monkeypatch.setattr("vbench.analysis.many.NUM_BEST", 1)
    contents = read_run(run)
    slim = read_records(RecordStore(run.trials_jsonl), contents.objectives, many=5)
    assert any(map(is_slim, slim.records))
    found = sections_of(Subject(folder=run, contents=replace(contents, result=slim)))
    assert list(map(shown, found)) == list(map(shown, whole))


def shown(section: Section) -> list[Any]:
    """What a section says; of a plot its words and its data."""
    blocks = [
        (block.name, block.caption, block.alt, repr(getattr(block.draw, "args", ())))
        if isinstance(block, Plot)
        else block
        for block in walk(section.blocks)
        if not hasattr(block, "blocks") and not hasattr(block, "sides")
    ]
    return [section.name, section.title, section.tone, *blocks]


def test_unreadable_lines_and_repeated_trials_are_said_alike(run: RunFolder, tmp_path: Path) -> None:
    lines = run.trials_jsonl.read_bytes().splitlines(keepends=True)[:30]
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join([*lines[:12], b"{torn\n", lines[3], *lines[12:], b'{"trial":']))
    store = RecordStore(path)
    slim = read_records(store, (DEFAULT_OBJECTIVE,), many=10)
    assert slim.problems == store.read().problems
    assert [one.line for one in slim.problems] == [13, 14, 33]
    assert len(slim.records) == 30


def test_other_processes_read_the_same(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run.trials_jsonl.read_bytes().splitlines(keepends=True)
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"".join([*lines[:40], b"\n", b"{torn\n", lines[3], *lines[40:], b'{"trial":']))
    monkeypatch.setattr(many, "parts_of", partial(parts_of, size=100_000))
    assert len(parts_of(path, 100_000)) > 10
    objectives = (DEFAULT_OBJECTIVE, LATENCY)
    with beside() as pool:
        assert pool is not None
        apart = read_records(RecordStore(path), objectives, many=10, pool=pool)
    assert apart == read_records(RecordStore(path), objectives, many=10)
    assert [one.line for one in apart.problems] == [42, 43, COUNT + 4]
    assert len(apart.records) == COUNT


def test_what_a_killed_process_was_to_read_is_read_here(run: RunFolder) -> None:
    with beside() as pool:
        assert pool is not None
        with pytest.raises(BrokenExecutor):
            pool.submit(os._exit, 1).result()
        with pytest.raises(BrokenExecutor):
            pool.submit(os.getpid)
        found = read_records(RecordStore(run.trials_jsonl), (DEFAULT_OBJECTIVE,), many=10, pool=pool)
    assert len(found.records) == COUNT


@pytest.mark.parametrize("size", [1, 5, 9, 10, 100])
def test_parts_are_whole_lines_and_all_of_them(size: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for text in (b"", b"a", b"a\n", b"12345678\n12345678\n", b"\n\n\nabc\n123456789012345\nx"):
        path.write_bytes(text)
        found = parts_of(path, size)
        assert b"".join(text[start:end] for start, end in found) == text
        assert all(start == 0 or text[start - 1 : start] == b"\n" for start, _ in found)


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    assert read_records(RecordStore(tmp_path / "no.jsonl"), ()).records == ()
