"""Options that name an interpreter of their own: each trial runs in its own, and a broken one costs only its trials."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.cli.process import records_of
from tests.sweep.conftest import Recorder
from vbench.execution.keepers import Keepers
from vbench.spec.loader import parse_spec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

SWEEP = """\
engine: fake
model: org/name
prompts: {synthetic: {count: 3, input_tokens: 6}, output_tokens: 4}
search: {method: grid}
measure: {warmup_passes: 0, passes: 1}
"""


def run(text: str, tmp_path: Path) -> tuple[list[dict[str, object]], Recorder]:
    listener = Recorder()
    prepared = prepare(parse_spec(SWEEP + text, tmp_path / "sweep.yaml"))
    return records_of(run_sweep(prepared, tmp_path / "results", listener).run.path), listener


@pytest.fixture
def pythons(tmp_path: Path) -> Path:
    """A folder with a second interpreter and one that doesn't run."""
    folder = tmp_path / "envs"
    folder.mkdir()
    os.symlink(sys.executable, folder / "second")
    broken = folder / "broken"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 3\n")
    broken.chmod(0o755)
    return folder


def test_each_trial_runs_in_its_own_and_a_broken_one_says_so(tmp_path: Path, pythons: Path) -> None:
    text = "parameters:\n  python: [envs/second, envs/broken, envs/missing]\n  max_num_seqs: [1, 2]\n"
    records, _ = run(text, tmp_path)

    assert [one["outcome"] for one in records] == ["completed"] * 2 + ["unsupported"] * 4
    assert [one["config"]["python"] for one in records[:2]] == [str(pythons / "second")] * 2  # type: ignore[index]
    for record, reason in zip(records[2::2], ("no such library", "is not an interpreter here"), strict=True):
        failure = record["failure"]
        assert isinstance(failure, dict)
        assert failure["class"] == "interpreter_unusable"
        assert reason in failure["evidence"]
        assert record["engine"]["version"] is None  # type: ignore[index]


def test_the_run_goes_on_where_it_was(tmp_path: Path, pythons: Path) -> None:
    text = "parameters: {python: [envs/second, envs/broken]}\n"
    first, _ = run(text, tmp_path)
    again, listener = run(text, tmp_path)

    assert again == first
    assert not any(one.startswith("trial_started") for one in listener.said)


def test_an_interpreter_that_changed_makes_another_run(tmp_path: Path, pythons: Path) -> None:
    text = "parameters: {python: [envs/second, envs/broken]}\n"
    run(text, tmp_path)
    (pythons / "broken").unlink()
    os.symlink(sys.executable, pythons / "broken")
    records, _ = run(text, tmp_path)

    assert [one["outcome"] for one in records] == ["completed"] * 2
    assert len(list((tmp_path / "results" / "sweep").iterdir())) == 2


def test_a_variable_is_the_keepers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []
    running = Keepers.running

    def noted(self: Keepers, interpreter: object, environment: dict[str, str], *, preload: bool) -> object:
        asked.append(dict(environment))
        keeper = running(self, interpreter, environment, preload=preload)  # type: ignore[arg-type]
        with open(f"/proc/{keeper.pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
        assert all(f"{name}={value}".encode() in variables for name, value in environment.items())
        return keeper

    monkeypatch.setattr(Keepers, "running", noted)
    records, _ = run("environment: {A: x}\nparameters: {environment.B: [1, 2]}\n", tmp_path)

    assert [one["config"]["environment"] for one in records] == [{"A": "x", "B": "1"}, {"A": "x", "B": "2"}]  # type: ignore[index]
    # The first is made ready with the first trial's own, not with what no trial will have.
    assert asked == [{"A": "x", "B": "1"}] * 2 + [{"A": "x", "B": "2"}]
