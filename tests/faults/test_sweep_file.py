"""Sweep files that nobody should write, read by the real command, which may take little memory and processor time."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.cli.process import COMMAND, DEADLINE_S, Vbench
from tests.faults.fuzz import Found, attempt, summary
from tests.faults.fuzz_file import SECONDS, TooSlowError, alarm_in, start_alarms
from tests.faults.matrix import Counts, fault
from tests.faults.sick_files import ODD_VALUES, REFUSED, VALID, Sick
from vbench.errors import EXIT_USAGE
from vbench.units import GIB

ROOT = Path(__file__).resolve().parents[2]
CPU_S = 60
"""Of one command's processor time; the slowest of these files takes about two."""


def limited() -> None:
    """No more memory than any small machine has, and an end to what would go on for hours."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * GIB, 3 * GIB))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def plan(vbench: Vbench, *words: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Read a sweep file and plan it; nothing is started."""
    return subprocess.run(
        [COMMAND, "plan", *words], cwd=vbench.folder, env=vbench.environment(**changes), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=DEADLINE_S, check=False, preexec_fn=limited,
    )  # fmt: skip


def refused(vbench: Vbench, *words: str | Path) -> str:
    """What is said of a file that is refused."""
    done = plan(vbench, *words)
    check_refused(done.returncode, done.stdout, done.stderr)
    return done.stderr


def check_refused(code: int, printed: str, said: str) -> None:
    """An error for a user: no traceback, no defect, no flood."""
    assert (code, printed) == (EXIT_USAGE, ""), said[-2000:]
    assert "Traceback" not in said
    assert len(said) < 100_000


