"""`vbench compare --again`, as a user meets it: measured in turns, killed, gone on with, read again."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.cli.process import DEADLINE_S, SMALL, Vbench, marked, records_of, run_facts, trial_of, wait_for
from vbench.errors import EXIT_INTERRUPTED, EXIT_NO_RESULT, EXIT_SLOWER, EXIT_USAGE

COMPARE = ("compare", "small.yaml", "--a", "max_num_seqs=4", "--b", "max_num_seqs=2", "--max-pairs", "2")


@pytest.fixture
def small(vbench: Vbench) -> Vbench:
    vbench.write(SMALL)
    return vbench


def sides(run: Path) -> str:
    return "".join(record["side"] for record in records_of(run))


def wait_for_records(vbench: Vbench, number: int) -> Path:
    """The comparison's run folder, once it has so many records."""

    def look() -> list[Path]:
        found = [path.parent for path in (vbench.folder / "results" / "compare-small").glob("*/trials.jsonl")]
        return [run for run in found if len((run / "trials.jsonl").read_text().splitlines()) >= number]

    return wait_for(look, f"{number} records")[0]


def test_a_file_s_two_ways_and_what_was_found_once_more(small: Vbench) -> None:
    done = small(*COMPARE, check=0)
    assert "B is 45.4 % slower" in done.stdout  # (4 * 8e-5 + 8 * 0.012) / (2 * (2 * 8e-5 + 8 * 0.011))
    assert "[pair 1/2] A, trial 0  max_num_seqs=4\n" in done.stdout
    assert re.search(r"\[pair 2/2, about .* left\] B, trial 2  max_num_seqs=2\n", done.stdout)
    assert re.search(r"tok/s.*B ÷ A 0\.546 \(95 %: 0\.546 to 0\.546\)\n", done.stdout)
    run = small.run("compare-small")
    assert sides(run) == "ABBA"
    again = small("compare", "compare-small", check=0)
    assert done.stdout.endswith(again.stdout)
    assert "measured in turns" in again.stdout
    small("compare", "compare-small", "--fail-if-slower", "40%", check=EXIT_SLOWER)


def test_json_is_all_that_stdout_has(small: Vbench) -> None:
    done = small(*COMPARE, "--json", check=0)
    found = json.loads(done.stdout)
    assert found["is_paired"]
    assert found["num_pairs"] == 2
    assert found["ratio"] == pytest.approx(0.5463, abs=1e-4)
    assert "[pair 1/2] A" in done.stderr


def test_trials_of_a_run(small: Vbench) -> None:
    small("sweep", "small.yaml", "--trials", "3", check=0)
    own = records_of(small.run())
    done = small("compare", "small:0", "small:2", "--again", "--max-pairs", "1", check=0)
    assert f"A: small/{small.run().name}:0\nB: small/{small.run().name}:2\n" in done.stdout
    assert [one["config"] for one in records_of(small.run("compare-small"))] == [own[0]["config"], own[2]["config"]]
    assert "are too few for this noise" in done.stdout


def test_readers_of_runs_know_a_comparison(small: Vbench) -> None:
    small("sweep", "small.yaml", "--trials", "2", check=0)
    small(*COMPARE, check=0)
    listed = small("list", check=0).stdout
    assert re.search(r"compare-small/\S+ +finished +– +4 +4 ", listed)
    assert "vbench compare compare-small/" in small("show", "compare-small", check=0).stdout
    small("show", "compare-small", "1", check=0)
    for command in ("best", "report"):
        assert "vbench compare compare-small/" in small(command, "compare-small", check=EXIT_USAGE).stderr
    small("best", check=0)  # of the latest that is none
    assert "is a comparison" in small("compare", "compare-small:0", "small", "--again", check=EXIT_USAGE).stderr
    assert "is no comparison" in small("compare", "small", check=EXIT_USAGE).stderr


def test_a_killed_comparison_goes_on(small: Vbench) -> None:
    words = (*COMPARE, "--a", "sleep_scale=6", "--b", "sleep_scale=6")  # a trial takes over a second
    process = small.start(*words)
    run = wait_for_records(small, 2)
    wait_for(lambda: trial_of(process.pid, run), "the third trial")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert run_facts(run)["status"] == "running"
    assert re.search(r"compare-small/\S+ +interrupted", small("list", check=0).stdout)
    done = small(*words, check=0)
    assert "going on: 1 pairs are there" in done.stdout
    assert small.runs("compare-small") == [run]
    assert sides(run) == "ABBA"
    assert marked(run) == []


def test_ctrl_c_keeps_what_was_measured_and_says_how_to_go_on(small: Vbench) -> None:
    words = (*COMPARE, "--a", "sleep_scale=6", "--b", "sleep_scale=6")
    process = small.start(*words)
    run = wait_for_records(small, 1)
    wait_for(lambda: trial_of(process.pid, run), "a trial")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == EXIT_INTERRUPTED
    assert "Go on with: vbench compare small.yaml --a max_num_seqs=4" in stderr
    assert run_facts(run)["status"] == "interrupted"
    assert marked(run) == []
    assert sides(run).startswith("A")


def test_a_side_that_fails(small: Vbench) -> None:
    done = small("compare", "small.yaml", "--b", "fail=exception", check=EXIT_NO_RESULT)
    assert "B failed: crashed (exception): RuntimeError: the fake engine was told to fail" in done.stderr
    assert sides(small.run("compare-small")) == "AB"
    assert "no pair was measured: B failed" in small("compare", "compare-small", check=EXIT_USAGE).stderr


def test_a_side_that_the_planner_refuses(vbench: Vbench) -> None:
    vbench.write(SMALL.replace("org/name", "facebook/opt-125m"))  # of 2,048 tokens, which the fake engine doesn't know
    words = ("compare", "small.yaml", "--b", "max_model_len=4096", "--max-pairs", "1")
    done = vbench(*words, check=EXIT_NO_RESULT)
    assert "B failed: infeasible (planner_infeasible)" in done.stderr
    assert "--no-plan" in done.stderr
    assert sides(vbench.run("compare-small")) == "B"
    vbench(*words, "--no-plan", check=0)
    assert sides(vbench.run("compare-small")) == "BAB"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("small.yaml", "--again"), "say what is set for each with --a KEY=VALUE and --b KEY=VALUE"),
        (("small", "--again"), "--again measures two sides"),
        (("small.yaml", "small", "--detect", "2%"), "--detect belongs to --again"),
        (("small", "small", "--a", "max_num_seqs=2"), "--a changes a sweep file, and small is none"),
        (("small.yaml", "--b", "max_num_seqs=2", "--detect", "200%"), "--detect '200%' is no share"),
        (("small.yaml", "--b", "max_num_seqs=2", "--timeout", "soon"), "--timeout: "),
        (("small.yaml", "--b", "max_num_seqs=2", "--timeout", "0.001s"), "no pair could be measured in that time"),
        (("small.yaml", "--b", "prompts.output_tokens=9"), "different prompts"),
    ],
)
def test_what_does_not_go_together(small: Vbench, words: tuple[str, ...], message: str) -> None:
    assert message in small("compare", *words, check=EXIT_USAGE).stderr
