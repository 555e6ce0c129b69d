"""Ended at any moment, by any signal, a sweep goes on as if nothing had been: none lost, none doubled, nothing left."""

from __future__ import annotations

import contextlib
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

NUM_KILLS = 20
SPACE = """\
parameters:
  max_num_seqs: [1, 2, 4]
  block_size: [16, 32, 64]
  quantization: [none, awq, gptq]
  fail: [none, oom]
baseline: {}
"""
SLOW = "engine_args: {load_seconds: 0.15, sleep_scale: 0.2}\n"


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
    search = "search: {method: tpe, trials: 24, seed: 11}\n"
    reference = Vbench(tmp_path / "whole")
    reference.folder.mkdir()
    reference("sweep", reference.write(BASE + SPACE + search), check=0)

    vbench = Vbench(tmp_path / "killed")
    vbench.folder.mkdir()
    path = vbench.write(BASE + SPACE + search + SLOW)
    draw = random.Random(5)
    num_in_trials = 0
    for kill in range(NUM_KILLS):
        process = vbench.start("sweep", path)
        if kill % 4:  # in a trial, or just behind one; else anywhere, the start included
            wait_for(lambda: is_in_a_trial(vbench, process), "a trial")  # noqa: B023
        time.sleep(draw.uniform(0, 0.25 if kill % 4 else 1.0))
        num_in_trials += any((run / "pending.json").exists() for run in vbench.runs())
        process.kill()
        process.communicate()
        for run in vbench.runs():
            if (run / "run.json").exists():
                wait_for(lambda: not marked(run), "the end of all that a killed vbench started")  # noqa: B023
    assert num_in_trials >= NUM_KILLS / 2

    vbench("sweep", path, check=0)
    run = vbench.runs()[-1]
    assert [one for one in vbench.runs() if (one / "trials.jsonl").exists()] == [run]
    records = records_of(run)
    assert [record["trial"] for record in records] == list(range(24))
    assert outcomes(records) == outcomes(records_of(reference.run()))
    assert marked(run) == []
    assert temporary_folders(vbench) == []


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
