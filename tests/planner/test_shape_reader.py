"""Reading a model's numbers: every family, and every way in which a config can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planner.builders import shape_of
from vbench.errors import SpecError
from vbench.planner.parameters import parameter_counts
from vbench.planner.shape import ModelShape, NotModelled
from vbench.planner.shape_reader import read_shape
from vbench.planner.shipped import dummy_config, shape_names, shape_of_hub_id, shipped_entry, shipped_shape

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 128, "vocab_size": 1000, "max_position_embeddings": 2048,
}  # fmt: skip


@pytest.mark.parametrize("name", shape_names())
def test_a_shipped_shape_has_the_published_number_of_parameters(name: str) -> None:
    entry = shipped_entry(name)
    assert sum(parameter_counts(shipped_shape(name)).values()) == entry["parameters"]
    assert "config.json of " in entry["source"]


def test_the_common_models_are_shipped() -> None:
    wanted = {"qwen2.5-0.5b", "qwen2.5-14b", "llama-3.2-1b", "llama-3.1-8b", "mistral-7b", "deepseek-7b", "gemma-2-9b"}
    assert wanted | {"phi-3.5-mini", "opt-125m", "mixtral-8x7b"} <= set(shape_names())


def test_parts_of_a_small_llama() -> None:
    # Heads of 16: q, o 64x64 = 4,096 each; k, v 32x64 = 2,048 each; gate, up, down 64x128 = 8,192 each.
    assert parameter_counts(shape_of()) == {
        "embedding": 64_000,
        "lm_head": 64_000,
        "attention": 2 * (2 * 4_096 + 2 * 2_048),
        "mlp": 2 * 3 * 8_192,
        "norms": 64 + 2 * 2 * 64,
    }


def test_biases_experts_and_tied_weights_are_counted() -> None:
    plain = parameter_counts(shape_of())
    biased = parameter_counts(shape_of(attention_bias=True, mlp_bias=True))
    assert biased["attention"] - plain["attention"] == 2 * (64 + 32 + 32 + 64)
    assert biased["mlp"] - plain["mlp"] == 2 * (128 + 128 + 64)
    assert "lm_head" not in parameter_counts(shape_of(tie_word_embeddings=True))
    moe = parameter_counts(shape_of(model_type="mixtral", num_local_experts=4, num_experts_per_tok=2))
    assert moe["experts"] == 2 * (4 * 3 * 8_192 + 4 * 64)  # and a router of 4 x 64


def test_windows_by_layer() -> None:
    assert shape_of(model_type="mistral", sliding_window=512).layer_windows == (512, 512)
    assert shape_of(model_type="mistral").layer_windows == (4096, 4096)  # transformers' default for an absent key
    assert shape_of(model_type="mistral", sliding_window=None).layer_windows == (None, None)
    assert shape_of(model_type="gemma2", sliding_window=512).layer_windows == (512, None)
    gemma3 = shape_of(model_type="gemma3_text", num_hidden_layers=7, sliding_window=128)
    assert gemma3.layer_windows == (128, 128, 128, 128, 128, None, 128)
    assert shape_of(model_type="qwen2", sliding_window=512).layer_windows == (None, None)
    used = shape_of(model_type="qwen2", sliding_window=512, use_sliding_window=True, max_window_layers=1)
    assert used.layer_windows == (None, 512)
    typed = shape_of(sliding_window=64, layer_types=["full_attention", "sliding_attention"])
    assert typed.layer_windows == (None, 64)


def test_defaults_of_absent_keys() -> None:
    assert shape_of(num_key_value_heads=None).num_kv_heads == 4
    assert shape_of(model_type="qwen3").head_dim == 128
    assert shape_of(dtype=None).dtype == "float32"
    assert shape_of(dtype=None, torch_dtype="bfloat16").dtype == "bfloat16"
    assert shape_of(rope_scaling={"rope_type": "linear", "factor": 4.0}).max_positions == 8192
    assert shape_of(rope_scaling={"rope_type": "llama3", "factor": 8.0}).max_positions == 2048
    assert shipped_shape("phi-3.5-mini").default_len == 4096


def test_the_language_model_of_a_multimodal_config() -> None:
    config = {"model_type": "gemma3", "dtype": "bfloat16", "text_config": {**LLAMA, "model_type": "gemma3_text"}}
    shape = read_shape(config)
    assert isinstance(shape, ModelShape)
    assert (shape.model_type, shape.dtype, shape.norms_per_layer) == ("gemma3_text", "bfloat16", 4)
    assert shape.guesses == ("the vision or audio tower isn't counted",)


def test_an_unknown_type_with_a_llamas_keys_is_planned_as_one() -> None:
    shape = read_shape({**LLAMA, "model_type": "novel"})
    assert isinstance(shape, ModelShape)
    assert shape.guesses == ("novel is planned as a llama",)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mamba", "hidden_size": 768, "state_size": 16},
        {"model_type": "jamba", **{key: value for key, value in LLAMA.items() if key != "model_type"}},
        {"model_type": "t5", "d_model": 512},
        {**LLAMA, "is_encoder_decoder": True},
        {"model_type": "something-new", "width": 12},
    ],
)
def test_what_is_no_decoder_is_not_modelled_rather_than_wrong(config: dict[str, Any]) -> None:
    model = read_shape(config)
    assert isinstance(model, NotModelled)
    assert model.reason


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({"hidden_size": None}, "hidden_size", "isn't there"),
        ({"hidden_size": None, "hiden_size": 64}, "hidden_size", "is hiden_size meant?"),
        ({"hidden_size": "large"}, "hidden_size", "'large' is not a whole number"),
        ({"hidden_size": True}, "hidden_size", "True is not a whole number"),
        ({"num_hidden_layers": 0}, "num_hidden_layers", "0 is not between 1 and 1,000"),
        ({"num_hidden_layers": -3}, "num_hidden_layers", "-3 is not between"),
        ({"vocab_size": 10**12}, "vocab_size", "is not between 1 and 100,000,000"),
        ({"num_attention_heads": 5}, "num_attention_heads", "5 doesn't divide hidden_size 64"),
        ({"num_key_value_heads": 3}, "num_key_value_heads", "3 doesn't divide 4 attention heads"),
        ({"dtype": "float12"}, "dtype", "'float12' is not a weight type"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings", "neither true nor false"),
        ({"sliding_window": 8, "layer_types": ["full_attention"]}, "layer_types", "1 entries for 2 layers"),
        ({"quantization_config": {"bits": 4}}, "quantization_config.quant_method", "isn't there"),
        ({"quantization_config": {"quant_method": "awq", "group_size": "g"}}, "quantization_config.group_size", "'g'"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 400}}, "bits", "400 is not between 1 and 16"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_key(change: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_shape({**LLAMA, **change}, "models/x/config.json")
    assert says in str(caught.value)
    assert key in [problem.key for problem in caught.value.problems]
    assert str(caught.value).startswith("models/x/config.json")


def test_every_problem_is_said_at_once_and_a_type_is_needed() -> None:
    with pytest.raises(SpecError) as caught:
        read_shape({**LLAMA, "hidden_size": None, "vocab_size": -1})
    assert {problem.key for problem in caught.value.problems} == {"hidden_size", "vocab_size"}
    with pytest.raises(SpecError, match="model_type"):
        read_shape({"hidden_size": 64})


def test_compressed_tensors() -> None:
    weights = {"num_bits": 4, "strategy": "group", "group_size": 128, "symmetric": False}
    config = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}
    found = shape_of(quantization_config=config).quantization
    assert found is not None
    assert (found.bits, found.group_size, found.has_zero_points) == (4, 128, True)
    with pytest.raises(SpecError, match="says nothing of weights"):
        shape_of(quantization_config={"quant_method": "compressed-tensors", "config_groups": {}})


def test_a_shape_by_name() -> None:
    assert shape_of_hub_id("Qwen/Qwen2.5-7B-Instruct-AWQ") == "qwen2.5-7b"
    assert shape_of_hub_id("meta-llama/Llama-3.2-3B-Instruct") == "llama-3.2-3b"
    assert shape_of_hub_id("deepseek-ai/deepseek-llm-7b-chat") == "deepseek-7b"
    assert shape_of_hub_id("mistralai/Mixtral-8x7B-Instruct-v0.1") == "mixtral-8x7b"
    assert shape_of_hub_id("org/unheard-of") is None
    with pytest.raises(SpecError, match=r"did you mean qwen2\.5-7b"):
        shipped_shape("qwen2.5-7")


def test_dummy_configs() -> None:
    assert dummy_config("qwen2.5-7b", "awq_marlin")["quantization_config"]["quant_method"] == "awq"
    assert "rope_scaling" not in dummy_config("phi-3.5-mini")
    assert "architectures" in dummy_config("opt-125m", "none")
    with pytest.raises(SpecError, match="no dummy squeezellm"):
        dummy_config("opt-125m", "squeezellm")
