"""What can be wrong with a sweep file, a machine or a run's name: each is told with its place and what to do.

Whatever it is, there is no traceback, and nothing is written under results/.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.process import BASE, MEASURE, SMALL, Vbench

REAL = BASE.replace("engine: fake\n", "")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        pytest.param("name: [", 2, ["small.yaml:1"], id="broken YAML"),
        pytest.param(f"{BASE}a: 1\n  b: 2\n", 2, ["small.yaml:7"], id="broken indentation"),
        pytest.param("", 2, ["the file is empty"], id="empty file"),
        pytest.param("name: small\n", 2, ["model: is missing", "prompts: is missing"], id="nothing but a name"),
        pytest.param(f"{BASE}paramters: {{}}\n", 2, ["small.yaml:6", "did you mean parameters?"], id="unknown key"),
        pytest.param(
            f"{BASE}engine_args: {{max_num_seq: 2}}\n",
            2,
            ["small.yaml:6", "no argument named max_num_seq", "did you mean max_num_seqs?"],
            id="unknown engine argument",
        ),
        pytest.param(
            f"{BASE}parameters:\n  max_num_sqs: [1, 2]\n",
            2,
            ["small.yaml:7", "did you mean max_num_seqs?"],
            id="unknown parameter",
        ),
        pytest.param(
            f"{BASE}parameters: {{max_num_seqs: {{low: 9, high: 3}}}}\n", 2, ["small.yaml:6", "low (9)"], id="range"
        ),
        pytest.param(f"{BASE}constraints: [max_num_seqs]\n", 2, ["small.yaml:6", "constraints"], id="constraint"),
        pytest.param(f"{BASE}objective: {{maximize: speed}}\n", 2, ["'speed' is not a metric"], id="metric"),
        pytest.param(BASE.replace("fake", "sglang"), 2, ["not in this version"], id="a later version's value"),
        pytest.param(REAL.replace("org/name", "./nowhere"), 2, ["no such folder", "nowhere"], id="no model folder"),
        pytest.param(REAL.replace("org/name", "./notes"), 2, ["has no config.json"], id="no config.json"),
        pytest.param(
            REAL.replace("{synthetic: {count: 4, input_tokens: 8}", "{file: empty.jsonl"), 2, ["empty"], id="no prompts"
        ),
        pytest.param(
            REAL.replace("{synthetic: {count: 4, input_tokens: 8}", "{file: promts.jsonl"),
            2,
            ["no such file", "did you mean prompts.jsonl?"],
            id="missing prompts",
        ),
        pytest.param(BASE.replace("fake", "vlm"), 2, ["small.yaml:3", "did you mean vllm?"], id="unknown engine"),
        pytest.param(f"{REAL}python: ./nowhere/python\n", 3, ["not an interpreter"], id="no interpreter"),
        pytest.param(f"{REAL}python: /bin/false\n", 3, ["/bin/false"], id="not a Python"),
        pytest.param(f"{REAL}python: bare/bin/python\n", 3, ["has no vllm", "python:"], id="no engine in it"),
    ],
)
def test_a_faulty_file_is_told_where_and_what_to_do(vbench: Vbench, text: str, code: int, says: list[str]) -> None:
    (vbench.folder / "notes").mkdir()
    vbench.write("", "empty.jsonl")
    vbench.write('{"prompt": "one"}\n', "prompts.jsonl")
    if "bare/" in text:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(vbench.folder / "bare")], check=True)
    refused(vbench, ["sweep", vbench.write(text)], code, says)


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU")
def test_a_card_that_is_not_here_is_exit_code_3(vbench: Vbench) -> None:
    refused(
        vbench,
        ["sweep", vbench.write(f"{BASE}hardware: t4\n")],
        3,
        ["t4 needs an NVIDIA GPU", "vbench plan", "vbench sweep sweeps/demo.yaml"],
    )


@pytest.mark.parametrize(
    ("command", "words", "says"),
    [
        ("sweep", ["smal.yaml"], ["smal.yaml: no such sweep file", "did you mean small.yaml?"]),
        ("run", ["."], ["can't be read: Is a directory"]),
        ("sweep", ["small.yaml", "--set", "max_num_seq=2"], ["--set max_num_seq", "did you mean max_num_seqs?"]),
        ("run", ["small.yaml", "--set", "max_num_seqs"], ["expected KEY=VALUE"]),
        ("sweep", ["small.yaml", "--set", "search.trails=2"], ["--set search.trails", "did you mean trials?"]),
        ("run", ["small.yaml", "--set", "prompts.limit=0"], ["--set prompts.limit", "1 or more"]),
    ],
)
def test_a_wrong_argument_names_what_was_typed(vbench: Vbench, command: str, words: list[str], says: list[str]) -> None:
    vbench.write(SMALL)
    refused(vbench, [command, *words], 2, says)


def test_a_wrong_timeout_is_named_as_it_was_typed(vbench: Vbench) -> None:
    refused(vbench, ["sweep", vbench.write(SMALL), "--timeout", "soon"], 2, ["--timeout: 'soon' is not a duration"])


def test_several_problems_are_told_at_once(vbench: Vbench) -> None:
    text = f"{BASE}paramters: {{}}\nmeasure: {{passes: 0}}\n".replace(MEASURE, "")
    done = refused(vbench, ["sweep", vbench.write(text)], 2, ["small.yaml:5", "small.yaml:6"])
    assert len(done.splitlines()) == 2


def test_a_results_folder_that_is_a_file_is_exit_code_4(vbench: Vbench) -> None:
    (vbench.folder / "results").write_text("mine")
    done = vbench("sweep", vbench.write(SMALL), check=4)
    assert "results" in done.stderr
    assert "choose another results folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert (vbench.folder / "results").read_text() == "mine"


@pytest.mark.parametrize("command", ["best", "report", "show"])
def test_without_any_run_it_says_how_to_make_one(vbench: Vbench, command: str) -> None:
    refused(vbench, [command], 2, ["there are no runs in results/", "vbench sweep FILE"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["best", "smal"], "did you mean small"),
        (["report", "smal"], "did you mean small"),
        (["show", "smal"], "did you mean small"),
        (["show", "small", "99"], "has no trial 99: it has 5, from 0 to 4"),
        (["show", "99"], "has no trial 99"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(small_run: Vbench, words: list[str], says: str) -> None:
    done = small_run(*words, check=2)
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def refused(vbench: Vbench, words: list[str | Path], code: int, says: list[str]) -> str:
    """Run a command that must do nothing but say what is wrong; returns what it said."""
    done = vbench(*words, check=code)
    assert done.stdout == ""
    for word in says:
        assert word in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert not (vbench.folder / "results").exists()
    return done.stderr
