"""The report's account of whether the machine held still, as HTML and Markdown, and in short in the terminal."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from tests.analysis.test_disturbance import STEADY, UNSTEADY, make_hosted
from tests.analysis.test_drift import around, run
from tests.records.builders import make_record, make_run
from vbench.records.record import Spoiled, TrialRecord
from vbench.report.answer_section import answer_section
from vbench.report.blocks import Prose
from vbench.report.build import build_report
from vbench.report.contents import read_run
from vbench.report.subject import Subject
from vbench.report.tables import outcome_text
from vbench.report.terminal import summary_panel
from vbench.report.trust_section import MAX_ROWS, doubts_of_machine, trust_lines, trust_section
from vbench.spec.types import Objective

OBJECTIVE = Objective(metric="output_throughput_tok_s", direction="maximize")


def disturbed(trial: int, throughput: tuple[float, ...] = UNSTEADY) -> TrialRecord:
    record = make_hosted(throughput, busy_cores=5.0, foreign_cores=3.0)
    return record.model_copy(update={"trial": trial, "origin": "search"})


def repeated(trial: int) -> TrialRecord:
    first = make_record(trial, (200.0, 240.0))
    why = ["other processes took 3.0 of 8 cores"]
    spoiled = Spoiled(why=why, measurements=first.measurements, passes=first.passes, duration_s=first.duration_s)
    return make_record(trial, around(250.0), spoiled=spoiled)


def test_nothing_to_say_of_a_quiet_run() -> None:
    records = [make_record(0, around(250.0), origin="baseline"), make_hosted().model_copy(update={"trial": 1})]

    assert trust_section(records) is None
    assert trust_lines(records) == ()


def test_what_limits_the_answer_stands_beside_it(tmp_path: Path) -> None:
    hurt = disturbed(1, (900.0, 700.0, 500.0))
    folder = make_run(tmp_path, [*run(247.0, 200.0), hurt.model_copy(update={"trial": 40})])
    subject = Subject(folder=folder, contents=read_run(folder))
    said = [
        block.text for block in answer_section(subject).blocks if isinstance(block, Prose) and block.tone == "aside"
    ]

    assert any(text.startswith("The machine became") for text in said)
    assert "What else the machine did likely hurt the best trial’s own numbers." in said
    assert doubts_of_machine([make_record(0, around(250.0), origin="baseline")], None) == ()


def test_the_reference_over_time() -> None:
    section = trust_section(run(247.0, 235.0))

    assert section is not None
    assert section.references is not None
    assert [row.cells for row in section.references.rows] == [
        ("0", "0.0s", "250 tok/s", "–", "–"),
        ("3", "1h 00m", "247 tok/s", "−1.2%", "−2.2% to −0.2%"),
        ("6", "2h 00m", "235 tok/s", "−6.0%", "−6.9% to −5.1%"),
    ]
    assert [row.mark for row in section.references.rows] == ["", "", "unranked"]
    assert section.sentences[0].startswith("The machine became 6.0% slower between trial 0 and trial 6")
    assert (section.disturbed, section.repeated) == (None, None)


def test_a_reference_without_drift_is_shown_too() -> None:
    section = trust_section(run(250.0))

    assert section is not None
    assert section.sentences == ("The reference shows no drift of the machine beyond its own noise.",)


def test_what_hurt_comes_first() -> None:
    section = trust_section([disturbed(1, STEADY), disturbed(2)])

    assert section is not None
    assert section.disturbed is not None
    assert [row.cells[:2] for row in section.disturbed.rows] == [("2", "likely hurt"), ("1", "likely not")]


def test_many_are_cut_and_it_is_said() -> None:
    section = trust_section([disturbed(trial) for trial in range(MAX_ROWS + 5)])

    assert section is not None
    assert section.disturbed is not None
    assert len(section.disturbed.rows) == MAX_ROWS
    assert section.sentences == ("Of 25 disturbances the first 20 are shown, the worst kind first.",)


def test_trials_that_were_run_twice() -> None:
    section = trust_section([repeated(4)])

    assert section is not None
    assert section.repeated is not None
    assert section.repeated.rows[0].cells == ("4", "220 tok/s", "250 tok/s", "other processes took 3.0 of 8 cores")


def test_the_page_has_all_of_it(tmp_path: Path) -> None:
    records = [*run(247.0, 235.0), disturbed(7), repeated(8)]
    files = build_report(make_run(tmp_path / "results", records), tmp_path / "reports")

    for text in (files.html.read_text(encoding="utf-8"), files.markdown.read_text(encoding="utf-8")):
        assert "How still the machine was" in text
        assert "The machine became 6.0% slower between trial 0 and trial 6" in text
        for heading in ("The reference over time", "What disturbed trials", "Run twice"):
            assert heading in text
        assert "likely hurt" in text
    assert outcome_text(records[3]) == "completed (trial 0 as reference)"


def test_a_quiet_runs_page_has_no_such_section(tmp_path: Path) -> None:
    files = build_report(make_run(tmp_path / "results", [make_record(0)]), tmp_path / "reports")

    assert "How still the machine was" not in files.html.read_text(encoding="utf-8")


def test_the_terminal_says_it_in_short() -> None:
    records = [*run(235.0), disturbed(4), disturbed(5, STEADY), repeated(6)]
    console = Console(width=200, file=io.StringIO())
    with console.capture() as said:
        console.print(summary_panel(records, OBJECTIVE))
    text = said.get()

    assert "The machine became 6.0% slower between trial 0 and trial 3" in text
    assert "Run twice, as something disturbed the first attempt: trial 6." in text
    assert "Likely hurt by what else the machine did: trial 4." in text
