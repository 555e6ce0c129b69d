"""What a machine, a shell or a login may be like: no home, no terminal, odd names, a clock that is set, a suspend."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, COMMAND, DEADLINE_S, SMALL, Vbench, records_of, run_facts, wait_for
from tests.faults.matrix import Counts, fault
from tests.faults.test_signals import ends_well, sweeping

_GRID = "parameters: {max_num_seqs: [1, 2, 4]}\nsearch: {method: grid}\n"
_SLOW = "engine_args: {load_seconds: 0.3, sleep_scale: 0.2}\n"
_ODD = "ein Ordner ü → 模型 'x' $HOME;"
_UNPRIVILEGED_UID = 61_234


def run_in(
    vbench: Vbench, *words: str | Path, folder: Path | None = None, check: int = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command with a surrounding of its own."""
    environment = options.pop("env", None) or vbench.environment()
    done = subprocess.run(
        [COMMAND, *words],
        cwd=folder or vbench.folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=DEADLINE_S,
        check=False,
        **{"stdin": subprocess.DEVNULL, **options},
    )
    assert done.returncode == check, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@fault("surroundings", "no HOME", "everything works; caches are done without")
def test_no_home(vbench: Vbench, counts: Counts) -> None:
    bare = {name: text for name, text in vbench.environment().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    path = vbench.write(SMALL)
    run_in(vbench, "sweep", path, env=bare)
    counts.records(vbench.run(), 5)
    assert "there are small" in run_in(vbench, "show", "~nobody-of-this-name", env=bare, check=2).stderr
    for words in (["list"], ["show"], ["best"], ["report"], ["doctor", path]):
        done = run_in(vbench, *words, env=bare)
        assert "Traceback" not in done.stderr


@fault("surroundings", "no HOME, and a user whom the machine doesn't know", "everything works")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become such a user")
def test_a_user_without_a_name(vbench: Vbench, counts: Counts) -> None:
    bare = {name: text for name, text in vbench.environment().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    path = vbench.write(SMALL)
    give_to(vbench.folder, _UNPRIVILEGED_UID)
    try:
        subprocess.run([COMMAND, "--version"], user=_UNPRIVILEGED_UID, group=_UNPRIVILEGED_UID, extra_groups=[],
                       env=bare, cwd=vbench.folder, check=True, capture_output=True)  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("other users can't run this Python")
    who = {"user": _UNPRIVILEGED_UID, "group": _UNPRIVILEGED_UID, "extra_groups": []}
    run_in(vbench, "sweep", path, env=bare, **who)
    counts.records(vbench.run(), 5)
    assert "there are small" in run_in(vbench, "show", "~", env=bare, check=2, **who).stderr


def give_to(folder: Path, uid: int) -> None:
    """Make a folder, and all that is in it, somebody else's."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, uid)


@fault(
    "surroundings", "no terminal: a session of its own, without one", "lines instead of the live view; it ends as ever"
)
def test_no_terminal(vbench: Vbench, counts: Counts) -> None:
    done = run_in(vbench, "sweep", vbench.write(SMALL), start_new_session=True)
    assert "\x1b" not in done.stdout
    counts.records(vbench.run(), 5)


@fault(
    "surroundings",
    "stdin, stdout or stderr closed (`<&-`, `>&-`, `2>&-`)",
    "the sweep runs; nothing that is said gets into a file of ours",
)
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(vbench: Vbench, counts: Counts, closed: str) -> None:
    path = vbench.write(SMALL)
    shell = ["/bin/sh", "-c", f'exec "$0" "$@" {closed}', str(COMMAND), "sweep", str(path)]
    subprocess.run(shell, cwd=vbench.folder, env=vbench.environment(), check=True, timeout=DEADLINE_S)
    counts.records(vbench.run(), 5)
    for line in (vbench.run() / "trials.jsonl").read_text().splitlines():
        json.loads(line)


@fault(
    "surroundings", "stdin, stdout and stderr closed, and SIGTERM", "it ends as ever; no file of ours has words in it"
)
def test_closed_streams_and_a_signal(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(f"{BASE}{_GRID}{_SLOW}")
    before = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-']
    with sweeping(vbench, path, before=before) as process:
        process.send_signal(signal.SIGTERM)
        ends_well(vbench, process)
    assert run_facts(vbench.run())["status"] == "interrupted"
    stopping = [one for one in vbench.run().iterdir() if one.is_file() and b"Ctrl-C" in one.read_bytes()]
    assert stopping == []
    vbench("sweep", path, check=0)
    counts.records(vbench.run(), 3)


@fault(
    "surroundings", "a locale that isn't UTF-8", "names and prompts may hold any letter; output is what the locale has"
)
def test_a_locale_without_letters(vbench: Vbench, counts: Counts) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    text = SMALL.replace("baseline: {}", "environment: {NAME: prüfung}\nbaseline: {}")
    prompts = "prompts: {file: fragen ü.jsonl, output_tokens: 8}"
    text = "\n".join(prompts if line.startswith("prompts:") else line for line in text.splitlines())
    (vbench.folder / "fragen ü.jsonl").write_text('{"prompt": "模型 ü"}\n' * 3, encoding="utf-8")
    path = vbench.write(text, "sweep ü.yaml")
    environment = {**vbench.environment(), **ascii_only}
    words = ["sweep", path, "--results", "ergebnisse ü", "--set", "description=über alles"]
    done = run_in(vbench, *words, env=environment)
    assert done.stdout.isascii()
    (run,) = (vbench.folder / "ergebnisse ü" / "small").glob("*/")
    counts.records(run, 5)
    assert records_of(run)[0]["outcome"] == "completed"
    for words in (["list"], ["show"], ["best"], ["report"]):
        run_in(vbench, *words, "--results", "ergebnisse ü", env=environment)


@fault("surroundings", "spaces, quotes and any letters in every path", "all works; commands to paste are quoted")
def test_odd_paths(vbench: Vbench, counts: Counts) -> None:
    folder, temporary = vbench.folder / _ODD, Path(os.environ["TMPDIR"]) / "ü t"
    folder.mkdir()
    temporary.mkdir()
    (folder / "s ü.yaml").write_text(SMALL, encoding="utf-8")
    environment = vbench.environment(TMPDIR=str(temporary), HOME=str(folder))
    results = "er gebnisse 'ü'"
    done = run_in(vbench, "sweep", "s ü.yaml", "--results", results, folder=folder, env=environment)
    (run,) = (folder / results / "small").glob("*/")
    counts.records(run, 5)
    commands = [line for line in done.stdout.splitlines() if line.startswith("vbench ") and "report" not in line]
    assert len(commands) == 2
    for command in commands:  # as a shell reads them
        subprocess.run(
            ["/bin/sh", "-c", f'"$0" {command.removeprefix("vbench ")}', COMMAND],
            cwd=folder, env=environment, check=True, capture_output=True, timeout=DEADLINE_S,
        )  # fmt: skip
    run_in(vbench, "report", "--results", results, "-o", "be richt", folder=folder, env=environment)
    temporary.rmdir()  # nothing is left in it


@fault(
    "surroundings", "a results folder that can be read alone", "a sweep says so, exit code 4; what is there can be read"
)
def test_read_only_results(vbench: Vbench, counts: Counts) -> None:
    path = vbench.write(SMALL)
    vbench("sweep", path, check=0)
    results = vbench.folder / "results"
    if os.geteuid() == 0:
        if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
            pytest.skip("root writes everywhere, and no mount of its own is allowed")
        script = f'mount --bind "{results}" "{results}" && mount -o remount,bind,ro "{results}" && exec "$0" "$@"'
        before = ["unshare", "-m", "/bin/sh", "-c", script, str(COMMAND)]
    else:
        for one in [results, *results.rglob("*")]:
            one.chmod(one.stat().st_mode & ~0o222)
        before = [str(COMMAND)]
    try:
        for words, code in ((["list"], 0), (["show"], 0), (["best"], 0), (["report"], 0), (["sweep", path], 4),
                            (["sweep", path, "--new"], 4), (["run", path], 4)):  # fmt: skip
            done = subprocess.run(
                [*before, *words], cwd=vbench.folder, env=vbench.environment(), capture_output=True, text=True,
                timeout=DEADLINE_S, check=False,
            )  # fmt: skip
            assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
            assert "defect" not in done.stderr
            assert code == 0 or "choose another results folder" in done.stderr or "permissions" in done.stderr
    finally:
        for one in [results, *results.rglob("*")]:
            one.chmod(one.stat().st_mode | 0o200)
    counts.records(vbench.run(), 5)


@fault("surroundings", "the folder one is in is removed", "exit code 2 says so")
def test_the_current_folder_is_gone(vbench: Vbench) -> None:
    path = vbench.folder / vbench.write(SMALL)
    gone = vbench.folder / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'cd gone && rmdir ../gone && exec "$0" "$@"', COMMAND, "sweep", path],
        cwd=vbench.folder, env=vbench.environment(), capture_output=True, text=True, check=False, timeout=DEADLINE_S,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "was removed" in done.stderr


@fault("vbench", "a run's folder is removed while it is measured", "exit code 4 says so, and nothing is left")
def test_the_run_is_removed(vbench: Vbench) -> None:
    path = vbench.write(f"{BASE}{_GRID}{_SLOW}")
    with sweeping(vbench, path) as process:
        shutil.rmtree(vbench.run())
        output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 4, output + errors
    assert "defect" not in errors


@fault("surroundings", "names of runs that are too long, or nobody's", "exit code 2 says what there is")
@pytest.mark.parametrize("command", ["show", "best", "report", "compare"])
@pytest.mark.parametrize("name", ["a" * 300, "7" * 300, "~nobody-of-this-name", "~nobody-of-this-name/x", "a/" * 3000])
def test_names_of_no_run(swept: Vbench, command: str, name: str) -> None:
    done = swept(command, name, check=2)
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def swept(vbench: Vbench) -> Vbench:
    """A folder with a run."""
    vbench("sweep", vbench.write(BASE), check=0)
    return vbench


@fault("vbench", "a torn last line", "it is moved aside and said; the trial is run again, none is there twice")
@pytest.mark.parametrize("part", [1, 40, -2])
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
@pytest.mark.parametrize("trial", [2, 4])
def test_a_record_of_a_newer_version(vbench: Vbench, counts: Counts, trial: int) -> None:
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
        sweeping(vbench, path) as three,
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
@pytest.mark.parametrize("jump_s", [-86_400 * 400, -3600, 3600, 86_400 * 400])
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
