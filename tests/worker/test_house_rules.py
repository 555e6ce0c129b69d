"""The two houses stay apart: what the worker may import, who may import the worker, and in which Python it runs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vbench
from vbench.execution.worker_question import WORKER_ENTRY

PACKAGE = Path(vbench.__file__).parent
WORKER = WORKER_ENTRY.parent
ENGINE_PACKAGES = {"vllm", "torch", "transformers"}
# What vLLM itself depends on, so that every interpreter with it has it: the event loop of its own server.
ENGINE_COMPANIONS = {"uvloop"}
OWN_NAME = "vbench_worker"
WORKER_FILES = sorted(WORKER.rglob("*.py"))
PARENT_FILES = sorted(set(PACKAGE.rglob("*.py")) - set(WORKER_FILES))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


def imported(path: Path) -> Iterator[str]:
    """Every module that the file imports anywhere in it, by its full name; relative imports are left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module


@pytest.mark.parametrize("path", WORKER_FILES, ids=name_of)
class TestWorkerFile:
    def test_is_python_3_8(self, path: Path) -> None:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))

    def test_imports_the_standard_library_itself_and_engines(self, path: Path) -> None:
        allowed = {*sys.stdlib_module_names, OWN_NAME}
        if path.parent == WORKER / "engines":
            allowed |= ENGINE_PACKAGES | ENGINE_COMPANIONS

        assert {name.partition(".")[0] for name in imported(path)} - allowed == set()

    def test_looks_at_annotations_only_as_text(self, path: Path) -> None:
        # `int | None` in a signature is fine for Python 3.8 only if it is never evaluated.
        tree = ast.parse(path.read_text(encoding="utf-8"))
        annotated = [node for node in ast.walk(tree) if isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation]

        assert not annotated or "__future__" in set(imported(path))


@pytest.mark.parametrize("path", PARENT_FILES, ids=name_of)
def test_the_parent_imports_neither_worker_nor_engine(path: Path) -> None:
    found = set(imported(path))

    assert {name for name in found if name.split(".")[:2] == ["vbench", "worker"]} == set()
    assert {name.partition(".")[0] for name in found} & ENGINE_PACKAGES == set()


def test_the_parent_pulls_no_engine_in_by_another_way() -> None:
    modules = [name_of(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path in PARENT_FILES]
    code = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(modules)], check=True, capture_output=True, text=True)

    assert set(json.loads(done.stdout)) & (ENGINE_PACKAGES | {OWN_NAME}) == set()


def test_identify_needs_no_installed_package() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(WORKER_ENTRY), "identify"], check=True, capture_output=True, text=True
    )

    answer = json.loads(done.stdout)
    assert answer["python"] == sys.version.split()[0]
    assert list(answer["engines"]) == ["fake"]
    assert (answer["torch"], answer["transformers"]) == (None, None)
    assert done.stderr == ""
