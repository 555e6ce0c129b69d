"""What the report says the search was worth, and where finals or the random arm stopped short."""

from __future__ import annotations

from pathlib import Path

from tests.records.builders import make_record, make_run
from tests.report.search_builders import make_search_run, make_stopped
from tests.report.test_search_section import cells, section_of
from vbench.report.build import build_report
from vbench.report.tables import prompt_sets_table


def test_both_arms_have_the_baseline_in_hand(tmp_path: Path) -> None:
    """A search stops what can't beat the baseline, random search measures it to the end: that is nothing found."""
    records = [
        make_record(0, [396.0, 400.0, 404.0], origin="baseline", duration_s=50.0),
        make_stopped(1, bound=390.0, incumbent=0, duration_s=60.0),
        make_record(2, [198.0, 200.0, 202.0], origin="random", duration_s=60.0),
    ]
    (sentence,) = section_of(make_run(tmp_path / "a", records)).worth
    assert sentence == (
        "After the same 1m 00s of engine time, neither arm had found anything better than the baseline's 400 tok/s."
    )
    records[2] = make_record(2, [495.0, 500.0, 505.0], origin="random", duration_s=60.0)
    (sentence,) = section_of(make_run(tmp_path / "b", records)).worth
    assert sentence.endswith(
        "only random search had found anything better than the baseline's 400 tok/s: 500 tok/s (trial 2). "
        "The search had not."
    )


def test_an_arm_that_ran_nothing_of_its_own_compares_nothing(tmp_path: Path) -> None:
    records = [
        make_record(0, [396.0, 400.0, 404.0], origin="baseline"),
        make_stopped(1, bound=390.0, incumbent=0, value=400.0),
    ]
    run = make_run(tmp_path, records, random_arm={"engine_s": 5.0, "borrowed": [1]})
    section = section_of(run)
    (sentence,) = section.worth
    assert sentence.startswith("The random arm drew nothing but what the search had measured")
    assert ("Random arm", "1 trial, 26s, 1 of them measured by the search already") in cells(section.facts)
    files = build_report(run, tmp_path / "reports")
    for path in (files.markdown, files.html):
        assert sentence in path.read_text()  # though there is nothing to draw


def test_finals_that_were_cut_short_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    section = section_of(make_search_run(tmp_path / "a", status="out_of_time"))
    (again,) = (row[1] for row in cells(section.facts) if row[0] == "Measured again")
    assert "the run ended before all were" in again


def test_a_prompt_set_is_listed_once_whatever_its_trials_counted(tmp_path: Path) -> None:
    records = [make_record(0), make_record(1)]
    unknown = records[1].prompt_set.model_copy(update={"input_tokens": None})
    records[1] = records[1].model_copy(update={"prompt_set": unknown})
    assert len(prompt_sets_table(records).rows) == 1
