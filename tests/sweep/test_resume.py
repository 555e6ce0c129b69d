"""Ended at any moment, by any signal, a sweep goes on as if nothing had been: none lost, none doubled, nothing left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import (
    BASE,
    DEADLINE_S,
    Vbench,
    keeper_of,
    marked,
    records_of,
    run_facts,
    trial_of,
    wait_for,
)

NUM_KILLS = 12
SPACE = """\
parameters:
  max_num_seqs: [1, 2, 4]
  block_size: [16, 32, 64]
  quantization: [none, awq, gptq]
  fail: [none, oom]
baseline: {}
"""


def outcomes(records: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((one["trial"], sorted(one["parameters"].items()), one["outcome"]) for one in records)


def temporary_folders(vbench: Vbench) -> list[Path]:
    return list((vbench.folder / "tmp").glob("vbench-*"))


@contextlib.contextmanager
def sweeping(vbench: Vbench, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep that is running its first trial of this session; killed at the end if the test left it alive."""
    process = vbench.start("sweep", path)
    try:
        wait_for(lambda: is_in_a_trial(vbench, process), "a running trial")
        yield process
    finally:
        process.kill()
        process.communicate()


def is_in_a_trial(vbench: Vbench, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()
    runs = [run for run in vbench.runs() if (run / "run.json").exists()]
    return bool(runs) and trial_of(process.pid, runs[-1]) is not None


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_never_killed(tmp_path: Path) -> None:
    """Over the search, engines that are shared, the random arm and the finals."""
    search = "search: {method: tpe, trials: 14, seed: 11, finalists: 3, final_rounds: 2, random_arm: true}\n"
    noisy = "engine_args: {noise: 0.5, seed: 1, "
    reference = Vbench(tmp_path / "whole")
    reference.folder.mkdir()
    text = BASE + SPACE.replace("  fail:", "  sampling.temperature: [0.0, 0.5]\n  fail:") + search
    reference("sweep", reference.write(f"{text}{noisy}load_seconds: 0.0}}\n"), check=0)

    vbench = Vbench(tmp_path / "killed")
    vbench.folder.mkdir()
    path = vbench.write(f"{text}{noisy}load_seconds: 0.15, sleep_scale: 0.2}}\n")
    draw = random.Random(5)
    killed_in: list[str] = []
    for kill in range(NUM_KILLS):
        process = vbench.start("sweep", path)
        if kill % 4:  # in a trial, or just behind one; else anywhere, the start included
            wait_for(lambda: is_in_a_trial(vbench, process), "a trial")  # noqa: B023
        time.sleep(draw.uniform(0, 1.2 if kill % 4 else 0.8))
        process.kill()
        process.communicate()
        killed_in += [origin for run in vbench.runs() for origin in pending_origins(run)]
        for run in vbench.runs():
            if (run / "run.json").exists():
                wait_for(lambda: not marked(run), "the end of all that a killed vbench started")  # noqa: B023
        if any((run / "run.json").exists() and run_facts(run)["status"] == "finished" for run in vbench.runs()):
            break  # a fast machine
    assert len(killed_in) >= 3

    vbench("sweep", path, check=0)
    run = vbench.runs()[-1]
    assert [one for one in vbench.runs() if (one / "trials.jsonl").exists()] == [run]
    assert marked(run) == []
    assert temporary_folders(vbench) == []
    compare(records_of(run), records_of(reference.run()))


def pending_origins(run: Path) -> list[str]:
    pending = run / "pending.json"
    return [one["origin"] for one in json.loads(pending.read_text())["trials"]] if pending.exists() else []


def compare(records: list[dict[str, Any]], whole: list[dict[str, Any]]) -> None:
    """The same search, a random arm of the same draws (how many depends on the clock), and the finals that follow."""
    assert [record["trial"] for record in records] == list(range(len(records)))
    own, expected = (
        {
            origin: [one for one in run if one["origin"] == origin]
            for origin in ("baseline", "search", "random", "final")
        }
        for run in (records, whole)
    )
    assert sum(map(len, own.values())) == len(records)
    for origin in ("baseline", "search"):
        assert outcomes(own[origin]) == outcomes(expected[origin])
    pairs = list(zip(own["random"], expected["random"], strict=False))
    assert pairs
    assert all(ours["parameters"] == theirs["parameters"] for ours, theirs in pairs)
    first = [json.dumps(record["config"], sort_keys=True) for record in records if record["origin"] != "final"]
    assert len(set(first)) == len(first)
    finals = [record["repeat_of"] for record in own["final"]]
    assert len(finals) == len(expected["final"]) == 6
    assert finals[3:] == finals[2::-1]  # every other round runs backwards
    assert len(set(finals)) == 3
    best = max(
        (one for one in records if one["outcome"] == "completed" and one["origin"] != "final"),
        key=lambda one: one["measurements"]["output_throughput_tok_s"],
    )["measurements"]["output_throughput_tok_s"]
    assert records[finals[0]]["measurements"]["output_throughput_tok_s"] == best


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_next_call_goes_on(vbench: Vbench, number: signal.Signals) -> None:
    text = f"{BASE}{SPACE}search: {{method: tpe, trials: 3, seed: 1}}\nengine_args: {{load_seconds: 0.4}}\n"
    path = vbench.write(text)
    with sweeping(vbench, path) as process:
        process.send_signal(number)
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped; what was measured is kept. Go on with: vbench sweep small.yaml"
    assert "Traceback" not in output + errors
    assert marked(vbench.run()) == []
    assert temporary_folders(vbench) == []
    assert run_facts(vbench.run())["status"] == "interrupted"
    vbench("sweep", path, check=0)
    assert [record["trial"] for record in records_of(vbench.run())] == [0, 1, 2]


def test_the_message_names_the_command_that_finds_the_run_again(vbench: Vbench) -> None:
    path = vbench.write(BASE)
    words = ["--set", "load_seconds=30", "--set", "environment={A: 'b c'}", "--trials", "1"]
    process = vbench.start("sweep", path, *words, "--new", "--json")
    try:
        wait_for(lambda: is_in_a_trial(vbench, process), "a running trial")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert errors.splitlines()[-1].endswith(
        "vbench sweep small.yaml --set load_seconds=30 --set 'environment={A: '\"'\"'b c'\"'\"'}' --trials 1"
    )
    assert '"status": "interrupted"' in output.splitlines()[-1]


def test_a_second_interrupt_ends_it_at_once_and_takes_all_with_it(vbench: Vbench) -> None:
    path = vbench.write(f"{BASE}engine_args: {{fail: hang_deaf@pass}}\n")
    with sweeping(vbench, path) as process:
        run = vbench.run()
        trial = trial_of(process.pid, run)
        wait_for(lambda: ignores_sigterm(trial), "a trial that hears no SIGTERM")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "Ctrl-C again ends at once" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    wait_for(lambda: not marked(run), "the end of the trial")


def test_a_killed_keeper_is_replaced(vbench: Vbench) -> None:
    path = vbench.write(
        f"{BASE}{SPACE}search: {{method: tpe, trials: 3, seed: 1}}\nengine_args: {{load_seconds: 0.3}}\n"
    )
    with sweeping(vbench, path) as process:
        keeper = keeper_of(process.pid, vbench.run())
        assert keeper is not None
        os.kill(keeper, signal.SIGKILL)
        _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert [record["trial"] for record in records_of(vbench.run())] == [0, 1, 2]
    assert all(record["outcome"] != "crashed" for record in records_of(vbench.run()))
    assert marked(vbench.run()) == []


def test_a_second_vbench_on_the_same_run_is_refused(vbench: Vbench) -> None:
    path = vbench.write(f"{BASE}engine_args: {{load_seconds: 30}}\n")
    with sweeping(vbench, path) as process:
        second = vbench("sweep", path, check=4)
        assert f"pid {process.pid}" in second.stderr
        assert "in use" in second.stderr
        assert process.poll() is None
        assert "running" in vbench("list", check=0).stdout
    assert "interrupted" in vbench("list", check=0).stdout  # the file still says running; nobody holds it


def ignores_sigterm(pid: int | None) -> bool:
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    return bool(ignored & 1 << (signal.SIGTERM - 1))
