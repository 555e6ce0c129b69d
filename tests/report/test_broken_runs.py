"""Runs of which little is left, or nothing worked: still a page, and one that says what to do next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import NOW, make_failure, make_record, make_run
from tests.report.search_builders import make_stopped
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, create
from vbench.report.blocks import Block, Bullets, Code, Heading, Prose, Section, walk
from vbench.report.build import build_report
from vbench.report.contents import read_run
from vbench.report.failures_section import failures_section, next_section
from vbench.report.page import Page, make_page
from vbench.report.several import subjects_of
from vbench.report.subject import Subject


def subject_of(run: RunFolder) -> Subject:
    (subject,) = subjects_of([(run, read_run(run))])
    return subject


def page_of(run: RunFolder) -> Page:
    return make_page(subject_of(run))


def text_of(blocks: Iterable[Block]) -> str:
    found: list[str] = []
    for block in walk(blocks):
        if isinstance(block, (Prose, Code, Heading)):
            found.append(block.text)
        elif isinstance(block, Bullets):
            found += block.items
    return "\n".join(found)


def names(page: Page) -> list[str]:
    return [section.name for section in page.sections]


def section(page: Page, name: str) -> Section:
    return next(one for one in page.sections if one.name == name)


def failed(trial: int, name: str = "kv_cache_too_small", **changes: Any) -> TrialRecord:
    failure = make_failure(name, f"the engine's line {trial % 5}", advice=f"advice for {name}")
    return make_record(trial, None, outcome=Outcome.OUT_OF_MEMORY, failure=failure, **changes)


def test_nothing_tried_says_how_to_begin(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, [], status="running"))
    assert names(page)[:2] == ["answer", "next"]
    text = text_of(section(page, "next").blocks)
    assert "vbench sweep FILE" in text
    assert "The run is running" in text
    assert "failures" not in names(page)


def test_where_all_failed_the_classes_and_their_advice_come_first(tmp_path: Path) -> None:
    records = [failed(0), failed(1), failed(2, "deadline"), failed(3, "odd")]
    records[3] = make_record(3, None, outcome=Outcome.CRASHED, failure=make_failure("odd", advice=""))
    run = make_run(tmp_path, records)
    page = page_of(run)
    assert names(page)[:3] == ["answer", "next", "failures"]
    text = text_of(section(page, "next").blocks)
    assert text.index("2 trials, kv_cache_too_small: advice for") < text.index("1 trial, deadline: advice for")
    assert "Nothing is known of what to try for trial 3" in text
    assert f"vbench show demo/{run.run_id} 0" in text


def test_completed_trials_that_break_a_constraint_say_by_how_much(tmp_path: Path) -> None:
    over = [
        make_record(trial, 100.0, constraint_violations={"p95_ttft_s <= 4": by}) for trial, by in ((0, 0.5), (1, 0.12))
    ]
    text = text_of(section(page_of(make_run(tmp_path, over)), "next").blocks)
    assert "p95_ttft_s <= 4: broken by 2 of the 2 that completed, by 12.0% at the least" in text
    assert "vbench show" not in text


def test_with_an_answer_there_is_no_other_advice_at_the_top(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_record(0, 100.0), failed(1)])
    assert next_section(subject_of(run)) is None
    page = page_of(run)
    assert names(page).index("failures") > names(page).index("history")


def test_failures_say_what_they_share_and_what_ran(tmp_path: Path) -> None:
    common: dict[str, Any] = {"max_model_len": 8192}
    bad = [failed(trial, parameters={**common, "max_num_seqs": trial}) for trial in (1, 2, 3)]
    good = [make_record(4, 100.0, parameters={"max_model_len": 4096, "max_num_seqs": 1}),
            make_stopped(5, parameters={"max_model_len": 4096, "max_num_seqs": 2})]  # fmt: skip
    found = failures_section(subject_of(make_run(tmp_path, [*bad, *good])))
    assert found is not None
    text = text_of(found.blocks)
    assert "All 3 had max_model_len = 8192; of the 2 that ran, none had." in text
    assert "The nearest that ran, trial 4, had max_model_len 4096 instead of 8192 (against trial 1)." in text


def test_a_class_shows_a_few_of_its_lines_each_once(tmp_path: Path) -> None:
    found = failures_section(subject_of(make_run(tmp_path, [failed(trial) for trial in range(12)])))
    assert found is not None
    lines = [block.text for block in walk(found.blocks) if isinstance(block, Code)]
    assert lines == [f"the engine's line {number}" for number in range(3)]
    assert "and 2 other lines of this kind" in text_of(found.blocks)


def test_one_trial_alone(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, [make_record(0, 100.0)]))
    assert {"answer", "trials", "method"} <= set(names(page))
    assert "failures" not in names(page)


def _without_run_json(run: RunFolder) -> None:
    run.run_json.unlink()


def _torn_run_json(run: RunFolder) -> None:
    run.run_json.write_text('{"objective": {"metric"', encoding="utf-8")


def _other_json(run: RunFolder) -> None:
    run.run_json.write_text("[1, 2]", encoding="utf-8")
    run.machine_json.write_bytes(b"\xff\xfe")


def _odd_facts(run: RunFolder) -> None:
    words = ("target", "parameters", "random_arm", "warm_start")
    numbers = ("objective", "constraints", "created_at", "prompt_set_sha256", "name")
    nested = ("status", "more_objectives", "description", "seed")
    odd: dict[str, Any] = {
        **dict.fromkeys(words, "x"),
        **dict.fromkeys(numbers, 7),
        **{name: {"a": [1]} for name in nested},
    }
    run.run_json.write_text(json.dumps(odd), encoding="utf-8")


def _no_files(run: RunFolder) -> None:
    for path in run.path.iterdir():
        if path != run.trials_jsonl:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _torn_ledger(run: RunFolder) -> None:
    run.ledger_jsonl.write_bytes(b'{"session": 1, "start\n\xff\xff\n[]\n')


@pytest.mark.parametrize(
    "damage", [_without_run_json, _torn_run_json, _other_json, _odd_facts, _no_files, _torn_ledger]
)
def test_damaged_files_leave_what_the_records_say(tmp_path: Path, damage: Callable[[RunFolder], None]) -> None:
    run = make_run(tmp_path, [make_record(0, 100.0), make_record(1, 200.0)])
    damage(run)
    page = page_of(run)
    assert section(page, "answer").title.startswith("Trial 1 is the best")
    assert ("problems" in names(page)) == (damage is not _torn_ledger)


def _lines(run: RunFolder) -> list[bytes]:
    return run.trials_jsonl.read_bytes().splitlines(keepends=True)


def _rewritten(run: RunFolder, lines: Sequence[bytes]) -> RunFolder:
    run.trials_jsonl.write_bytes(b"".join(lines))
    return run


def test_records_that_cannot_be_read_are_named_and_the_others_count(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_record(trial, 100.0 + trial) for trial in range(4)])
    lines = _lines(run)
    newer = {**json.loads(lines[3]), "schema_version": 99}
    broken = [lines[0], b"\x00\xff garbage\n", b"NaN\n", b"[]\n", json.dumps(newer).encode() + b"\n", lines[1]]
    page = page_of(_rewritten(run, [*broken, lines[1], lines[2][: len(lines[2]) // 2]]))
    assert section(page, "answer").title.startswith("Trial 1 is the best of 2")
    text = text_of(section(page, "problems").blocks)
    for expected in ("trials.jsonl:2:", "trials.jsonl:3:", "newer vbench", "already on line 6", "the line has no end"):
        assert expected in text
    assert names(page).index("problems") <= 2


def test_records_of_several_versions_stand_in_one_table(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_record(trial, 100.0 + trial) for trial in range(3)])
    older, newer, today = map(json.loads, _lines(run))
    for name in ("estimate", "quality", "spoiled", "environment", "hardware", "warnings", "stopped", "origin"):
        older.pop(name, None)  # a first version might have lacked any that has a default
    newer["something_new"] = {"deep": [1]}
    newer["engine"]["version"] = "0.40.0"
    lines = [json.dumps(one).encode() + b"\n" for one in (older, newer, today)]
    page = page_of(_rewritten(run, lines))
    assert section(page, "answer").title.startswith("Trial 2 is the best of 3")
    assert any("0.40.0" in part for part in page.subtitle)
    assert "problems" not in names(page)


def test_a_folder_with_nothing_in_it_is_reported(tmp_path: Path) -> None:
    files = build_report(create(tmp_path, "demo", NOW), tmp_path / "reports")
    text = files.html.read_text(encoding="utf-8")
    for expected in ("run.json is missing", "vbench sweep FILE", "Nothing has been tried yet"):
        assert expected in text
    assert files.summary["parts"][0]["best"] is None
