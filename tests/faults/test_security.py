"""What others may try: a results folder that they made, a page that runs scripts, files that they read."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

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
    assert is_trusting or 'trust_remote_code":true' not in (vbench.run() / "trials.jsonl").read_text()
    for said in (swept.stdout, *(path.read_text().replace("\\_", "_") for path in pages)):
        assert ("engine may run code" in said) == is_trusting
        for name in ("model_loader_extra_config.trust_remote_code", ", trust_remote_code", "environment.PYTHONPATH"):
            assert (name in said) == is_trusting


@fault(
    "security",
    "a `run.json` with another run's mark, or a part of one",
    "The run is refused; nobody's processes are ended.",
)
def test_a_mark_that_is_none(vbench: Vbench, counts: Counts) -> None:
    file = vbench.write(BASE)
    vbench("sweep", file, check=0)
    run = vbench.run()
    facts = run_facts(run)
    uids = ("", "0", None, "*", "0" * 31, "../../x")
    counts.tried(len(uids) - 1)
    for uid in uids:
        (run / "run.json").write_text(json.dumps(facts | {"run_uid": uid}))
        environment = {**vbench.environment(), "VBENCH_RUN": str(uid)}
        with subprocess.Popen(["/bin/sleep", "600"], env=environment) as bystander:
            done = vbench("sweep", file)
            still_runs = bystander.poll() is None
            bystander.kill()
        assert done.returncode == 4, done.stderr
        assert "run_uid" in done.stderr
        assert still_runs


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
