"""The demo models: made once, the same everywhere, and packed so that the real engine reads back what was packed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tools.checkpoints import Array, ask_engine, make, nibbles, read_tensors, write_plain

GROUP_SIZE = 128


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    make(out)
    return out / "tiny"


def unpack_awq(packed: Array) -> Array:
    """Columns 0, 2, 4, 6, 1, 3, 5, 7 of every eight, from the lowest bits up."""
    columns = np.zeros((packed.shape[0], packed.shape[1] * 8), np.float64)
    for position, values in zip((0, 2, 4, 6, 1, 3, 5, 7), nibbles(packed), strict=True):
        columns[:, position::8] = values
    return columns


def unpack_rows(packed: Array) -> Array:
    """Row 0 of every eight in the lowest bits."""
    return np.stack(nibbles(packed), axis=1).reshape(-1, packed.shape[1]).astype(np.float64)


def dequantize(tensors: dict[str, Array], layer: str, method: str) -> tuple[Array, Array]:
    """The weight (outputs × inputs) and the step of each of its numbers."""
    packed, packed_zeros, scales = (tensors[f"{layer}.{part}"] for part in ("qweight", "qzeros", "scales"))
    if method == "awq":
        levels, zeros = unpack_awq(packed), unpack_awq(packed_zeros)
    else:
        levels, zeros = unpack_rows(packed), unpack_rows(packed_zeros.T).T + 1
    step = scales.astype(np.float64).repeat(GROUP_SIZE, axis=0)
    return ((levels - zeros.repeat(GROUP_SIZE, axis=0)) * step).T, step.T


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_unpacked_weights_are_within_half_a_step(models: Path, method: str) -> None:
    original = read_tensors(models / "base" / "model.safetensors")
    packed = read_tensors(models / method / "model.safetensors")
    layers = [name.removesuffix(".weight") for name in original if name.endswith("_proj.weight")]
    assert len(layers) == 4 * 7
    for layer in layers:
        weight, step = dequantize(packed, layer, method)
        # bfloat16, 4-bit and float16 numbers: every operation here is exact in float64.
        assert np.all(2 * np.abs(weight - original[f"{layer}.weight"]) <= step), layer
        assert np.ptp(weight) > 0


def test_a_second_run_leaves_everything_alone(models: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in models.rglob("*")}
    assert make(models.parent) == ""
    assert {path: path.stat().st_mtime_ns for path in models.rglob("*")} == before


def test_a_half_made_or_outdated_folder_is_made_again(models: Path, tmp_path: Path) -> None:
    make(tmp_path)
    weights = (tmp_path / "tiny" / "base" / "model.safetensors").read_bytes()
    assert weights == (models / "base" / "model.safetensors").read_bytes()  # the same every time
    (tmp_path / "tiny" / "base" / "recipe.json").write_text('{"version": 0}')
    (tmp_path / "tiny" / "draft" / "recipe.json").unlink()
    lines = make(tmp_path).splitlines()
    assert [Path(line.partition(":")[0]).name for line in lines] == ["base", "draft"]
    assert (tmp_path / "tiny" / "base" / "model.safetensors").read_bytes() == weights
    assert sorted(path.name for path in (tmp_path / "tiny").iterdir()) == ["awq", "base", "draft", "gptq"]


ENGINE_SCRIPT = """
import gc, json, sys
from vllm import LLM, SamplingParams

def ask(path):
    llm = LLM(model=path, dtype="bfloat16", max_model_len=256, kv_cache_memory_bytes=1 << 26, enforce_eager=True)
    params = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, prompt_logprobs=0)
    output = llm.generate([{"prompt_token_ids": list(range(3, 131))}], params, use_tqdm=False)[0]
    logprobs = [next(iter(one.values())).logprob for one in output.prompt_logprobs[1:]]
    return {"logprobs": logprobs, "tokens": list(output.outputs[0].token_ids)}

if __name__ == "__main__":
    answers = {}
    for path in sys.argv[1:]:
        answers[path] = ask(path)
        gc.collect()  # one engine's parallel groups must be gone before the next one's are made
    print("ANSWERS " + json.dumps(answers))
"""


def write_dequantized(base: Path, quantized: Path, method: str, out: Path) -> None:
    """A plain checkpoint with the weights that the packed one stands for, in float32."""
    packed = read_tensors(quantized / "model.safetensors")
    tensors = {
        name: dequantize(packed, name.removesuffix(".weight"), method)[0] if "_proj" in name else tensor
        for name, tensor in read_tensors(base / "model.safetensors").items()
    }
    write_plain(base, tensors, out)


@pytest.mark.engine
@pytest.mark.slow
def test_vllm_reads_back_what_was_packed(models: Path, tmp_path: Path) -> None:
    folders = {"base": models / "base"}
    for method in ("awq", "gptq"):
        folders[method] = models / method
        folders[f"{method}, dequantized"] = tmp_path / method
        write_dequantized(models / "base", models / method, method, tmp_path / method)
    answers = ask_engine(tmp_path / "engine.py", ENGINE_SCRIPT, *map(str, folders.values()))
    logprobs = {name: np.array(answers[str(path)]["logprobs"]) for name, path in folders.items()}
    assert all(len(answer["tokens"]) == 8 for answer in answers.values())
    for method in ("awq", "gptq"):
        kernel_error = np.abs(logprobs[method] - logprobs[f"{method}, dequantized"]).mean()
        rounding_error = np.abs(logprobs[method] - logprobs["base"]).mean()
        # bfloat16 arithmetic differs a little between kernels; 4-bit weights differ visibly from the original.
        assert kernel_error < rounding_error / 3, (method, kernel_error, rounding_error)
