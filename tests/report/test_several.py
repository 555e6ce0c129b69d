"""Several runs on one page: what is ranked together, what apart, and what the page says of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from tests.report.search_builders import make_final
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.blocks import Block, Bullets, Fold, Grid, Plot, Prose, Section, Side, Sides, walk
from vbench.report.contents import read_run
from vbench.report.page import make_page
from vbench.report.runs_section import runs_section
from vbench.report.sections import sections_of
from vbench.report.several import kind_of, subjects_of
from vbench.report.subject import Subject
from vbench.report.tables import Table

TARGET = {"profile": "t4", "machine": "Tesla T4", "is_emulated": False, "limit_bytes": None, "notes": []}
SEQS = {"max_num_seqs": 8}


def trials(*rates: float, **changes: Any) -> list[TrialRecord]:
    """A baseline and what was searched."""
    origins = ["baseline", *["search"] * len(rates)]
    return [
        make_record(trial, [rate * 0.99, rate, rate * 1.01], origin=origins[trial], parameters=SEQS, **changes)
        for trial, rate in enumerate(rates)
    ]


def read(*runs: RunFolder) -> tuple[Subject, ...]:
    return subjects_of([(run, read_run(run)) for run in runs])


def run(root: Path, records: Sequence[TrialRecord], sweep: str = "a", **facts: Any) -> RunFolder:
    return make_run(root, records, sweep=sweep, **{"target": TARGET, **facts})


def words(blocks: Iterable[Block]) -> str:
    found = []
    for block in walk(blocks):
        found += [block.text] if isinstance(block, Prose) else list(block.items) if isinstance(block, Bullets) else []
    return " ".join(found)


def table(section: Section | None, caption: str) -> Table:
    assert section is not None
    return next(one.table for one in walk(section.blocks) if isinstance(one, Grid) and one.caption == caption)


def test_one_run_keeps_its_numbers_and_has_no_table_of_runs(tmp_path: Path) -> None:
    (subject,) = read(run(tmp_path, trials(100.0, 200.0)))
    assert [record.trial for record in subject.records] == [0, 1]
    assert subject.runs is None
    assert runs_section([subject]) is None


def test_runs_of_the_same_work_are_ranked_together_with_the_run_beside_each_trial(tmp_path: Path) -> None:
    one, two = run(tmp_path, trials(100.0, 200.0)), run(tmp_path, trials(110.0, 150.0, 400.0), "b")
    (subject,) = read(one, two)
    assert subject.is_merged
    assert subject.answer.best is not None
    assert subject.answer.best.trial == 12
    assert subject.answer.gain is not None
    assert subject.answer.gain.ratio == pytest.approx(400 / 110)  # over its own run's baseline
    assert subject.folder == two
    assert subject.runs == {0: name(one), 1: name(one), 10: name(two), 11: name(two), 12: name(two)}
    assert subject.source_of(1) == (one, 1)
    assert subject.source_of(12) == (two, 2)
    section = runs_section([subject])
    rows = [row.cells for row in table(section, "Runs on this page").rows]
    assert [row[:5] for row in rows] == [
        (name(one), "0 to 1", "0 to 1", "2 of 2", "200 tok/s"),
        (name(two), "10 to 12", "0 to 2", "3 of 3", "400 tok/s"),
    ]
    assert section is not None
    assert "measured at different times" in words(section.blocks)
    assert f"the baseline of the best’s own run, {name(two)}" in words(section.blocks)


def test_a_baseline_of_another_run_is_said_to_be_one(tmp_path: Path) -> None:
    without = [one.model_copy(update={"origin": "search"}) for one in trials(300.0, 400.0)]
    (subject,) = read(run(tmp_path, trials(100.0, 200.0)), run(tmp_path, without, "b"))
    assert subject.answer.gain is not None
    assert subject.answer.gain.ratio == pytest.approx(4.0)
    section = runs_section([subject])
    assert section is not None
    assert "has no baseline: the gain is over that of a/" in words(section.blocks)


def name(folder: RunFolder) -> str:
    return f"{folder.sweep}/{folder.run_id}"


@pytest.mark.parametrize(
    ("facts", "changes", "why"),
    [
        ({"target": {**TARGET, "profile": "l4"}}, {}, "hardware"),
        ({"target": {**TARGET, "machine": "Tesla T4 Max"}}, {}, "machine"),
        ({"target": {**TARGET, "is_emulated": True}}, {}, "numbers"),
        ({"prompt_set_sha256": "ef" * 32}, {}, "prompts"),
        ({"constraints": []}, {}, "constraints"),
        ({"objective": {"metric": "p95_ttft_s", "direction": "minimize"}}, {}, "objective"),
        ({}, {"engine": "fake"}, "numbers"),
        ({}, {"engine": "simulated"}, "numbers"),
        ({}, {"config": {"model": "org/other"}}, "model"),
    ],
)
def test_what_does_not_compare_is_ranked_apart(
    tmp_path: Path, facts: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    one, two = run(tmp_path, trials(100.0, 200.0)), run(tmp_path, trials(900.0, **changes), "b", **facts)
    first, second = read(one, two)
    assert why in kind_of(second.contents).differences(kind_of(first.contents))
    assert [record.trial for record in (*first.records, *second.records)] == [0, 1, 10]  # alike nowhere on the page
    assert first.answer.value == pytest.approx(200.0)
    section = runs_section([first, second])
    assert section is not None
    assert "Part 2 is ranked apart from part 1" in words(section.blocks)
    rows = [row.cells for row in table(section, "What was ranked, part by part").rows]
    assert [row[0] for row in rows] == ["1", "2"]
    assert rows[0][5:9] == ("200 tok/s", "198.0 – 202.0", "1", "×2.00")


def test_another_way_of_calling_matters_only_to_what_depends_on_it(tmp_path: Path) -> None:
    latency: dict[str, Any] = {"objective": {"metric": "p95_ttft_s", "direction": "minimize"}}
    served = {"config": {"model": "org/model-1b", "mode": "server", "load": {"max_concurrency": 4}}}
    runs = [run(tmp_path, trials(100.0)), run(tmp_path, trials(100.0, **served), "b")]
    assert len(read(*runs)) == 1
    runs = [run(tmp_path, trials(100.0), **latency), run(tmp_path, trials(100.0, **served), "b", **latency)]
    assert len(read(*runs)) == 2


def test_a_copy_of_a_run_does_not_count_twice(tmp_path: Path) -> None:
    older = run(tmp_path, trials(100.0), run_uid="same")
    newer = run(tmp_path, trials(100.0, 200.0), "b", run_uid="its own", copy_of="same")
    for order in ((older, newer), (newer, older)):
        (subject,) = read(*order)
        assert subject.folder == newer
        assert [record.trial for record in subject.records] == [0, 1]
        assert f"{name(older)} is a copy of {name(newer)}" in subject.contents.problems[0]


def test_the_same_constraints_in_another_order_are_the_same(tmp_path: Path) -> None:
    runs = [run(tmp_path, trials(100.0), constraints=["a <= 1", "b <= 1"]),
            run(tmp_path, trials(100.0), "b", constraints=["b <= 1", "a <= 1"])]  # fmt: skip
    assert len(read(*runs)) == 1


def test_finals_of_one_run_do_not_hide_a_clearly_better_trial_of_another(tmp_path: Path) -> None:
    finals = [make_final(3, 1, 200.0), make_final(4, 2, 190.0)]
    with_finals = run(tmp_path, [*trials(100.0, 210.0, 205.0), *finals])
    without = run(tmp_path, trials(100.0, 500.0, 201.0), "b")
    for order in ((with_finals, without), (without, with_finals)):
        (subject,) = read(*order)
        best = subject.answer.best
        assert best is not None
        assert subject.source_of(best.trial) == (without, 1)
        assert subject.answer.gain is not None
        assert subject.answer.gain.ratio == pytest.approx(5.0)
        section = runs_section([subject])
        assert section is not None
        assert "only where it is clearly ahead of them" in words(section.blocks)


def test_versions_that_differ_are_named(tmp_path: Path) -> None:
    one = run(tmp_path, trials(100.0), vbench_version="0.1.0")
    two = run(tmp_path, trials(90.0), "b", vbench_version="0.2.0")
    section = runs_section(read(one, two))
    assert section is not None
    assert "Different versions of vbench" in words(section.blocks)
    assert "0.2.0" in words(section.blocks)
    assert "Different engines" not in words(section.blocks)


def test_what_is_about_one_run_is_left_out_of_a_merged_page(tmp_path: Path) -> None:
    one, two = run(tmp_path, trials(100.0, 200.0)), run(tmp_path, trials(100.0, 150.0), "b")
    merged = {section.name for section in sections_of(read(one, two)[0])}
    alone = {section.name for section in sections_of(read(one)[0])}
    assert alone - merged == {"search"}


def test_facts_that_are_alike_stay_and_others_stand_by_run(tmp_path: Path) -> None:
    one = run(tmp_path, trials(100.0), parameters=["x"], seed=1)
    two = run(tmp_path, trials(90.0), "b", parameters=["y", "x"], seed=2, target={**TARGET, "notes": ["x"]})
    two.sweep_yaml.write_text("name: b\n", encoding="utf-8")
    (subject,) = read(one, two)
    facts = subject.contents.run
    assert facts["parameters"] == ["x", "y"]
    assert facts["target"]["profile"] == "t4"  # notes alone differ
    assert not {"seed", "status", "num_trials_planned"} & set(facts)
    assert all(own["status"] == "finished" for own in facts["by_run"].values())
    assert [own["seed"] for own in facts["by_run"].values()] == [1, 2]
    assert subject.contents.sweep_yaml.count("# ") == 2
    json.dumps(facts)


def test_a_page_of_parts_names_no_anchor_and_no_plot_twice(tmp_path: Path) -> None:
    one = run(tmp_path, trials(100.0, 200.0))
    two = run(tmp_path, trials(900.0, 950.0, engine="fake"), "b")
    page = make_page(*read(one, two))
    names = [section.name for section in page.sections]
    assert names[0] == "runs"
    assert len(names) == len(set(names))
    assert {"part-1", "part-1-answer", "part-2", "part-2-answer"} <= set(names)
    plots = [plot for _, drawn in page.plots for plot in drawn]
    shown = [block for section in page.sections for block in walk(section.blocks) if isinstance(block, Plot)]
    assert plots == shown
    assert len({plot.name for plot in plots}) == len(plots) > 2
    assert page.mark is not None
    assert page.mark.word == "partly-fake"
    assert [mark.word if mark else "" for mark, _ in page.plots] == ["", "fake"]
    part = next(section for section in page.sections if section.name == "part-2")
    assert "fake engine" in words(part.blocks)


def test_a_run_without_anything_has_a_part_of_its_own(tmp_path: Path) -> None:
    empty = tmp_path / "b" / "20260101-000000"
    empty.mkdir(parents=True)
    (empty / "trials.jsonl").write_text("")
    page = make_page(*read(run(tmp_path, trials(100.0)), RunFolder(empty)))
    assert "part-2-answer" in {section.name for section in page.sections}


def test_plots_within_folds_and_sides_are_renamed(tmp_path: Path) -> None:
    from vbench.report.page import _named

    plot = Plot(name="x", title="", caption="", alt="", draw=lambda _: None)  # type: ignore[arg-type,return-value]
    block = Fold("f", (Sides((Side("s", (plot,)),)),))
    assert [one.name for one in walk([_named(block, 2)]) if isinstance(one, Plot)] == ["part-2-x"]
