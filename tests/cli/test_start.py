"""Before any command runs: help, version, what is imported, and what a wrong command line is told."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.cli.process import Vbench
from vbench.cli import best
from vbench.cli.app import app
from vbench.cli.main import main, run_command

COMMANDS = ("plan", "sweep", "run", "report", "best", "list", "show", "schema")
HEAVY = {"torch", "vllm", "pandas", "matplotlib", "optuna", "numpy", "pydantic", "jinja2", "yaml", "psutil"}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_and_fits_80_columns(vbench: Vbench, command: str) -> None:
    done = vbench(*([command] if command else []), "--help", check=0)
    assert f"Usage: vbench {command}".strip() in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    assert "<bool>" not in done.stdout
    assert done.stderr == ""


def _examples(command: Callable[..., None]) -> list[str]:
    return [line for line in inspect.cleandoc(command.__doc__ or "").splitlines() if line.startswith(" ")]


def test_examples_keep_their_indent_and_are_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    callbacks = {info.name: info.callback for info in app.registered_commands}
    assert "best" in callbacks
    for name, command in callbacks.items():
        assert name is not None
        assert command is not None
        assert [line for line in _examples(command) if len(line) > 78] == []
    run_command(["best", "--help"], False)
    shown = capsys.readouterr().out.splitlines()
    assert all(f" {line}" in (one.rstrip() for one in shown) for line in _examples(best.best))


def test_help_names_every_command_and_the_exit_codes(vbench: Vbench) -> None:
    text = " ".join(vbench("--help", check=0).stdout.split())
    assert all(f"│ {command} " in text for command in COMMANDS)
    assert "130 interrupted" in text


def test_version(vbench: Vbench) -> None:
    assert vbench("--version", check=0).stdout.startswith("vbench ")


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["sweep", "--help"], ["run", "--help"]])
def test_nothing_heavy_is_imported_to_answer(words: list[str]) -> None:
    code = f"""
import sys
from vbench.cli.main import run_command
if {words}:
    run_command({words}, False)
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "vbench.cli.main" in loaded
    # Typer checks the options of a single command with pydantic, and there is no way around it.
    assert loaded & HEAVY - ({"pydantic"} if len(words) > 1 else set()) == set()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Usage"),
        (["swep"], "sweep"),
        (["sweep"], "FILE"),
        (["sweep", "x.yaml", "--trails", "3"], "--trials"),
        (["best", "--as", "jsno"], "json"),
        (["sweep", "x.yaml", "--trials", "0"], "--trials"),
        (["show", "x", "one"], "TRIAL"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_says_why(vbench: Vbench, words: list[str], says: str) -> None:
    done = vbench(*words, check=2)
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(vbench: Vbench) -> None:
    done = vbench("sweep", "missing.yaml", "--debug")
    assert "Traceback" in done.stderr
    assert "UsageError" in done.stderr


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_ctrl_c_is_no_traceback_and_no_defect_whenever_it_comes(
    is_wrapped: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            if is_wrapped:
                raise ImportError("a library that was being imported") from error
            raise

    monkeypatch.setattr("sys.argv", ["vbench", "list"])
    monkeypatch.setattr("vbench.cli.hiding.hide_secrets", lambda: None)
    monkeypatch.setattr("vbench.cli.streams.make_streams_safe", lambda **_: None)
    monkeypatch.setattr("vbench.cli.app.app" if is_wrapped else "vbench.cli.main.run_command", interrupted)
    if is_wrapped:
        assert run_command(["list"], is_debugging=False) == 130
    else:
        before = signal.getsignal(signal.SIGINT)
        try:
            with pytest.raises(SystemExit) as ending:
                main()
        finally:
            signal.signal(signal.SIGINT, before)
        assert ending.value.code == 130
    assert capsys.readouterr().err == ""
