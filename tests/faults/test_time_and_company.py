"""Records that are torn or newer, several vbench at once, a clock that is set, a suspend."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.process import BASE, COMMAND, DEADLINE_S, SMALL, Vbench, records_of, wait_for
from tests.faults.matrix import Counts, fault
from tests.faults.test_signals import ends_well, sweeping
from tests.faults.test_surroundings import run_in

_GRID = "parameters: {max_num_seqs: [1, 2, 4]}\nsearch: {method: grid}\n"
_SLOW = "engine_args: {load_seconds: 0.3, sleep_scale: 0.2}\n"


@fault("vbench", "a torn last line", "it is moved aside and said; the trial is run again, none is there twice")
@pytest.mark.parametrize("part", [1, -2])
def test_a_torn_last_line(vbench: Vbench, counts: Counts, part: int) -> None:
    path = vbench.write(SMALL)
    vbench("sweep", path, check=0)
    trials = vbench.run() / "trials.jsonl"
    *whole, last = trials.read_bytes().splitlines(keepends=True)
    trials.write_bytes(b"".join(whole) + last[:part])
    done = vbench("sweep", path, check=0)
    assert "torn line" in done.stdout
    counts.records(vbench.run(), 5)
    assert (vbench.run() / "trials.jsonl.torn").read_bytes() == last[:part] + b"\n"


@fault(
    "vbench", "a record of a newer version", "it stays and is named; its number isn't given again; the others are read"
)
def test_a_record_of_a_newer_version(vbench: Vbench, counts: Counts) -> None:
    trial = 4  # the last one, whose number would be the next
    path = vbench.write(SMALL)
    vbench("sweep", path, check=0)
    trials = vbench.run() / "trials.jsonl"
    lines = trials.read_text().splitlines(keepends=True)
    lines[trial] = json.dumps({"schema_version": 99, "trial": trial, "what": {"is": "this"}}) + "\n"
    trials.write_text("".join(lines))
    done = vbench("sweep", path, check=0)
    assert f"trials.jsonl:{trial + 1}: written by a newer vbench" in done.stdout
    assert "upgrade vbench" in done.stdout
    assert trials.read_text().startswith("".join(lines))
    counts.records(vbench.run(), 6)
    assert "newer vbench" in vbench("show", check=0).stderr


@fault(
    "vbench", "several vbench on one results folder", "one has the run, the others are told whose it is; none mixes in"
)
def test_several_at_once(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_GRID}{_SLOW}")
    with (
        sweeping(vbench, path, is_in_trial=False) as one,
        sweeping(vbench, path, is_in_trial=False) as two,
        sweeping(vbench, path, is_in_trial=False) as three,
    ):
        outputs = [process.communicate(timeout=DEADLINE_S) for process in (one, two, three)]
    codes = sorted(process.returncode for process in (one, two, three))
    assert codes[0] == 0, outputs
    assert set(codes) <= {0, 4}, outputs
    for process, (output, errors) in zip((one, two, three), outputs, strict=True):
        assert process.returncode == 0 or "in use by another vbench (pid " in errors, output + errors
    for run in vbench.runs():
        counts.records(run, 3)


@fault(
    "vbench",
    "a second sweep beside one that measures",
    "both are kept apart; the second says that they disturb each other",
)
def test_another_sweep_beside_it(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_GRID}engine_args: {{load_seconds: 30}}\n")
    other = vbench.write(BASE.replace("name: small", "name: other"), "other.yaml")
    with sweeping(vbench, path) as process:
        done = vbench("sweep", other, check=0)
        assert f"small/{vbench.run().name} is being measured by another vbench (pid {process.pid})" in done.stdout
        process.send_signal(signal.SIGTERM)
        ends_well(vbench, process)
    counts.records(vbench.run("other"), 1)
    assert "another vbench" not in vbench("sweep", other, "--new", check=0).stdout


@pytest.fixture(scope="session")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that sets the wall clock of one process."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: the wall clock of one process can't be set")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@fault(
    "surroundings", "the wall clock is set while a sweep runs", "times measured are right; budgets count real seconds"
)
@pytest.mark.parametrize("jump_s", [-86_400 * 400, 86_400 * 400])
def test_the_clock_is_set(vbench: Vbench, counts: Counts, clock: Path, jump_s: int) -> None:
    told = vbench.folder / "clock"
    told.write_text("0")
    environment = vbench.environment(LD_PRELOAD=str(clock), CLOCK_FILE=str(told))
    path = vbench.write(f"{BASE}{_GRID}{_SLOW}".replace("grid", "grid, timeout: 1h"))
    with subprocess.Popen(
        [COMMAND, "sweep", path], cwd=vbench.folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "trial 1" not in (line := process.stdout.readline()):
            assert line, "it ended before its second trial"
        told.write_text(str(jump_s))
        output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 0, output
    counts.records(vbench.run(), 3)
    for record in records_of(vbench.run()):
        assert record["outcome"] == "completed", record
        assert 0 < record["duration_s"] < DEADLINE_S
        assert all(0 <= one["start_s"] <= one["end_s"] < DEADLINE_S for one in record["phases"])
    ledger = [json.loads(line) for line in (vbench.run() / "ledger.jsonl").read_text().splitlines()]
    assert 0 < ledger[-1]["wall_s"] < DEADLINE_S


@fault("surroundings", "the clock was set back since the last run", "the new run is the latest all the same")
def test_the_clock_was_set_back(vbench: Vbench, counts: Counts, clock: Path) -> None:
    told = vbench.folder / "clock"
    path = vbench.write(BASE)
    found = []
    for seconds in (0, -86_400, -7_200):
        told.write_text(str(seconds))
        run_in(vbench, "sweep", path, "--new", env=vbench.environment(LD_PRELOAD=str(clock), CLOCK_FILE=str(told)))
        shown = json.loads(vbench("list", "--json", check=0).stdout.splitlines()[0])["run"]
        assert shown not in found
        found.append(shown)
        counts.records(vbench.folder / "results" / shown, 1)
    assert len(vbench.runs()) == 3


@fault(
    "surroundings",
    "a suspend: everything stands still in the middle of a trial",
    "it goes on where it stood; no trial is lost",
)
def test_a_suspend(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_GRID}{_SLOW}")
    with sweeping(vbench, path) as process:
        pids = [process.pid, *below(process.pid)]
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                os.kill(pid, number)
            if number is signal.SIGSTOP:
                wait_for(lambda: all(state_of(pid) in "TZ" for pid in pids), "everything to stand still")
        ends_well(vbench, process, code=0)
    counts.records(vbench.run(), 3)
    assert {record["outcome"] for record in records_of(vbench.run())} == {"completed"}


@fault(
    "surroundings", "vbench alone stands still (SIGSTOP, SIGCONT) over the end of a trial", "the trial counts as it was"
)
def test_vbench_stands_still(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_GRID}{_SLOW}")
    with sweeping(vbench, path) as process:
        trial = below(process.pid)[-1]
        os.kill(process.pid, signal.SIGSTOP)
        wait_for(lambda: state_of(trial) == "Z", "the end of the trial")
        os.kill(process.pid, signal.SIGCONT)
        ends_well(vbench, process, code=0)
    counts.records(vbench.run(), 3)
    assert {record["outcome"] for record in records_of(vbench.run())} == {"completed"}


def below(pid: int) -> list[int]:
    """All descendants, parents first."""
    found: list[int] = []
    for task in Path("/proc", str(pid), "task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *below(child)]
    return found


def state_of(pid: int) -> str:
    """`R`, `S`, `T`, `Z`, …; `Z` too where it has gone."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
