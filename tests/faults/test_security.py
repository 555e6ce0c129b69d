"""What others may try: code in a sweep file, a record or a prompt; a page that runs scripts; files that others read."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import vbench as package
from tests.cli.process import BASE, Vbench, run_facts
from tests.faults.matrix import Counts, fault

_SOURCE = Path(package.__file__).parent
_DOCS = _SOURCE.parent / "docs" / "security.md"


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that planted code would make. It must not be there in the end."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists(), "planted code was run"


def _trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


_RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
_RUNS_DATA = {
    "os.system", "os.popen", "pickle.load", "pickle.loads", "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "runpy.run_path", "runpy.run_module", "code.interact", "subprocess.getoutput",
    "subprocess.getstatusoutput", "torch.load", "numpy.load", "np.load", "joblib.load", "importlib.reload",
}  # fmt: skip


@fault(
    "security", "code that runs what it reads", "vbench has no `eval`, `exec`, `pickle`, `yaml.load` or shell anywhere."
)
def test_no_code_of_ours_runs_what_it_reads() -> None:
    found = [f"{path}:{node.lineno}" for path, tree in _trees() for node in ast.walk(tree) if _is_forbidden(node)]
    assert not found
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
name: '$(touch {0})x'
description: "`touch {0}` {{{{ ''.__class__ }}}} %(x)s"
environment: {{A: '$(touch {0})', B: '; touch {0}'}}
parameters: {{dtype: [float16, "$(touch {0})"]}}
"""
_IN_A_SWEEP = "code in a sweep file: YAML tags, templates, shell words"
_AS_TEXT = "A clear error, or plain text; nothing is run."


@fault("security", _IN_A_SWEEP, _AS_TEXT)
def test_code_in_a_sweep_file(vbench: Vbench, marker: Path) -> None:
    text = BASE.replace("name: small\n", "") + _CODE.format(marker.name)
    vbench("sweep", vbench.write(text), "--set", f"model=;touch {marker.name} #", check=0)
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
        "objective: \"exec('open({0}, 1)')\"\n",
    ],
)
def test_code_that_is_no_sweep_file(vbench: Vbench, marker: Path, text: str) -> None:
    done = vbench("sweep", vbench.write(BASE + text.format(marker)), check=2)
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


_SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`;$(touch {0})\x1b]0;x\x07"


@fault(
    "security",
    "a stranger's results folder: hostile records, names and files",
    "No command that reads it runs anything that it names; pages and terminals show it as text.",
)
def test_a_strangers_run(vbench: Vbench, marker: Path, tmp_path: Path) -> None:
    vbench("run", vbench.write(BASE), check=0)
    run = vbench.run("small-run")
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\ntouch {marker}\n")
    script.chmod(0o755)
    bad = _SCRIPT.format(marker)
    record = json.loads((run / "trials.jsonl").read_text())
    record["config"] |= {"python": str(script), "model": bad, "worker_cls": f"os.system('touch {marker}')", bad: bad}
    record["parameters"] = {bad: bad}
    record["warnings"] = [bad]
    record["engine"]["facts"] = {bad: bad}
    failed = {**record, "trial": 1, "outcome": "crashed", "failure": {"class": bad, "evidence": bad, "advice": bad}}
    (run / "trials.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (record, failed)))
    facts = run_facts(run) | {"name": bad, "description": bad, "overrides": [f"python={script}"], "hardware": bad}
    (run / "run.json").write_text(json.dumps(facts))
    (run / "sweep.yaml").write_text(
        f"python: {script}\nx: !!python/object/apply:os.system ['touch {marker}']\n# {bad}\n"
    )
    (run / "machine.json").write_text(json.dumps({bad: bad, "packages": {bad: bad}}))
    (run / "logs" / "0001.log").write_text(bad * 5)
    asked = [
        ("list",), ("show",), ("show", "1"), ("best",), ("best", "--as", "python"), ("best", "--as", "notebook"),
        ("report",), ("export", "--optuna", "sqlite:///s.db"), ("compare", "small-run", "small-run:0"),
    ]  # fmt: skip
    for words in asked:
        done = vbench(*words)
        assert done.returncode in (0, 1, 2), (words, done.stderr)
        is_exact = words[0] == "best"  # into a pipe: what is pasted must be what was measured
        assert "\x1b]" not in (done.stderr if is_exact else done.stdout + done.stderr), words
    pages = list((vbench.folder / "reports").rglob("*.html"))
    assert pages
    for page in pages:
        _check_page(page.read_text())


class _Page(HTMLParser):
    """Everything of a page that could run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.policies: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")
            assert "src" not in given
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(given.get("content") or "")
        assert tag not in ("iframe", "object", "embed", "base", "form", "link")
        self.handlers += [name for name in given if name.startswith("on")]
        self.links += [given.get(name) or "" for name in ("href", "src", "xlink:href") if given.get(name)]

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def _check_page(html: str) -> None:
    page = _Page()
    page.feed(html)
    (policy,) = page.policies
    assert policy.startswith("default-src 'none'")
    allowed = set(re.findall(r"'(sha256-[^']+)'", policy))
    hashes = {"sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in page.scripts}
    assert hashes == allowed, "the page's own script, and no other"
    assert not page.handlers
    assert all(link.startswith(("#", "data:image/", "https://", "./")) or ":" not in link for link in page.links)


_TRUSTING = """\
engine_args: {model_loader_extra_config: {trust_remote_code: true}}
parameters: {dtype: [{a: {dtype: float16, trust_remote_code: true}}, {b: {dtype: bfloat16}}]}
environment: {PYTHONPATH: /nowhere}
"""


@fault(
    "security",
    "`trust_remote_code`, wherever it hides in a sweep",
    "Off unless the sweep says so; then the terminal, the page and its Markdown say so too.",
)
@pytest.mark.parametrize("is_trusting", [True, False])
def test_trusted_code_is_marked(vbench: Vbench, *, is_trusting: bool) -> None:
    text = _TRUSTING if is_trusting else "engine_args: {trust_remote_code: false}\n"
    swept = vbench("sweep", vbench.write(BASE + text), check=0)
    vbench("report", check=0)
    pages = [path for path in (vbench.folder / "reports").rglob("*") if path.suffix in (".html", ".md")]
    assert len(pages) == 2
    for said in (swept.stdout, *(path.read_text().replace("\\_", "_") for path in pages)):
        assert ("engine may run code" in said) == is_trusting
        for name in ("model_loader_extra_config.trust_remote_code", ", trust_remote_code", "environment.PYTHONPATH"):
            assert (name in said) == is_trusting


def test_it_is_never_on_by_itself(vbench: Vbench) -> None:
    vbench("sweep", vbench.write(BASE), check=0)
    (record,) = (vbench.run() / "trials.jsonl").read_text().splitlines()
    assert "trust_remote_code" not in record
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                assert ast.unparse(node.value) == "False", path


@fault(
    "security",
    "a `run.json` with another run's mark, or a part of one",
    "The run is refused; nobody's processes are ended.",
)
@pytest.mark.parametrize("uid", ["", "0", None, 7, "*", "0" * 31, "../../x", "0" * 33])
def test_a_mark_that_is_none(vbench: Vbench, uid: object) -> None:
    file = vbench.write(BASE)
    vbench("sweep", file, check=0)
    run = vbench.run()
    facts = run_facts(run)
    (run / "run.json").write_text(json.dumps(facts | {"run_uid": uid}))
    environment = {**vbench.environment(), "VBENCH_RUN": str(uid)}
    with subprocess.Popen(["/bin/sleep", "600"], env=environment) as bystander:
        done = vbench("sweep", file, "--set", "search.finalists=0")
        assert done.returncode == 4, done.stderr
        assert "run_uid" in done.stderr
        assert bystander.poll() is None
        bystander.kill()


@fault(
    "security",
    "others on the machine, where files are asked to be private",
    "Every file is 0600, every folder 0700; of an earlier run too.",
)
def test_private_files(vbench: Vbench, counts: Counts) -> None:
    before = os.umask(0o022)
    try:
        file = vbench.write(f"{BASE}engine_args: {{fail: print_environment@pass}}\n")
        vbench("sweep", file, check=0)
        assert vbench.run().stat().st_mode & 0o077, "others may read, unless it is asked otherwise"
        vbench("sweep", file, "--private", check=0)
        assert vbench.run().stat().st_mode & 0o077 == 0
        vbench("sweep", file, "--new", VBENCH_PRIVATE="1", check=0)
        vbench("--private", "report", "--name", "mine", check=0)
        vbench("export", "--optuna", "sqlite:///results/small/s.db", VBENCH_PRIVATE="1", check=0)
    finally:
        os.umask(before)
    made = [vbench.runs()[-1], vbench.folder / "reports" / "mine", vbench.folder / "results" / "small" / "s.db"]
    paths = [path for one in made for path in (one, *one.rglob("*"))]
    counts.tried(len(paths) - 1)
    assert len(paths) > 10
    assert not [path for path in paths if path.stat().st_mode & 0o077]


def test_every_threat_of_the_list_names_tests_that_are_there() -> None:
    rows = [
        line for line in _DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`test_" in line
    ]
    assert len(rows) >= 15
    for row in rows:
        for file, name in re.findall(r"`(test_\w+)\.py::(test_\w+)`", row):
            (path,) = (_SOURCE.parent / "tests").rglob(f"{file}.py")
            assert f"def {name}(" in path.read_text(encoding="utf-8"), name
