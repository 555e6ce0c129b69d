"""What a sweep prints: JSON for machines, lines for a log, a live view for a terminal that is left as it was."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests.cli.process import BASE, COMMAND, SMALL, Vbench, marked, records_of
from tests.cli.terminal import Terminal

SLOW = """\
parameters:
  max_num_seqs: [1, 2, 4]
  speculative_config:
    - none
    - a_choice_with_quite_a_long_name: {method: ngram, num_speculative_tokens: {low: 1, high: 8}}
search: {method: tpe, trials: 4, seed: 0}
engine_args: {load_seconds: 0.4}
baseline: {}
"""


def test_json_is_the_records_and_then_a_summary(vbench: Vbench) -> None:
    lines = [json.loads(line) for line in vbench("sweep", vbench.write(SMALL), "--json", check=0).stdout.splitlines()]
    records = records_of(vbench.run())
    assert lines[:-1] == records
    best = max(records, key=lambda record: record["measurements"]["output_throughput_tok_s"])
    summary = {
        "run": f"results/small/{vbench.run().name}",
        "status": "finished",
        "num_trials": 5,
        "outcomes": {"completed": 5},
        "best_trial": best["trial"],
        "objective": "output_throughput_tok_s",
        "best_value": best["measurements"]["output_throughput_tok_s"],
        "mark": "fake",
    }
    assert lines[-1] == summary
    # With nothing left to do there is still an answer, and it is the same.
    (again,) = vbench("sweep", "small.yaml", "--json", check=0).stdout.splitlines()
    assert json.loads(again) == summary


def test_json_of_a_single_trial_has_its_summary_too(vbench: Vbench) -> None:
    lines = vbench("sweep", vbench.write(BASE), "--trials", "1", "--json", check=0).stdout.splitlines()
    assert [json.loads(line).get("num_trials") for line in lines] == [None, 1]


def test_json_keeps_notes_out_of_the_way(vbench: Vbench) -> None:
    path = vbench.write(SMALL)
    vbench("sweep", path, "--trials", "1", check=0)
    done = vbench("sweep", path, "--trials", "1", "--set", "search.seed=9", "--json", check=0)
    assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())
    assert "note: a new run beside" in done.stderr


def test_plain_output_is_calm_and_complete(vbench: Vbench) -> None:
    done = vbench("sweep", vbench.write(SMALL), check=0)
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "sweep small: fake 1 on cpu, model org/name, 4 prompts × 8 tokens"
    assert lines[1] == f"results in results/small/{vbench.run().name}"
    starts = [line for line in lines if re.match(r"\[search \d/5", line)]
    assert len(starts) == 5
    assert starts[0].endswith("trial 0  baseline: the file's own arguments")
    assert " left] trial 4" in starts[4]
    assert "best so far" in done.stdout
    name = f"small/{vbench.run().name}"
    assert lines[-3:] == [f"vbench report {name}", f"vbench best {name} --as serve", f"vbench show {name}"]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"JPY_PARENT_PID": "7", "TERM": "xterm-color"}])
def test_a_terminal_that_only_looks_like_one_gets_plain_lines(vbench: Vbench, environment: dict[str, Any]) -> None:
    terminal = Terminal(vbench, "sweep", vbench.write(BASE), **environment)
    assert terminal.end() == 0
    assert "\x1b" not in terminal.raw
    assert "[search 1/1] trial 0" in terminal.text
    assert "Trial 0 is the best" in terminal.text


def test_without_colours_the_view_still_lives(vbench: Vbench) -> None:
    terminal = Terminal(vbench, "sweep", vbench.write(BASE), NO_COLOR="1")
    assert terminal.end() == 0
    assert "search 0/1" in terminal.text
    assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|9[0-7])(;[0-9;]*)?m", terminal.raw)


def test_plain_output_of_failures_says_why_and_what_to_try(vbench: Vbench) -> None:
    done = vbench("sweep", vbench.write(f"{BASE}engine_args: {{fail: oom}}\n"), check=1)
    assert "out of memory (gpu_out_of_memory): RuntimeError: CUDA out of memory" in done.stdout
    assert "None of the 1 trials completed" in done.stdout
    assert "lower gpu_memory_utilization" in done.stdout
    assert "vbench best" not in done.stdout  # there is none


def test_going_on_says_what_is_done(vbench: Vbench) -> None:
    path = vbench.write(SMALL)
    vbench("sweep", path, "--trials", "2", check=0)
    assert "going on: 2 of 3 trials are done" in vbench("sweep", path, "--trials", "3", check=0).stdout
    finished = vbench("sweep", path, "--trials", "3", check=0).stdout
    assert "nothing left to do: 3 trials are done" in finished
    assert "starting fake" not in finished
    assert "is the best of 3" in finished


def test_the_next_commands_name_a_results_folder_of_ones_own(vbench: Vbench) -> None:
    lines = vbench("sweep", vbench.write(BASE), "--results", "kept/here", check=0).stdout.splitlines()
    assert all(line.endswith(" --results kept/here") for line in lines[-3:])
    assert vbench(*lines[-1].split()[1:], check=0).stdout
    by_variable = vbench("best", VBENCH_RESULTS="kept/here", check=0).stdout
    assert "\nvllm serve " in f"\n{by_variable}"  # below what is to be known of it


def test_a_spent_budget_says_how_to_go_on(vbench: Vbench) -> None:
    done = vbench("sweep", vbench.write(SMALL), "--timeout", "1ms", check=1)
    assert "0 of 5 trials: the time budget is spent; go on with a larger `--timeout`" in done.stdout


def test_an_output_that_cannot_show_a_character_ends_nothing(vbench: Vbench) -> None:
    path = vbench.write(SMALL)
    for words, says in (["sweep", path, "--trials", "1"], "4 prompts x 8"), (["list"], "small/"), (["show"], "Trial"):
        assert says in vbench(*words, check=0, PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize(("redirect", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 4)])
def test_a_stdout_that_is_closed_or_full_is_no_defect(vbench: Vbench, redirect: str, code: int) -> None:
    line = f"{COMMAND} sweep {vbench.write(SMALL)} --trials 1 {redirect}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=vbench.folder,
        env=vbench.environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert ("No space left on device" in done.stderr) == (code == 4)


def is_left_sane(terminal: Terminal) -> bool:
    """Modes as before, the cursor shown, colours reset, the screen never switched."""
    colours = re.findall(r"\x1b\[([0-9;]*)m", terminal.raw)
    modes = terminal.after == terminal.before
    return modes and terminal.is_cursor_shown and colours[-1:] in ([], ["0"]) and "\x1b[?1049h" not in terminal.raw


@pytest.mark.parametrize("columns", [80, 120])
def test_the_live_view_shows_what_runs_what_is_left_and_the_best(vbench: Vbench, columns: int) -> None:
    terminal = Terminal(vbench, "sweep", vbench.write(BASE + SLOW), columns=columns)
    try:
        terminal.read_until("baseline: ")
        terminal.read_until("loading the model")
        terminal.read_until("best")
        terminal.read_until(" left")
        assert terminal.end() == 0
    finally:
        terminal.kill()
    assert "search 0/4" in terminal.text
    assert "search 3/4" in terminal.text
    assert "trial 0: the file's own" in terminal.text
    assert re.search(r"Trial \d is the best of 4", terminal.text)
    assert "vbench best small/" in terminal.text
    assert is_left_sane(terminal)
    drawn = [line for line in terminal.text.splitlines() if line.startswith(" best ") or "search " in line]
    assert max(map(len, drawn)) <= columns


def test_ctrl_c_in_a_terminal_ends_it_and_leaves_the_terminal_sane(vbench: Vbench) -> None:
    path = vbench.write(BASE + SLOW.replace("0.4", "30"))
    terminal = Terminal(vbench, "sweep", path)
    try:
        terminal.read_until("loading the model")
        os.write(terminal.fd, b"\x03")
        assert terminal.end() == 130
    finally:
        terminal.kill()
    assert "stopped; what was measured is kept. Go on with: vbench sweep small.yaml" in terminal.text
    assert "Traceback" not in terminal.text
    assert is_left_sane(terminal)
    assert marked(vbench.run()) == []


def test_a_second_ctrl_c_leaves_the_terminal_sane_too(vbench: Vbench) -> None:
    terminal = Terminal(vbench, "sweep", vbench.write(f"{BASE}engine_args: {{fail: hang_deaf@pass}}\n"))
    try:
        terminal.read_until("measuring")
        os.write(terminal.fd, b"\x03")
        terminal.read_until("stopping (Ctrl-C again ends at once)")
        os.write(terminal.fd, b"\x03")
        assert terminal.end() == 130
    finally:
        terminal.kill()
    assert terminal.is_cursor_shown
    assert "\nstopped; what was measured is kept. Go on with: vbench sweep" in terminal.text[-200:]
    assert terminal.after == terminal.before
