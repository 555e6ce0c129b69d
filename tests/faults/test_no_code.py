"""Code in a sweep file or a prompt is never run; and nothing in vbench could run it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vbench as package
from tests.cli.process import BASE, Vbench
from tests.faults.matrix import fault

_SOURCE = Path(package.__file__).parent


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that planted code would make. It must not be there in the end."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists(), "planted code was run"


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


_RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
_RUNS_DATA = {
    "os.system", "os.popen", "pickle.load", "pickle.loads", "shelve.open", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "runpy.run_path", "runpy.run_module", "code.interact", "subprocess.getoutput",
    "subprocess.getstatusoutput", "torch.load", "numpy.load", "np.load", "joblib.load", "importlib.reload",
}  # fmt: skip


@fault(
    "security", "code that runs what it reads", "vbench has no `eval`, `exec`, `pickle`, `yaml.load` or shell anywhere."
)
def test_no_code_of_ours_runs_what_it_reads() -> None:
    for path, tree in _trees():
        assert not [ast.unparse(node) for node in ast.walk(tree) if _is_forbidden(node)], path
    # What a report's own helper processes send it. It makes plain values, and is never read from a file.
    marshalling = {path.name for path, tree in _trees() if "import marshal" in ast.unparse(tree)}
    assert marshalling <= {"plain.py", "slim.py", "section_process.py"}


def _is_forbidden(node: Any) -> bool:
    if isinstance(node, ast.Import) and any(one.name in ("pickle", "shelve", "dill") for one in node.names):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    has_shell = any(one.arg == "shell" and ast.unparse(one.value) != "False" for one in node.keywords)
    loads_code = name == "yaml.compose" and not any(one.arg == "Loader" for one in node.keywords)
    return name in _RUNS_TEXT or name in _RUNS_DATA or has_shell or loads_code


def test_the_look_for_such_code_finds_it() -> None:
    for text in ("eval('1')", "import pickle", "os.system('x')", "subprocess.run('x', shell=True)", "yaml.load(f)"):
        assert any(map(_is_forbidden, ast.walk(ast.parse(text)))), text
    for text in ("re.compile('x')", "subprocess.run(['x'])", "ast.literal_eval('1')"):
        assert not any(map(_is_forbidden, ast.walk(ast.parse(text)))), text


@fault("security", "programs started through a shell", "Every command is a list of arguments.")
def test_commands_are_lists_of_arguments() -> None:
    starters = (
        "subprocess.run",
        "subprocess.Popen",
        "subprocess.check_output",
        "subprocess.check_call",
        "subprocess.call",
    )
    calls = [
        (path, node) for path, tree in _trees() for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in starters
    ]  # fmt: skip
    assert calls
    for path, call in calls:
        is_text = isinstance(call.args[0], (ast.JoinedStr, ast.Constant, ast.BinOp))
        assert not is_text, f"{path}:{call.lineno} starts a program by one text"


_CODE = """\
description: "`touch {0}` {{{{ ''.__class__ }}}} %(x)s"
environment: {{A: '$(touch {0})', B: '; touch {0}'}}
parameters: {{dtype: [float16, "$(touch {0})"]}}
"""
_IN_A_SWEEP = "code in a sweep file: YAML tags, templates, shell words"
_AS_TEXT = "A clear error, or plain text; nothing is run."


@fault("security", _IN_A_SWEEP, _AS_TEXT)
def test_code_in_a_sweep_file(vbench: Vbench, marker: Path) -> None:
    vbench("sweep", vbench.write(BASE + _CODE.format(marker.name)), check=0)
    vbench("report", check=0)
    vbench("best", check=0)
    assert not list(vbench.folder.rglob(marker.name))


@fault("security", _IN_A_SWEEP, _AS_TEXT)
@pytest.mark.parametrize(
    "text",
    [
        "description: !!python/object/apply:os.system ['touch {0}']\n",
        "description: !!python/object/new:subprocess.Popen [['touch', '{0}']]\n",
        "environment: {{A: !!python/name:os.system }}\n",
        'constraints: [\'__import__("os").system("touch {0}") <= 1\']\n',
        "name: '$(touch {0})'\n",
        "model: '; touch {0} #'\n",
        "objective: \"exec('open({0}, 1)')\"\n",
    ],
)
def test_code_that_is_no_sweep_file(vbench: Vbench, marker: Path, text: str) -> None:
    name, _, _ = text.partition(":")
    base = "".join(line for line in BASE.splitlines(keepends=True) if not line.startswith(f"{name}:"))
    done = vbench("sweep", vbench.write(base + text.format(marker)), check=2)
    assert "small.yaml:" in done.stderr


@fault("security", "code in a prompt", "Prompts are data: they come back as they went in.")
def test_code_in_a_prompt(vbench: Vbench, marker: Path) -> None:
    hostile = [
        f"$(touch {marker})",
        "{{ cycler.__init__ }}",
        "'; DROP TABLE x; --",
        "<script>alert(1)</script>",
        "%n%n\x1b[2J",
    ]
    text = "".join(json.dumps({"prompt": one, "id": one}) + "\n" for one in hostile)
    (vbench.folder / "p.jsonl").write_text(text)
    file = vbench.write(
        BASE.replace("{synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}", "{file: p.jsonl, output_tokens: 8}")
    )
    vbench("run", file, check=0)
    stored = [
        json.loads(line)["prompt"] for line in (vbench.run("small-run") / "prompts.jsonl").read_text().splitlines()
    ]
    assert stored == hostile
    shown = vbench("prompts", "show", "p.jsonl", check=0)
    assert "\x1b" not in shown.stdout


def test_nothing_of_ours_turns_it_on() -> None:
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert ast.unparse(node.value) == "False", path
