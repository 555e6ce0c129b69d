"""`list`, `show`, `best` of a run that was searched: stopped trials, finals, several objectives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.process import Vbench
from tests.report.search_builders import MORE_OBJECTIVES, make_search_run


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Vbench:
    folder = tmp_path_factory.mktemp("searched")
    make_search_run(folder / "results", more_objectives=MORE_OBJECTIVES)
    return Vbench(folder)


def test_list_counts_pruned_trials_and_shows_what_the_finals_found(searched: Vbench) -> None:
    heading, line = searched("list", check=0).stdout.splitlines()
    columns = ["Run", "Status", "Search", "Trials", "Completed", "Pruned", "Failed", "Refused", "Best"]
    assert heading.split()[:9] == columns
    # 12 were started, without finals and random arm; all 21 are in one of the four that follow.
    assert line.split()[2:10] == ["12/21", "21", "15", "4", "1", "1", "397", "tok/s"]


def test_show_names_origins_bounds_and_reasons(searched: Vbench) -> None:
    output = searched("show", check=0).stdout
    for expected in (
        "(baseline)",
        "(trial 6 again)",
        "(random arm)",
        "≤ 286 tok/s",
        "Trial 9 is the best of 2 finalists",
    ):
        assert expected in output
    assert "stopped 1.3 s into pass 1: at most 286 tok/s" in searched("show", "5", check=0).stdout
    assert "measured again in trials 14, 16: 397 tok/s" in searched("show", "9", check=0).stdout


def test_best_is_the_trial_that_the_finals_chose_with_their_passes(searched: Vbench) -> None:
    record = json.loads(searched("best", "--as", "json", check=0).stdout)
    assert (record["trial"], record["remeasured"], len(record["passes"])) == (9, [14, 16], 6)
    assert "--max-num-seqs 16" in searched("best", check=0).stdout


def test_the_front_can_be_printed_as_a_table_or_as_records(searched: Vbench) -> None:
    lines = searched("best", "--pareto", check=0).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["Trial", "9", "12", "4", "0"]
    records = searched("best", "--pareto", "--as", "json", check=0).stdout.splitlines()
    assert [json.loads(line)["trial"] for line in records] == [9, 12, 4, 0]
    assert "--as python is for one trial" in searched("best", "--pareto", "--as", "python", check=2).stderr


def test_a_front_of_one_objective_is_its_best(tmp_path: Path) -> None:
    make_search_run(tmp_path / "results")
    done = Vbench(tmp_path)("best", "--pareto", check=0)
    assert "has one objective" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["Trial", "9"]
