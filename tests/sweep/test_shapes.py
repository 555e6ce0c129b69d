"""A model by its shape alone: refused where it can't be, and run with dummy weights on the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.process import records_of
from tests.sweep.conftest import Recorder
from vbench.errors import MachineError, SpecError
from vbench.execution.interpreters import find_interpreter
from vbench.planner.dummy_model import model_folder
from vbench.spec.loader import parse_spec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

SWEEP = """\
model: {shape: qwen2.5-0.5b}
hardware: cpu
prompts: {synthetic: {count: 2, input_tokens: 8}, output_tokens: 3}
engine_args: {enforce_eager: true, max_model_len: 64, kv_cache_memory_bytes: 16777216, block_size: 32}
environment: {OMP_NUM_THREADS: "1", HF_HUB_OFFLINE: "1"}
parameters: {quantization: [none, awq]}
search: {method: grid}
measure: {warmup_passes: 0, passes: 1, repeat_spoiled: false}
"""


@pytest.mark.engine
def test_it_runs_with_dummy_weights_plain_and_quantized(tmp_path: Path) -> None:
    try:
        find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    prepared = prepare(parse_spec(SWEEP, tmp_path / "shape.yaml"))
    result = run_sweep(prepared, tmp_path / "results", Recorder())

    plain, awq = records_of(result.run.path)
    assert [one["outcome"] for one in (plain, awq)] == ["completed", "completed"]
    assert (plain["config"]["model"], plain["config"]["load_format"]) == ("shape:qwen2.5-0.5b", "dummy")
    assert (plain["engine"]["facts"].get("quantization"), awq["engine"]["facts"]["quantization"]) == (None, "awq")
    # 494 million parameters of 2 bytes; the embedding, 27 % of them, stays as it is when the rest takes 4 bits.
    assert plain["engine"]["facts"]["weights_bytes"] == pytest.approx(494e6 * 2, rel=0.01)
    assert awq["engine"]["facts"]["weights_bytes"] == pytest.approx(
        awq["estimate"]["per_gpu"]["weights_bytes"], rel=0.02
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("qwen2.5-0.5b", "qwen2.5-0.6b", "did you mean qwen2.5-0.5b?"),
        ("{synthetic: {count: 2, input_tokens: 8}", "{file: p.jsonl", "a shape has no tokenizer (use synthetic"),
    ],
)
def test_what_it_cannot_be_is_told_with_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "Hello"}\n')
    with pytest.raises(SpecError) as caught:
        prepare(parse_spec("engine: fake\n" + SWEEP.replace(old, new), tmp_path / "shape.yaml"))

    assert expected in str(caught.value)
    assert "shape.yaml" in str(caught.value)


class TestFolder:
    def test_holds_the_shapes_config(self, tmp_path: Path) -> None:
        folder = Path(model_folder("shape:qwen2.5-0.5b", "gptq", tmp_path))

        config = json.loads((folder / "config.json").read_text())
        assert (config["hidden_size"], config["quantization_config"]["quant_method"]) == (896, "gptq")
        assert folder != Path(model_folder("shape:qwen2.5-0.5b", None, tmp_path))

    def test_another_model_is_left_alone(self, tmp_path: Path) -> None:
        assert model_folder("org/name", "awq", tmp_path) == "org/name"

    def test_an_online_quantization_starts_from_the_plain_shape(self, tmp_path: Path) -> None:
        folder = Path(model_folder("shape:qwen2.5-0.5b", "fp8", tmp_path))

        assert "quantization_config" not in json.loads((folder / "config.json").read_text())
