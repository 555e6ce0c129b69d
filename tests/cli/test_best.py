"""`vbench best --safe`, and what its Python says of where it comes from; the rest is in `test_read`."""

from __future__ import annotations

import json

from tests.cli.process import Vbench
from tests.records.builders import make_record, make_run

RATES = {0: (200.0, 5000), 1: (400.0, 15000), 2: (380.0, 9000)}
"""tok/s and MiB of each trial; the builder's run has a bound of 15,360 MiB."""


def with_run(vbench: Vbench, *trials: int) -> Vbench:
    records = [
        make_record(trial, [RATES[trial][0]] * 3, peak_mib=RATES[trial][1], parameters={"max_num_seqs": trial + 1})
        for trial in trials
    ]
    make_run(vbench.folder / "results", records)
    return vbench


def test_safe_prints_the_fastest_with_room_to_spare(vbench: Vbench) -> None:
    with_run(vbench, 0, 1, 2)
    assert "--max-num-seqs 2" in vbench("best", check=0).stdout
    done = vbench("best", "--safe", check=0)
    assert done.stdout == "vllm serve org/model-1b \\\n  --max-num-seqs 3\n"
    assert done.stderr == ""
    assert json.loads(vbench("best", "--safe", "--as", "json", check=0).stdout)["trial"] == 2


def test_safe_says_where_the_best_is_safe_itself(vbench: Vbench) -> None:
    done = with_run(vbench, 0, 2)("best", "--safe", check=0)
    assert "--max-num-seqs 3" in done.stdout
    assert done.stderr == "note: the best, trial 2, is itself safe\n"


def test_safe_is_exit_code_1_where_none_is(vbench: Vbench) -> None:
    done = with_run(vbench, 1)("best", "--safe", check=1)
    assert done.stdout == ""
    assert done.stderr.startswith("no trial leaves at least 10% of its memory budget free")


def test_safe_and_pareto_are_two_questions(vbench: Vbench) -> None:
    done = with_run(vbench, 0)("best", "--safe", "--pareto", check=2)
    assert "--safe names one trial and --pareto several" in done.stderr


def test_python_says_which_trial_it_is(vbench: Vbench) -> None:
    lines = with_run(vbench, 0)("best", "--as", "python", check=0).stdout.splitlines()
    assert lines[0].startswith("# Trial 0 of demo/20261103-093000: 200 tok/s, 10 prompts of prompts/ten.jsonl")
    assert "    max_tokens=100," in lines


def test_remarks_stay_out_of_a_shells_way(vbench: Vbench) -> None:
    record = make_record(0, 100.0, engine_facts={"max_num_seqs": 64})
    make_run(vbench.folder / "results", [record])
    done = vbench("best", check=0)
    assert done.stdout == "vllm serve org/model-1b \\\n  --max-num-seqs 64\n"
    assert done.stderr.startswith("note: max_num_seqs: as the engine chose")
