"""From a Hugging Face `config.json` (as a dict) to a `ModelShape`. Doesn't open files; weights are never touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vbench.errors import SpecError
from vbench.planner.config_values import Values
from vbench.planner.families import FAMILIES, INNER_TYPES, LLAMA, NOT_MODELLED, Family
from vbench.planner.quantization_config import read_quantization
from vbench.planner.shape import Mla, Model, ModelShape, Moe, NotModelled

_DTYPES = ("float32", "float16", "bfloat16")
_LLAMA_KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
_MOST_LAYERS = 1000


def read_shape(config: Mapping[str, Any], file: str = "config.json") -> Model:
    """The shape, or why this kind of model isn't planned. Raises SpecError with every problem and its key."""
    values = Values(config)
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        values.absent(["model_type"])
        raise SpecError(file, values.problems)
    if model_type in NOT_MODELLED or config.get("is_encoder_decoder") is True:
        return NotModelled(
            model_type=model_type, reason=NOT_MODELLED.get(model_type, "not a decoder-only language model")
        )
    guesses: list[str] = []
    inner = config.get("text_config")
    if isinstance(inner, Mapping):
        # vLLM reads the language model's numbers from here; what sees or hears isn't counted.
        guesses.append("the vision or audio tower isn't counted")
        outer = {key: value for key, value in config.items() if key in ("dtype", "torch_dtype", "quantization_config")}
        config = {**outer, **inner}
        model_type = str(inner.get("model_type") or INNER_TYPES.get(model_type, model_type))
        values = Values(config)
    family = FAMILIES.get(model_type)
    if family is None:
        if any(config.get(key) is None for key in _LLAMA_KEYS):
            return NotModelled(model_type=model_type, reason="its config.json hasn't the keys of a transformer decoder")
        guesses.append(f"{model_type} is planned as a llama")
        family = LLAMA
    shape = _shape(values, model_type, family, guesses)
    if values.problems:
        raise SpecError(file, values.problems)
    return shape


def _shape(values: Values, model_type: str, family: Family, guesses: list[str]) -> ModelShape:
    layers = values.count("num_hidden_layers", most=_MOST_LAYERS)
    hidden = values.count("hidden_size")
    heads = values.count("num_attention_heads")
    kv_heads = values.count("num_key_value_heads", default=heads)
    qkv_bias = values.flag("attention_bias", False) if family.qkv_bias == "config" else family.qkv_bias
    has_bias = values.flag("enable_bias", True) if family.has_layer_norm else False
    positions = values.count("max_position_embeddings", "max_sequence_length", default=2048)
    embedding = values.optional_count("word_embed_proj_dim")
    return ModelShape(
        model_type=model_type,
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=values.count("intermediate_size", "ffn_dim"),
        num_heads=heads,
        num_kv_heads=_kv_heads(values, heads, kv_heads),
        head_dim=_head_dim(values, family, hidden, heads),
        vocab_size=values.count("vocab_size"),
        max_positions=_scaled_positions(values, positions, model_type),
        default_len=_default_len(values),
        dtype=_dtype(values),
        is_tied=values.flag("tie_word_embeddings", family.is_tied),
        is_gated_mlp=family.is_gated_mlp,
        has_qkv_bias=has_bias if family.has_layer_norm else qkv_bias,
        has_o_bias=has_bias if family.has_layer_norm else family.qkv_bias == "config" and qkv_bias,
        has_mlp_bias=(
            has_bias
            if family.has_layer_norm
            else values.flag("mlp_bias", False) if family.mlp_bias == "config" else family.mlp_bias
        ),
        has_qk_norm=family.has_qk_norm,
        norms_per_layer=family.norms_per_layer,
        has_norm_bias=family.has_layer_norm,
        has_final_norm=not family.has_layer_norm or values.flag("do_layer_norm_before", True),
        position_rows=positions + 2 if family.has_position_table else 0,
        embedding_size=None if embedding == hidden else embedding,
        windows=_windows(values, family, layers),
        moe=_moe(values),
        mla=_mla(values),
        quantization=read_quantization(values),
        guesses=tuple(guesses),
    )  # fmt: skip


def _kv_heads(values: Values, heads: int, kv_heads: int) -> int:
    if heads % kv_heads and not values.problems:
        divisors = ", ".join(str(n) for n in range(1, heads + 1) if heads % n == 0)
        values.wrong("num_key_value_heads", f"{kv_heads} doesn't divide {heads} attention heads", f"one of {divisors}")
        return heads
    return kv_heads


