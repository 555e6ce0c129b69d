"""A Llama with random weights: its shape, its `config.json` and its tensors, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

# Llama's own 0.02 makes so shallow a model repeat one token for ever; from about 0.04 on it hardly repeats anything.
INITIAL_STD = 0.03
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a Llama. `intermediate` and `hidden` must be multiples of the quantization group."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocab: int
    max_positions: int = 2048
    seed: int = 0
    drawn_layers: int = 0
    """Layers to draw where more are drawn than kept: a model of `layers` layers with the embedding, the head and the
    first layers of a deeper one, which guesses some of that one's tokens."""

    @property
    def head_dim(self) -> int:
        """Numbers per attention head."""
        return self.hidden // self.heads


def llama_config(shape: Shape, dtype: str = "bfloat16") -> dict[str, Any]:
    """The model's `config.json`. `torch_dtype` and `rope_theta` are spelled for Transformers 4 as well as 5."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.max_positions,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "initializer_range": INITIAL_STD,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": dtype,
        "torch_dtype": dtype,
    }


def projections(shape: Shape) -> dict[str, tuple[int, int]]:
    """The linear layers of one decoder layer, which quantization packs: name → (outputs, inputs)."""
    kv = shape.kv_heads * shape.head_dim
    return {
        "self_attn.q_proj": (shape.hidden, shape.hidden),
        "self_attn.k_proj": (kv, shape.hidden),
        "self_attn.v_proj": (kv, shape.hidden),
        "self_attn.o_proj": (shape.hidden, shape.hidden),
        "mlp.gate_proj": (shape.intermediate, shape.hidden),
        "mlp.up_proj": (shape.intermediate, shape.hidden),
        "mlp.down_proj": (shape.hidden, shape.intermediate),
    }


def random_weights(shape: Shape) -> Tensors:
    """Every tensor of the checkpoint by name, bfloat16; norms are ones, the rest normal."""
    generator = torch.Generator().manual_seed(shape.seed)

    def normal(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=generator) * INITIAL_STD).bfloat16()

    ones = torch.ones(shape.hidden, dtype=torch.bfloat16)
    tensors = {"model.embed_tokens.weight": normal(shape.vocab, shape.hidden)}
    for layer in range(max(shape.layers, shape.drawn_layers)):
        prefix = f"model.layers.{layer}."
        drawn = {f"{prefix}{name}.weight": normal(*size) for name, size in projections(shape).items()}
        if layer >= shape.layers:
            continue
        tensors.update(drawn)
        tensors[f"{prefix}input_layernorm.weight"] = ones.clone()
        tensors[f"{prefix}post_attention_layernorm.weight"] = ones.clone()
    tensors["model.norm.weight"] = ones.clone()
    tensors["lm_head.weight"] = normal(shape.vocab, shape.hidden)
    return tensors
