from __future__ import annotations

from pathlib import Path

import pytest

from vbench.errors import SpecError
from vbench.execution.arguments import check_arguments
from vbench.spec.loader import parse_spec

BASE = """\
model: org/name
prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}
"""
DESCRIPTION = {
    "engine": "vllm",
    "version": "0.32.0",
    "arguments": dict.fromkeys(
        ["tensor_parallel_size", "pipeline_parallel_size", "max_num_seqs", "quantization", "dtype",
         "speculative_config", "hf_overrides", "gpu_memory_utilization"]
    ),
    "translated": {"task": "task passed as runner='generate': vLLM 0.32.0 has no task"},
    "removed": {
        "swap_space": "vLLM 0.32.0 has no argument named swap_space: vLLM has it up to 0.15.1; the V1 engine never "
        "swaps: leave it out",
    },
    "nested_keys": {"speculative_config": ["method", "num_speculative_tokens", "prompt_lookup_max", "model"]},
}  # fmt: skip


def check(extra: str, *overrides: str) -> None:
    check_arguments(parse_spec(BASE + extra, Path("sweep.yaml"), overrides), DESCRIPTION)


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "engine_args: {tensor_parallel_size: 2}\n",
        "parameters: {max_num_seqs: [1, 2], model: [org/a, org/b]}\n",
        "parameters:\n  quantization:\n    - none\n    - awq: {model: org/awq, dtype: float16}\n",
        "parameters:\n  speculative_config:\n    - none\n    - ngram: {method: ngram, num_speculative_tokens: 3}\n",
        "engine_args: {task: generate}\n",  # which the worker says in other words
        "engine_args:\n  hf_overrides: {anything: 1}\n",  # whose keys the engine doesn't tell
    ],
)
def test_what_the_engine_has_passes(extra: str) -> None:
    check(extra)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "engine_args:\n  dtype: float16\n  tensor_paralel_size: 2\n",
            "sweep.yaml:5: engine_args.tensor_paralel_size: vllm 0.32.0 has no argument named tensor_paralel_size "
            "(did you mean tensor_parallel_size?)",
        ),
        (
            "parameters:\n  max_num_sequences: [1, 2]\n",
            "sweep.yaml:4: parameters.max_num_sequences: vllm 0.32.0 has no argument named max_num_sequences "
            "(did you mean max_num_seqs?)",
        ),
        (
            "parameters:\n  quantization:\n    - none\n    - awq: {dtyp: float16}\n",
            "sweep.yaml:6: parameters.quantization.1.awq.dtyp: vllm 0.32.0 has no argument named dtyp "
            "(did you mean dtype?)",
        ),
        (
            "engine_args:\n  speculative_config: {method: ngram, num_spec_tokens: 3}\n",
            "sweep.yaml:4: engine_args.speculative_config.num_spec_tokens: vllm 0.32.0 has no key of "
            "speculative_config named num_spec_tokens (did you mean num_speculative_tokens?)",
        ),
        (
            "parameters:\n  speculative_config:\n    - none\n    - ngram: {metod: ngram}\n",
            "sweep.yaml:6: parameters.speculative_config.1.ngram.metod: vllm 0.32.0 has no key of speculative_config "
            "named metod (did you mean method?)",
        ),
        (
            "parameters:\n  swap_space: [4, 8]\n",
            "sweep.yaml:4: parameters.swap_space: vLLM 0.32.0 has no argument named swap_space: vLLM has it up to "
            "0.15.1 (the V1 engine never swaps: leave it out)",
        ),
        (
            "parameters:\n  taks: [generate]\n",
            "sweep.yaml:4: parameters.taks: vllm 0.32.0 has no argument named taks (did you mean task?)",
        ),
        (
            "parameters:\n  xyzzy: [1]\n",
            "sweep.yaml:4: parameters.xyzzy: vllm 0.32.0 has no argument named xyzzy",
        ),
    ],
)
def test_what_it_has_not_is_shown_with_its_line_and_what_was_meant(extra: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        check(extra)

    assert [problem.render("sweep.yaml") for problem in caught.value.problems] == [message]


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        check("engine_args: {dtpe: float16}\nparameters:\n  max_num_sqs: [1]\n")

    assert [problem.line for problem in caught.value.problems] == [3, 5]


def test_a_description_without_translations_will_do() -> None:
    older = {name: DESCRIPTION[name] for name in ("engine", "version", "arguments")}
    with pytest.raises(SpecError):
        check_arguments(parse_spec(BASE + "engine_args: {swap_space: 4}\n", Path("sweep.yaml")), older)


def test_one_from_the_command_line_has_no_line() -> None:
    with pytest.raises(SpecError) as caught:
        check("", "engine_args.max_nm_seqs=4")

    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (None, "--set max_nm_seqs")
