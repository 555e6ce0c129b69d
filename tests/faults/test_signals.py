"""Signals at any moment: what was measured is kept, nothing is left, and the next call goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import (
    BASE,
    COMMAND,
    DEADLINE_S,
    Vbench,
    keeper_of,
    marked,
    records_of,
    run_facts,
    trial_of,
    wait_for,
)
from tests.cli.terminal import Terminal
from tests.faults.matrix import Counts, fault

_GO_ON = "Go on with: vbench sweep small.yaml"
_ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
_SPACE = "parameters: {max_num_seqs: [1, 2, 4], block_size: [16, 32]}\nsearch: {method: grid}\n"
_SLOW = "engine_args: {load_seconds: 0.3, sleep_scale: 0.2}\n"
_NUM_KILLS = 14


@contextlib.contextmanager
def sweeping(
    vbench: Vbench, *words: str | Path, before: Sequence[str] = (), is_in_trial: bool = True, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A sweep that runs a trial; killed at the end if the test left it alive."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen(
        [*before, COMMAND, "sweep", *words],
        cwd=vbench.folder,
        env=vbench.environment(),
        stdin=subprocess.DEVNULL,
        text=True,
        **pipes,
    )
    try:
        if is_in_trial:
            wait_for(lambda: trial_now(vbench, process), "a running trial")
        yield process
    finally:
        process.kill()
        process.communicate()


def trial_now(vbench: Vbench, process: subprocess.Popen[str]) -> int | None:
    """The process of the trial that runs."""
    assert process.poll() is None, process.communicate()
    runs = [run for run in vbench.runs() if (run / "run.json").exists()]
    return trial_of(process.pid, runs[-1]) if runs else None


def ends_well(vbench: Vbench, process: subprocess.Popen[str], code: int = 130) -> str:
    """The exit code is this one, nothing of the run is alive; what it said."""
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, output + errors
    assert "Traceback" not in output + errors
    wait_for(lambda: not marked(vbench.run()), "the end of all that it had started")
    return f"{output}{errors}"


def goes_on(vbench: Vbench, counts: Counts, path: Path, number: int = 6) -> None:
    """The next call ends the run, with one record for each trial."""
    vbench("sweep", path, check=0)
    counts.records(vbench.run(), number)
    assert all(record["outcome"] == "completed" for record in records_of(vbench.run()))
    assert run_facts(vbench.run())["status"] == "finished"


@fault("vbench", "SIGINT once", "the trial is ended, `Go on with: …` is said, and that command goes on")
def test_ctrl_c(vbench: Vbench, counts: Counts) -> None:
    ends_and_goes_on(vbench, counts, signal.SIGINT)


@fault("vbench", "SIGTERM", "as SIGINT")
def test_sigterm(vbench: Vbench, counts: Counts) -> None:
    ends_and_goes_on(vbench, counts, signal.SIGTERM)


@fault("vbench", "SIGHUP", "as SIGINT")
def test_sighup(vbench: Vbench, counts: Counts) -> None:
    ends_and_goes_on(vbench, counts, signal.SIGHUP)


def ends_and_goes_on(vbench: Vbench, counts: Counts, number: signal.Signals) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    with sweeping(vbench, path) as process:
        process.send_signal(number)
        assert _GO_ON in ends_well(vbench, process)
    assert run_facts(vbench.run())["status"] == "interrupted"
    goes_on(vbench, counts, path)


@fault("vbench", "SIGINT twice", "it ends now, says how to go on, and what it started ends too")
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_twice(vbench: Vbench, counts: Counts, second: signal.Signals) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    with sweeping(vbench, path) as process, stopped(keeper_of(process.pid, vbench.run())):
        process.send_signal(signal.SIGINT)  # it waits for its keeper, which answers nothing
        assert process.stderr is not None
        assert "Ctrl-C again ends at once" in process.stderr.readline()
        process.send_signal(second)
        process.wait(DEADLINE_S)
    assert process.returncode == 130
    wait_for(lambda: not marked(vbench.run()), "the end of all that it had started")
    goes_on(vbench, counts, path)


@contextlib.contextmanager
def stopped(pid: int | None) -> Iterator[None]:
    """A process that stands still."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@fault("vbench", "SIGHUP twice, as a terminal and its shell send it", "the second doesn't cut the ending short")
