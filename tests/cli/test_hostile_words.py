"""`list`, `show` and `best` of runs that are broken, empty, very long, or named to do harm; run in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.builders import make_failure, make_record, make_run
from vbench.analysis import many
from vbench.cli.list_runs import _COLUMNS, _with_room
from vbench.cli.main import run_command
from vbench.outcome import Outcome

HOSTILE = "a\x1b[2J\u202e<script>\x9b2J"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command line in a folder of its own: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VBENCH_RESULTS", raising=False)

    def ran(*words: str) -> tuple[int, str, str]:
        code = run_command(list(words), False)
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


@pytest.mark.parametrize("words", [["list"], ["show"], ["show", "1"], ["show", "9"], ["show", HOSTILE]])
def test_no_name_moves_the_cursor(run: Run, tmp_path: Path, words: list[str]) -> None:
    records = [
        make_record(0, 100.0, parameters={HOSTILE: HOSTILE}),
        make_record(
            1,
            outcome=Outcome.CRASHED,
            failure=make_failure(failure_class="died", evidence=HOSTILE),
            warnings=(HOSTILE,),
        ),
    ]
    folder = make_run(tmp_path / "results", records, sweep="a\u202eb", status=HOSTILE, created_at=HOSTILE)
    with folder.trials_jsonl.open("a") as file:
        file.write(f'{{"{HOSTILE}"\n')

    _, out, err = run(*words)

    assert _CONTROL.findall(out + err) == []
    assert out + err


def test_what_cannot_be_read_of_a_run_is_counted_and_named(run: Run, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "results", [make_record(0, 100.0)])
    folder.machine_json.unlink()
    name = f"demo/{folder.run_id}"

    assert f"not everything of {name} can be read" in run("list")[2]
    code, out, _ = run("list", "--json")
    assert code == 0
    assert json.loads(out)["problems"] == [f"{name}/machine.json is missing: the run folder is not complete"]
    assert "machine.json is missing" in run("show")[2]


def test_of_very_many_problems_the_first_are_told(run: Run, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "results", [make_record(0, 100.0)])
    with folder.trials_jsonl.open("a") as file:
        file.write("broken\n" * 1200)
    problems = json.loads(run("list", "--json")[1])["problems"]
    assert (len(problems), problems[-1]) == (21, "and 1,180 more")
    assert run("show")[2].splitlines()[-1] == "note: and 1,180 more"
    assert len(run("show")[2].splitlines()) == 21


def test_a_status_is_one_word_for_machines(run: Run, tmp_path: Path) -> None:
    make_run(tmp_path / "results", [make_record(0, 100.0)], status="out_of_time")
    assert json.loads(run("list", "--json")[1])["status"] == "out_of_time"
    assert "out of time" in run("list")[1]


def test_a_run_without_a_trial_says_what_to_do(run: Run, tmp_path: Path) -> None:
    make_run(tmp_path / "results", [])
    code, out, err = run("best")
    assert (code, out) == (1, "")
    assert "has no trial yet that can be read: `vbench sweep FILE` goes on with it" in err
    code, out, _ = run("show")
    assert code == 0
    assert "Nothing has been tried yet" in out
    assert "Outcome" not in out  # no table without a row


def test_json_is_a_form_of_the_best(run: Run, tmp_path: Path) -> None:
    make_run(tmp_path / "results", [make_record(0, 100.0), make_record(1, 200.0)])
    assert run("best", "--json") == run("best", "--as", "json")
    assert json.loads(run("best", "--json")[1])["trial"] == 1
    code, _, err = run("best", "--json", "--as", "yaml")
    assert code == 2
    assert "--json and --as yaml ask for two forms" in err


def test_of_a_large_run_too_a_record_is_shown_as_it_is_stored(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [make_record(trial, 100.0 + trial) for trial in range(6)]
    folder = make_run(tmp_path / "results", records)
    stored = folder.trials_jsonl.read_text().splitlines()
    whole = [run("show", str(trial), "--json")[1].strip() for trial in range(6)]
    assert list(map(json.loads, whole)) == list(map(json.loads, stored))

    defaults = tuple(2 if value == many.MANY else value for value in many.read_records.__defaults__ or ())
    monkeypatch.setattr(many.read_records, "__defaults__", defaults)
    monkeypatch.setattr(many, "MANY", 2)
    monkeypatch.setattr(many, "NUM_BEST", 1)
    assert [run("show", str(trial), "--json")[1].strip() for trial in range(6)] == whole
    assert run("show", "--json")[1].splitlines()[1:] == whole
    assert run("best", "--pareto", "--json")[1].strip() == whole[5]


def test_lines_of_a_pipe_end_without_blanks(run: Run, tmp_path: Path) -> None:
    make_run(tmp_path / "results", [make_record(0, 100.0, parameters={"max_num_seqs": 4})])
    for words in (["list"], ["show"], ["show", "0"]):
        assert [line for line in run(*words)[1].splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize(
    ("width", "gone"),
    [
        (200, []),
        (90, ["Created (UTC)"]),
        (70, ["Created (UTC)", "Search", "Failed"]),
        (30, [*_COLUMNS[2:9], "Created (UTC)"]),
    ],
)
def test_columns_go_where_there_is_no_room_and_the_mark_stays(width: int, gone: list[str]) -> None:
    row = dict.fromkeys(_COLUMNS, "3")
    row |= {"Run": "small/20261103-093000", "Status": "finished", "Search": "5/5", "Best": "1,234 tok/s (fake)"}
    row |= {"Created (UTC)": "2026-11-03 09:30", "Pruned": "0", "Interrupted": "0", "Refused": "–"}
    shown = [name for name in _COLUMNS if name not in (*gone, "Pruned", "Interrupted", "Refused")]
    assert _with_room([row], width) == shown
