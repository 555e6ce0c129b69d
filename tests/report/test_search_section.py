"""What the report says of a search: the section, the front, and the marks that early stops and finals leave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_failure, make_record, make_run
from tests.report.search_builders import (
    MORE_OBJECTIVES,
    make_final,
    make_search_run,
    make_stopped,
)
from tests.report.test_build import HOSTILE, parse
from vbench.analysis.failures import group_failures
from vbench.outcome import Outcome
from vbench.records.runs import RunFolder
from vbench.report.build import build_report
from vbench.report.contents import read_run
from vbench.report.page import Page, make_page
from vbench.report.pareto_section import pareto_section
from vbench.report.search_section import SearchSection, search_section
from vbench.report.subject import Subject
from vbench.report.summary import summary_facts, summary_headline, summary_notes
from vbench.report.tables import Table
from vbench.report.trials_table import trials_table
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")


def subject_of(run: RunFolder) -> Subject:
    return Subject(folder=run, contents=read_run(run))


def page_of(run: RunFolder) -> Page:
    return make_page(subject_of(run))


def section_of(run: RunFolder) -> SearchSection:
    subject = subject_of(run)
    section = search_section(subject.records, subject.contents)
    assert section is not None
    return section


def cells(table: Table | None) -> list[tuple[str, ...]]:
    assert table is not None
    return [row.cells for row in table.rows]


def two_arms(tmp_path: Path, search: float, random: float, **facts: Any) -> tuple[str, ...]:
    records = [
        make_record(0, [search * 0.99, search, search * 1.01], duration_s=50.0),
        make_record(1, [random * 0.99, random, random * 1.01], origin="random", duration_s=60.0),
    ]
    return section_of(make_run(tmp_path, records, **facts)).worth


def test_the_section_counts_what_the_search_did(tmp_path: Path) -> None:
    facts = {row.cells[0]: row.cells[1] for row in section_of(make_search_run(tmp_path)).facts.rows}
    assert facts["Method"] == "auto, seed 0"
    assert facts["Started from"].startswith("demo/20261101-093000: taken as hints")
    assert facts["Started"] == "12 trials, the baseline among them"
    assert facts["Refused by the planner"] == "1, at no cost"
    assert re.fullmatch(r"4, which saved about \d+s of their remaining passes \(an estimate\)", facts["Stopped early"])
    assert facts["Failed"] == "1"
    assert facts["On a running engine"].startswith("2 trials")
    assert facts["Measured again"] == "2 finalists, in 4 more trials"
    assert facts["Random arm"].startswith("5 trials")  # its own four and the one it shares with the search
    assert facts["GPU time"] == "9m 23s in 2 sessions (a CPU counts as one GPU)"  # 221 s + 342 s


def test_what_did_not_happen_is_not_listed(tmp_path: Path) -> None:
    section = section_of(make_run(tmp_path, [make_record(0, 100.0)]))
    assert [name for name, _ in cells(section.facts)] == ["Started"]
    assert (section.worth, section.finals, section.sessions) == ((), None, None)


def test_a_single_trial_was_no_search(tmp_path: Path) -> None:
    subject = subject_of(make_run(tmp_path, [make_record(0, 100.0, origin="run")]))
    assert search_section(subject.records, subject.contents) is None


def test_the_parts_of_engine_time_add_up(tmp_path: Path) -> None:
    # 20 s of loading and 1.3 s of a probe in each; a warm-up of 4 s in neither
    run = make_run(tmp_path, [make_stopped(0, "probe"), make_stopped(1, "probe")])
    assert cells(section_of(run).spent) == [
        ("Starting engines", "40s", "91%"),
        ("Probes", "2.6s", "6%"),
        ("Closing", "1.0s", "2%"),
        ("In between", "0.4s", "<1%"),
        ("All trials", "44s", ""),
    ]


def test_the_random_arm_is_compared_at_equal_engine_seconds(tmp_path: Path) -> None:
    (sentence,) = two_arms(tmp_path, 400.0, 380.0)
    assert sentence.startswith("After the same 50s of engine time, only the search had found")  # random took 60 s
    records = [
        make_record(0, [396.0, 400.0, 404.0], duration_s=50.0),
        make_record(1, [496.0, 500.0, 504.0], duration_s=30.0),
        make_record(2, [376.0, 380.0, 384.0], origin="random", duration_s=60.0),
    ]
    first, second = section_of(make_run(tmp_path / "b", records)).worth
    # The search's 500 tok/s came after 80 s: too late to count at 60 s.
    assert "random search had found 380 tok/s (trial 2), −5.0% against the search's 400 tok/s (trial 0)" in first
    assert "overlap" not in first
    assert second == "The search had as much after 50s, 83% of that time."


def test_arms_that_cannot_be_told_apart_are_said_to_be(tmp_path: Path) -> None:
    records = [
        make_record(0, [390.0, 400.0, 410.0], duration_s=60.0),
        make_record(1, [395.0, 405.0, 415.0], origin="random", duration_s=60.0),
    ]
    (sentence,) = section_of(make_run(tmp_path, records)).worth
    assert "+1.2% against the search's 400 tok/s (trial 0); their intervals overlap" in sentence


def test_borrowed_trials_are_named(tmp_path: Path) -> None:
    section = section_of(make_search_run(tmp_path))
    assert any("The random arm drew trial 4 too" in sentence for sentence in section.worth)
    assert section.course is not None
    assert section.course.random is not None
    assert [point.is_borrowed for point in section.course.random.points] == [True, False]


def test_the_finals_table_has_both_values_and_the_change_of_order(tmp_path: Path) -> None:
    section = section_of(make_search_run(tmp_path))
    assert cells(section.finals) == [
        ("6", "402 tok/s", "1", "388 tok/s", "384.1 – 391.9", "−3.5%", "2", "13, 15"),
        ("9", "398 tok/s", "2", "397 tok/s", "393.0 – 401.0", "−0.3%", "1", "14, 16"),
    ]
    assert "Trial 6, which had been first, changed by −3.5%." in section.finals_notes[0]
    assert section.finals_notes[1] == "The order changed."


def test_the_answer_is_the_finals_and_the_baseline_is_said_to_stand_as_it_was(tmp_path: Path) -> None:
    subject = subject_of(make_search_run(tmp_path))
    assert summary_headline(subject.answer) == "Trial 9 is the best of 2 finalists, which were measured again"
    by_label = {fact.label: fact for fact in summary_facts(subject.answer, subject.records)}
    value = by_label["Output throughput"]
    assert value.value == "397 tok/s"
    assert value.note.endswith("of its finals, trials 14, 16")
    assert by_label["Against the baseline"].value == "×1.89"  # 397 ÷ 210
    assert by_label["Against the baseline"].note.endswith("the baseline was not measured again")
    assert by_label["Trials"].note == "15 completed, 4 stopped early, 1 failed, 1 refused by the planner"


def test_a_finalist_that_could_not_be_measured_again_is_named(tmp_path: Path) -> None:
    lost = {"outcome": Outcome.CRASHED, "failure": make_failure("died"), "passes": [], "measurements": {}}
    records = [make_record(0, 400.0), make_record(1, 390.0), make_final(2, 0, 380.0)]
    records.append(make_final(3, 1, 390.0).model_copy(update=lost))
    run = make_run(tmp_path, records)
    subject = subject_of(run)
    notes = summary_notes(subject.answer, subject.records)
    assert any("Trial 1 could not be measured again" in note for note in notes)
    assert section_of(run).finals_notes[1] == "Of trial 1 no final can be ranked."


def test_sessions_are_a_table_when_there_are_two(tmp_path: Path) -> None:
    rows = cells(section_of(make_search_run(tmp_path)).sessions)
    assert [row[0] for row in rows] == ["1", "2", ""]
    assert rows[0][-1] == "no end noted"
    assert rows[1][-1] == "finished"
    assert rows[-1][2:6] == ("9m 50s", "9m 23s", "0.156", "20")


@pytest.mark.parametrize("text", ["{\n", json.dumps({"session": "x"}) + "\n", "[1]\n\x00\n"])
def test_a_broken_ledger_is_not_the_reports_end(tmp_path: Path, text: str) -> None:
    run = make_search_run(tmp_path)
    run.ledger_jsonl.write_text(text)
    assert section_of(run).sessions is None


@pytest.mark.parametrize(
    "facts",
    [
        {"random_arm": 3, "warm_start": "x", "more_objectives": 1},
        {"random_arm": {"borrowed": "abc"}, "warm_start": [1, {}], "more_objectives": [{"metric": "magic"}]},
        {"random_arm": {"borrowed": [999, None]}, "search_method": None, "seed": []},
    ],
)
def test_odd_facts_of_a_run_are_lived_with(tmp_path: Path, facts: dict[str, Any]) -> None:
    page = page_of(make_search_run(tmp_path, **facts))
    assert "search" in [one.name for one in page.sections]


def test_stopped_trials_are_shown_with_their_reason_and_bound(tmp_path: Path) -> None:
    subject = subject_of(make_search_run(tmp_path))
    trials = trials_table(subject.records, subject.answer, [])
    row = trials.rows[5]
    assert (row.mark, *row.cells[1:5]) == ("pruned", "stopped early", "search", "≤ 286 tok/s", "–")
    assert row.cells[-1] == (
        "stopped 1.3 s into pass 1: at most 286 tok/s, the best then had 371 tok/s (trial 4), error rate 5%"
    )
    assert [group.failure_class for group in group_failures(subject.records)] == [
        "kv_cache_too_small",
        "planner_infeasible",
    ]
    assert trials.rows[13].cells[1:3] == ("completed", "final of 6")
    assert trials.rows[17].cells[1:3] == ("completed", "random arm")


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    subject = subject_of(make_search_run(tmp_path, more_objectives=MORE_OBJECTIVES))
    pareto = pareto_section(subject.records, subject.contents.objectives)
    assert pareto is not None
    assert pareto.front.columns[:3] == ("Trial", "Output throughput", "Peak memory")
    assert [row.cells[0] for row in pareto.front.rows] == ["9", "12", "4", "0"]
    assert pareto.front.rows[0].mark == "best"
    assert "by the first objective, Output throughput (the more the better)" in pareto.note
    plot = pareto.plot
    assert plot is not None
    assert [point.trial for point in plot.points if point.is_on_front] == [9, 12, 4, 0]
    assert plot.is_whole


def test_a_front_of_nothing_is_said_to_be_empty(tmp_path: Path) -> None:
    run = make_run(tmp_path, [make_stopped(0)], more_objectives=MORE_OBJECTIVES)
    files = build_report(run, tmp_path / "out")
    assert "No trial has a value of every objective" in " ".join(parse(files).text)


def test_the_whole_report_is_one_page_and_the_same_twice(tmp_path: Path) -> None:
    run = make_search_run(tmp_path / "results", more_objectives=MORE_OBJECTIVES)
    first, second = build_report(run, tmp_path / "a"), build_report(run, tmp_path / "b")
    assert first.html.read_bytes() == second.html.read_bytes()
    assert first.markdown.read_bytes() == second.markdown.read_bytes()
    assert len(parse(first).alts) == len([path for path in first.plots if path.suffix == ".png"])
    assert {"pareto.png", "time.png", "search.png"} <= {path.name for path in first.plots}
    markdown = first.markdown.read_text(encoding="utf-8")
    for heading in ("## Trade-offs", "## What the search did", "### Finals", "### Sessions"):
        assert heading in markdown
    assert [markdown.count(f"](plots/{name}.png)") for name in ("search", "pareto")] == [1, 1]


def test_hostile_facts_are_only_text(tmp_path: Path) -> None:
    run = make_search_run(tmp_path, search_method=HOSTILE, seed=HOSTILE, warm_start=[HOSTILE])
    lines = [json.dumps({"session": n, "started_at": HOSTILE, "ended_at": "x", "status": HOSTILE}) for n in (1, 2)]
    run.ledger_jsonl.write_text("\n".join(lines) + "\n")
    page = parse(build_report(run, tmp_path / "out"))
    assert page.tags.count("script") == 1
    assert "<script>alert('x')</script>" in "".join(page.text)