def _head_dim(values: Values, family: Family, hidden: int, heads: int) -> int:
    if values.config.get("head_dim") is not None:
        return values.count("head_dim", most=8192)
    if family.head_dim is not None:
        return family.head_dim
    if hidden % heads and not values.problems:
        values.wrong("num_attention_heads", f"{heads} doesn't divide hidden_size {hidden}", "or give head_dim")
    return max(1, hidden // heads)


def _dtype(values: Values) -> str:
    # transformers 5 writes `dtype`, earlier ones `torch_dtype`; without either vLLM takes float32 and downcasts it.
    for name in ("dtype", "torch_dtype"):
        value = values.config.get(name)
        if isinstance(value, str):
            plain = value.removeprefix("torch.")
            if plain not in _DTYPES:
                values.wrong(name, f"{value!r} is not a weight type", f"one of {', '.join(_DTYPES)}")
            return plain
    return "float32"


def _scaled_positions(values: Values, positions: int, model_type: str) -> int:
    """The model's longest context. vLLM multiplies by a rope factor only for types that leave the key unscaled."""
    rope = values.config.get("rope_parameters") or values.config.get("rope_scaling")
    if not isinstance(rope, Mapping) or "gemma3" in model_type:
        return positions
    kind = rope.get("rope_type", rope.get("type"))
    factor = rope.get("factor")
    if kind in ("linear", "dynamic") and isinstance(factor, (int, float)) and factor >= 1:
        return int(positions * factor)
    return positions


def _default_len(values: Values) -> int | None:
    """What vLLM serves unasked where that is less than the model's longest: the unstretched length of LongRoPE."""
    rope = values.config.get("rope_parameters") or values.config.get("rope_scaling")
    if not isinstance(rope, Mapping) or rope.get("rope_type", rope.get("type")) not in ("longrope", "su"):
        return None
    return values.optional_count("original_max_position_embeddings")


def _windows(values: Values, family: Family, layers: int) -> tuple[int | None, ...]:
    """Each layer's window, as vLLM builds it: `layer_types` first, then the family's pattern, else all alike."""
    window = values.optional_count("sliding_window")
    if window is None and "sliding_window" not in values.config:
        window = family.window
    if window is None or (family.needs_use_sliding_window and not values.flag("use_sliding_window", False)):
        return ()
    types = values.config.get("layer_types")
    if isinstance(types, list):
        if len(types) != layers:
            values.wrong("layer_types", f"{len(types)} entries for {layers} layers", "one entry a layer")
        return tuple(window if one == "sliding_attention" else None for one in types)
    if family.needs_use_sliding_window:
        first = values.count("max_window_layers", default=layers)
        return tuple(window if layer >= first else None for layer in range(layers))
    pattern = values.count("sliding_window_pattern", default=family.window_pattern) if family.window_pattern else 0
    if pattern:
        return tuple(None if (layer + 1) % pattern == 0 else window for layer in range(layers))
    return (window,) * layers


def _moe(values: Values) -> Moe | None:
    experts = values.optional_count("num_local_experts", "num_experts", "n_routed_experts")
    if experts is None or experts == 1:
        return None
    width = values.count("moe_intermediate_size", "intermediate_size")
    shared = values.optional_count("shared_expert_intermediate_size")
    return Moe(
        num_experts=experts,
        experts_per_token=values.count("num_experts_per_tok", default=2, most=experts),
        intermediate_size=width,
        shared_intermediate_size=shared or width * (values.optional_count("n_shared_experts") or 0),
        has_shared_gate=shared is not None,
        has_router_bias=values.config.get("topk_method") == "noaux_tc",
        first_dense=values.optional_count("first_k_dense_replace") or 0,
        every=values.count("moe_layer_freq", "decoder_sparse_step", default=1),
    )


def _mla(values: Values) -> Mla | None:
    if values.config.get("kv_lora_rank") is None:
        return None
    return Mla(
        kv_lora_rank=values.count("kv_lora_rank"),
        q_lora_rank=values.optional_count("q_lora_rank"),
        qk_nope_head_dim=values.count("qk_nope_head_dim"),
        qk_rope_head_dim=values.count("qk_rope_head_dim"),
        v_head_dim=values.count("v_head_dim"),
    )
