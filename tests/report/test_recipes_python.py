"""The Python cell and the notebook, run with something in the engine's place."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.report.test_recipes import CONFIG, HOSTILE
from vbench.report.recipe_parts import Provenance
from vbench.report.recipes_python import as_notebook, as_python

# Stands for the engine: what it is given and asked is kept.
STAND_IN = """\
import json, sys, types

class LLM:
    def __init__(self, **given):
        self.given = given

    def generate(self, prompts, sampling):
        self.asked = prompts
        answer = types.SimpleNamespace(text="", token_ids=[])
        return [types.SimpleNamespace(outputs=[answer], sequences=[answer])]

    beam_search = generate

parameters = types.SimpleNamespace(BeamSearchParams=dict)
sys.modules["vllm"] = types.SimpleNamespace(LLM=LLM, SamplingParams=dict, sampling_params=parameters)
sys.modules["vllm.sampling_params"] = parameters
"""


def run_python(program: str) -> Any:
    """What a program prints last, as JSON."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("value", HOSTILE)
def test_any_value_survives_python(value: str) -> None:
    config = {"model": value, "x": value, "not an identifier": value, "class": [value], "environment": {"A": value}}
    program = f"{STAND_IN}{as_python(config)}\nprint(json.dumps([llm.given, os.environ['A']]))"
    expected = {"model": value, "x": value, "not an identifier": value, "class": [value]}
    assert run_python(program) == [expected, value]


@pytest.mark.parametrize("value", HOSTILE)
def test_any_sampling_survives_python(value: str) -> None:
    config = {"model": "m", "sampling": {"stop": [value], "not an identifier": value, "n": 2}}
    program = f"{STAND_IN}{as_python(config, Provenance(output_tokens=40))}\nprint(json.dumps(sampling))"
    expected = {"stop": [value], "not an identifier": value, "n": 2, "temperature": 0.0, "max_tokens": 40}
    assert run_python(program) == expected


def test_beam_search_is_called_as_such() -> None:
    config = {"model": "m", "sampling": {"beam_width": 4, "max_tokens": 8}}
    assert run_python(f"{STAND_IN}{as_python(config)}\nprint(json.dumps([llm.asked, sampling]))") == [
        [{"prompt": "The capital of France is"}],
        {"beam_width": 4, "max_tokens": 8},
    ]


def test_without_a_tokenizer_the_prompt_is_token_ids() -> None:
    program = (
        f"{STAND_IN}{as_python({'model': 'm', 'skip_tokenizer_init': True})}\nprint(json.dumps([llm.asked, sampling]))"
    )
    asked, sampling = run_python(program)
    assert asked == [{"prompt_token_ids": [1, 2, 3]}]
    assert sampling["detokenize"] is False


def test_a_field_that_wants_a_class_of_the_engine_gets_it() -> None:
    code = as_python({"model": "m", "sampling": {"structured_outputs": {"regex": "a+"}}})
    assert "from vllm.sampling_params import StructuredOutputsParams" in code
    assert "    structured_outputs=StructuredOutputsParams(**{'regex': 'a+'})," in code


def test_python_sets_the_environment_before_the_import() -> None:
    lines = as_python(CONFIG).splitlines()
    assert lines[:2] == ['# with the engine of "envs/old/bin/python"', "import os"]
    assert lines.index("from vllm import LLM, SamplingParams") > 2
    assert "    gpu_memory_utilization=0.9," in lines
    assert "python=" not in as_python(CONFIG)


def test_a_notebook_is_a_valid_one_with_the_python_cell() -> None:
    notebook = json.loads(as_notebook(CONFIG, title="Best of t4"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert [cell["id"] for cell in notebook["cells"]] == ["title", "engine", "generate"]
    cells = [cell["source"] for cell in notebook["cells"][1:]]
    assert cells[0].endswith(")\n\nllm = LLM(**kwargs)")
    assert cells[1].splitlines()[0].startswith("outputs = llm.generate([")
    for cell in notebook["cells"][1:]:
        compile(cell["source"], cell["id"], "exec")
        assert cell["outputs"] == []


def test_a_length_that_is_not_known_is_said_to_be_chosen() -> None:
    measured = as_python({"model": "m"}, Provenance(lines=("Trial 3",)))
    assert "sampling = SamplingParams(  # measured until each answer stopped: choose max_tokens" in measured
    assert "stopped" not in as_python({"model": "m"}, Provenance(distribution="vllm"))