def plan_each(vbench: Vbench, lists: Sequence[Sequence[str]]) -> list[tuple[int, str, str]]:
    """The same for several command lines in one process: exit code, output, errors."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "faults" / "read_each.py"], cwd=vbench.folder, env=vbench.environment(),
        input=json.dumps(lists), capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return [(code, printed, said) for code, printed, said in json.loads(done.stdout)]


def written(vbench: Vbench, contents: Iterable[bytes]) -> list[list[str]]:
    """Command lines of sweep files in folders of their own."""
    lists = []
    for number, content in enumerate(contents):
        folder = vbench.folder / str(number)
        folder.mkdir()
        (folder / "sweep.yaml").write_bytes(content)
        lists.append([f"{number}/sweep.yaml"])
    return lists


_ROWS = {one.name: [other for other in REFUSED if other.name == one.name] for one in REFUSED}


@pytest.mark.parametrize(
    "sick", [pytest.param(row, marks=fault("input", name, row[0].promise), id=name) for name, row in _ROWS.items()]
)
def test_files_that_are_refused(vbench: Vbench, counts: Counts, sick: list[Sick]) -> None:
    counts.tried(len(sick) - 1)
    for one, (code, printed, said) in zip(
        sick, plan_each(vbench, written(vbench, [one.content for one in sick])), strict=True
    ):
        check_refused(code, printed, said)
        assert one.said in " ".join(said.split()), f"of {one.content[:300]!r}"


@fault("input", "dates, versions, yes and no, integers as text", "they stay the text that was written")
def test_values_that_yaml_might_change(vbench: Vbench, counts: Counts) -> None:
    counts.tried(len(ODD_VALUES) - 1)
    lists = written(vbench, [f"{VALID}engine_args: {{revision: {one}}}\n".encode() for one, _ in ODD_VALUES])
    for (_, value), (code, printed, said) in zip(
        ODD_VALUES, plan_each(vbench, [[*words, "--json"] for words in lists]), strict=True
    ):
        assert code == 0, said
        assert [one["config"]["revision"] for one in json.loads(printed)["configurations"]] == [value]


@fault("input", "a byte order mark, line ends of another system", "the file is read as it is meant")
def test_a_file_of_another_editor(vbench: Vbench, counts: Counts) -> None:
    contents = [b"\xef\xbb\xbf" + VALID.encode(), *(VALID.replace("\n", end).encode() for end in ("\r\n", "\r"))]
    counts.tried(len(contents) - 1)
    for code, _, said in plan_each(vbench, written(vbench, contents)):
        assert code == 0, said


@fault("input", "a long text that is almost a number", "it is read as text at once, however long it is")
def test_a_long_text_that_is_almost_a_number(vbench: Vbench) -> None:
    path = vbench.write(f"{VALID}engine_args: {{a: {'1' * 300_000}x}}\n")

    done = plan(vbench, path, "--set", f"b={'1' * 100_000}x")

    assert done.returncode == 0, done.stderr[-2000:]


_OVERRIDES = {
    "x": "--set x: expected KEY=VALUE",
    "=1": "expected KEY=VALUE",
    "x=1e999": "--set x: 1e999 is too large",
    "x=[1": "--set x: ",
    "x=[!!python/object/apply:os.system [true]]": "tags such as",
    f"x=[{'[' * 500}": "nested more than 40 levels",
    f"{'k.' * 3000}k=1": "more than 40 levels deep",
    "search.trials=many": "--set search.trials: expected a whole number",
    "environment.VBENCH_RUN=1": "VBENCH_RUN is what vbench knows its own processes by",
    "prompts.synthetic.count=50000000": "must be 1,000,000 or less",
}


@fault("input", "an odd `--set`", "it is refused by its own words, and the file isn't blamed")
def test_odd_overrides(vbench: Vbench, counts: Counts) -> None:
    counts.tried(len(_OVERRIDES) - 1)
    path = str(vbench.write(VALID))
    found = plan_each(vbench, [[path, "--set", override] for override in _OVERRIDES])
    for expected, (code, printed, said) in zip(_OVERRIDES.values(), found, strict=True):
        check_refused(code, printed, said)
        assert expected in " ".join(said.split())


@fault("input", "a pipe instead of a file", "it is refused at once, where opening it would wait forever")
@pytest.mark.parametrize("where", ["sweep.yaml", "model/config.json", "texts.txt"])
def test_a_pipe_instead_of_a_file(vbench: Vbench, where: str) -> None:
    (vbench.folder / "model").mkdir()
    text = VALID.replace("model: {shape: qwen2.5-0.5b}", "model: ./model") if "model" in where else VALID
    vbench.write(f"{text}quality: {{texts: texts.txt}}\nbaseline: {{}}\n" if "texts" in where else text, "sweep.yaml")
    (vbench.folder / where).unlink(missing_ok=True)
    os.mkfifo(vbench.folder / where)

    said = refused(vbench, "sweep.yaml")

    assert where.rpartition("/")[2] in said


@fault("input", "a folder that can't be read", "the file that should be there is missed by name")
def test_a_folder_that_cannot_be_read(vbench: Vbench) -> None:
    closed = vbench.folder / "closed"
    closed.mkdir(mode=0o000)
    if os.access(closed, os.R_OK):
        closed.rmdir()
        closed.symlink_to("/proc/1/task/1/fdinfo/none")  # who may read everything may still miss it
    path = vbench.write(VALID.replace("hardware", "quality: {texts: closed/x.txt}\nbaseline: {}\nhardware"))

    assert "closed/x.txt" in refused(vbench, path)


@fault("input", "a sweep file that isn't there", "the nearest name is said")
def test_a_file_that_is_not_there(vbench: Vbench) -> None:
    vbench.write(VALID, "t4.yaml")

    assert "did you mean t4.yaml?" in refused(vbench, "t4.yml")
    assert "can't be read" in refused(vbench, "x" * 300)
    assert "directory" in refused(vbench, ".")


@fault("input", "sweep files fuzzed", "each gives a valid sweep or a clear error, soon and in little memory")
def test_changed_sweep_files(vbench: Vbench, counts: Counts) -> None:
    """`make faults` tries 100,000 and more."""
    words = [sys.executable, "-m", "tests.faults.fuzz", "--files", "2000"]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "TMPDIR": str(vbench.folder / "tmp")}, capture_output=True, text=True,
        timeout=2 * DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = json.loads(done.stdout.splitlines()[-1])
    counts.tried(found["faults_tried"] - 1)
    assert found["faults_tried"] == found["survived"] == 2000
    assert found["valid"] > 50
    assert found["refused"] > 500


class _Broken:
    """What the fuzzer must not overlook."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def made(self, number: int) -> tuple[bytes, list[str]]:
        return b"", [str(number)]

    def read(self, content: bytes, overrides: Sequence[str], *, is_planned: bool) -> str:
        del content, is_planned
        while self.kind == "hangs":
            pass
        if list(overrides) == ["3"]:
            raise KeyError(self.kind)
        return "valid"


def test_the_fuzzer_tells_what_broke() -> None:
    found = Found()
    for number in range(5):
        attempt(_Broken("raises"), number, found)

    assert found.broken == {3: "KeyError: 'raises'"}
    told = summary(found, 7, 1.0)
    assert (told["faults_tried"], told["survived"], told["broken"], told["seed"]) == (5, 4, 1, 7)


def test_the_fuzzer_ends_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.fuzz.SECONDS", 0.05)
    start_alarms()
    found = Found()
    attempt(_Broken("hangs"), 0, found)

    assert found.broken[0].startswith(f"{TooSlowError.__name__}: more than {SECONDS} s")
    alarm_in(0)
