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

from tests.cli.process import BASE, COMMAND, DEADLINE_S, SMALL, Vbench, records_of, run_facts
from tests.faults.matrix import Counts, fault
from tests.faults.test_signals import ends_well, sweeping

_GRID = "parameters: {max_num_seqs: [1, 2, 4]}\nsearch: {method: grid}\n"
_SLOW = "engine_args: {load_seconds: 0.3, sleep_scale: 0.2}\n"
_ODD = "ein Ordner ü → 模型 'x' $HOME;"
_UNKNOWN_UID = 61_234


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
    for words in (["list"], ["best"], ["report"]):
        done = run_in(vbench, *words, env=bare)
        assert "Traceback" not in done.stderr


@fault("surroundings", "no HOME, and a user whom the machine doesn't know", "everything works")
def test_a_user_without_a_name(vbench: Vbench, counts: Counts) -> None:
    unshare = ["unshare", "--user", f"--map-user={_UNKNOWN_UID}"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("one can't be another user here, even in a name space of one's own")
    bare = {name: text for name, text in vbench.environment().items() if name not in ("HOME", "XDG_CACHE_HOME")}
    commands: list[tuple[list[str | Path], int]] = [
        (["sweep", vbench.write(SMALL)], 0), (["show", "~"], 2), (["list"], 0)
    ]  # fmt: skip
    for words, code in commands:
        done = subprocess.run(
            [*unshare, COMMAND, *words], cwd=vbench.folder, env=bare, capture_output=True, text=True, check=False,
            timeout=DEADLINE_S,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "defect" not in done.stderr
    counts.records(vbench.run(), 5)


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
@pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-", "<&- >&- 2>&-"])
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
    words: list[str | Path] = ["sweep", path, "--results", "ergebnisse ü", "--set", "description=über alles"]
    done = run_in(vbench, *words, env=environment)
    assert done.stdout.isascii()
    (run,) = (vbench.folder / "ergebnisse ü" / "small").glob("*/")
    counts.records(run, 5)
    assert records_of(run)[0]["outcome"] == "completed"
    for command in ("list", "show", "report"):
        run_in(vbench, command, "--results", "ergebnisse ü", env=environment)


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
    run_in(vbench, "report", "--results", results, "--out", "be richt", folder=folder, env=environment)
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
        for words, code in ((["list"], 0), (["show"], 0), (["report"], 0), (["sweep", path], 4),
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
def test_names_of_no_run(vbench: Vbench, counts: Counts) -> None:
    vbench("sweep", vbench.write(BASE), check=0)
    names = ("a" * 300, "7" * 300, "~nobody-of-this-name/x", "a/" * 3000)
    tried = [("show", name) for name in names] + [(command, names[0]) for command in ("best", "report", "compare")]
    for command, name in tried:
        done = vbench(command, name, check=2)
        assert "defect" not in done.stderr
        assert "Traceback" not in done.stderr
    counts.tried(len(tried) - 1)