def test_sighup_twice(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    with sweeping(vbench, path) as process:
        with stopped(keeper_of(process.pid, vbench.run())):
            process.send_signal(signal.SIGHUP)
            assert process.stderr is not None
            process.stderr.readline()
            process.send_signal(signal.SIGHUP)
        assert _GO_ON in ends_well(vbench, process)
    assert run_facts(vbench.run())["status"] == "interrupted"  # it came to writing that
    goes_on(vbench, counts, path)


@fault("vbench", "SIGHUP under `nohup`", "the sweep goes on to its end")
def test_nohup(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    with sweeping(vbench, path, before=["nohup"]) as process:
        process.send_signal(signal.SIGHUP)
        ends_well(vbench, process, code=0)
    counts.records(vbench.run(), 6)


@fault("vbench", "the terminal is closed", "as SIGHUP: it ends, and the next call goes on")
def test_the_terminal_is_closed(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    terminal = Terminal(vbench, "sweep", path)
    try:
        terminal.read_until("loading the model")
        os.close(terminal.fd)
        assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 130
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(terminal.pid, signal.SIGKILL)
    assert marked(vbench.run()) == []
    assert run_facts(vbench.run())["status"] == "interrupted"
    goes_on(vbench, counts, path)


@fault(
    "vbench", "the terminal is closed while SIGHUP is ignored (`trap '' HUP`)", "the sweep goes on to its end, unseen"
)
def test_the_terminal_is_closed_and_nobody_cares(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what is started inherits it
    try:
        terminal = Terminal(vbench, "sweep", path)
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        terminal.read_until("loading the model")
        os.close(terminal.fd)
        assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 0
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(terminal.pid, signal.SIGKILL)
    counts.records(vbench.run(), 6)
    assert run_facts(vbench.run())["status"] == "finished"


@fault(
    "vbench", "SIGINT or SIGTERM before the first trial", "it ends; no traceback, and no half-made run is gone on with"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts(vbench: Vbench, counts: Counts, number: signal.Signals) -> None:
    path = vbench.write(f"{BASE}{_SPACE}")
    begun_s = time_to_begin(vbench, path)
    draw = random.Random(int(number))
    for _ in range(8):
        with sweeping(vbench, path, "--new", is_in_trial=False) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0, begun_s))
            process.send_signal(number)
            output, errors = process.communicate(timeout=DEADLINE_S)
        assert "vbench/" not in errors  # a traceback; Python's own start, of which nothing is ours, may have one
        assert process.returncode in (0, 1, 130, -number), output + errors
    counts.tried(7)
    all_are_gone(vbench)
    done = vbench("sweep", path, check=0)
    assert run_facts(latest(vbench))["status"] == "finished", done.stdout + done.stderr


def time_to_begin(vbench: Vbench, path: Path) -> float:
    """How long a sweep takes here until its first trial."""
    start = time.monotonic()
    with sweeping(vbench, path) as process:
        taken_s = time.monotonic() - start
        process.communicate(timeout=DEADLINE_S)
    return taken_s


@fault(
    "vbench", "SIGKILL at random moments", "the running trial is lost at most; the next call goes on, nothing is left"
)
def test_killed_at_random_moments(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_SPACE}{_SLOW}")
    begun_s = time_to_begin(vbench, path)
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for kill in range(_NUM_KILLS):
        with sweeping(vbench, path, *(["--new"] if kill % 5 == 0 else []), is_in_trial=False) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(0, 2 * begun_s))
            process.kill()
            process.wait(DEADLINE_S)
        all_are_gone(vbench)
    counts.tried(_NUM_KILLS - 1)
    vbench("sweep", path, check=0)
    counts.records(latest(vbench), 6)


def all_are_gone(vbench: Vbench) -> None:
    """What a killed vbench had started ends a moment after it."""
    for run in begun(vbench):
        wait_for(lambda: not marked(run), "the end of all that a killed vbench had started")  # noqa: B023


def begun(vbench: Vbench) -> list[Path]:
    """The runs that came to be."""
    return [run for run in vbench.runs() if (run / "run.json").exists()]


def latest(vbench: Vbench) -> Path:
    """Of these the one that was begun last. A folder that never came to be a run may stand beside it."""
    return max(begun(vbench), key=lambda one: [part.zfill(9) for part in one.name.split("-")])
