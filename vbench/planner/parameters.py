"""A shape's parameters by named part, as the matrices and vectors that vLLM builds and how it splits each over ranks.

Everything is in elements, not bytes; `weights` gives them a width. Exact for the families of `families`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from vbench.planner.shape import Mla, ModelShape, Moe

VOCAB_PADDING = 64  # vLLM's DEFAULT_VOCAB_PADDING_SIZE


class Split(StrEnum):
    """How tensor parallelism divides a matrix (vLLM's linear layer classes)."""

    COLUMN = "column"
    """By output, bias too."""
    ROW = "row"
    """By input; every rank keeps the whole bias."""
    KV_HEADS = "kv_heads"
    """By output, whole heads; with fewer heads than ranks each rank keeps one."""
    VOCAB = "vocab"
    """By output, padded to a multiple of 64 rows first."""
    WHOLE = "whole"
    """Every rank keeps all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """`copies` of an `outputs × inputs` weight. `layer` is None for what stands outside the layers."""

    part: str
    name: str
    outputs: int
    inputs: int
    split: Split
    layer: int | None = None
    copies: int = 1
    has_bias: bool = False
    is_linear: bool = True
    """Quantization methods change linear layers only: not embeddings, norms or routers."""
    head_size: int = 1
    """Rows of one KV head, for `KV_HEADS`."""

    @property
    def elements(self) -> int:
        """Of all copies, biases included, before any split or padding."""
        return self.copies * (self.outputs * self.inputs + (self.outputs if self.has_bias else 0))


@lru_cache(maxsize=256)
def matrices(shape: ModelShape) -> tuple[Matrix, ...]:
    """Every parameter of the model."""
    found = [*_outside(shape)]
    for layer in range(shape.num_layers):
        found += _attention(shape, layer) if shape.mla is None else _latent_attention(shape, shape.mla, layer)
        found += _mlp(shape, layer)
        found += _norms(shape, layer)
    return tuple(found)


def parameter_counts(shape: ModelShape) -> dict[str, int]:
    """Parameters by part: embedding, lm_head, attention, mlp, experts, norms. Their sum is the model's size."""
    counts: dict[str, int] = {}
    for matrix in matrices(shape):
        counts[matrix.part] = counts.get(matrix.part, 0) + matrix.elements
    return counts


def _outside(shape: ModelShape) -> Iterator[Matrix]:
    width = shape.embedding_size or shape.hidden_size
    yield Matrix(part="embedding", name="embed_tokens", outputs=shape.vocab_size, inputs=width, split=Split.VOCAB,
                 is_linear=False)  # fmt: skip
    if not shape.is_tied:
        yield Matrix(part="lm_head", name="lm_head", outputs=shape.vocab_size, inputs=width, split=Split.VOCAB)
    if shape.position_rows:
        yield _vector("embedding", "embed_positions", shape.position_rows * shape.hidden_size, None)
    if width != shape.hidden_size:
        yield Matrix(part="embedding", name="project_in", outputs=shape.hidden_size, inputs=width, split=Split.WHOLE)
        yield Matrix(part="embedding", name="project_out", outputs=width, inputs=shape.hidden_size, split=Split.WHOLE)
    if shape.has_final_norm:
        yield _vector("norms", "norm", _norm_size(shape), None)


def _attention(shape: ModelShape, layer: int) -> Iterator[Matrix]:
    heads, kv = shape.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
    bias = shape.has_qkv_bias
    yield Matrix(part="attention", name="q_proj", outputs=heads, inputs=shape.hidden_size, split=Split.COLUMN,
                 layer=layer, has_bias=bias)  # fmt: skip
    for name in ("k_proj", "v_proj"):
        yield Matrix(part="attention", name=name, outputs=kv, inputs=shape.hidden_size, split=Split.KV_HEADS,
                     layer=layer, has_bias=bias, head_size=shape.head_dim)  # fmt: skip
    yield Matrix(part="attention", name="o_proj", outputs=shape.hidden_size, inputs=heads, split=Split.ROW,
                 layer=layer, has_bias=shape.has_o_bias)  # fmt: skip


def _latent_attention(shape: ModelShape, mla: Mla, layer: int) -> Iterator[Matrix]:
    """DeepSeek V2/V3: down-projections whole on every rank, up-projections by head."""

    def linear(name: str, outputs: int, inputs: int, split: Split) -> Matrix:
        return Matrix(part="attention", name=name, outputs=outputs, inputs=inputs, split=split, layer=layer)

    queries = shape.num_heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    if mla.q_lora_rank is None:
        yield linear("q_proj", queries, shape.hidden_size, Split.COLUMN)
    else:
        yield linear("q_a_proj", mla.q_lora_rank, shape.hidden_size, Split.WHOLE)
        yield _vector("norms", "q_a_layernorm", mla.q_lora_rank, layer)
        yield linear("q_b_proj", queries, mla.q_lora_rank, Split.COLUMN)
    yield linear("kv_a_proj_with_mqa", mla.kv_lora_rank + mla.qk_rope_head_dim, shape.hidden_size, Split.WHOLE)
    yield _vector("norms", "kv_a_layernorm", mla.kv_lora_rank, layer)
    up = shape.num_heads * (mla.qk_nope_head_dim + mla.v_head_dim)
    yield linear("kv_b_proj", up, mla.kv_lora_rank, Split.COLUMN)
    yield linear("o_proj", shape.hidden_size, shape.num_heads * mla.v_head_dim, Split.ROW)


def _mlp(shape: ModelShape, layer: int) -> Iterator[Matrix]:
    moe = shape.moe
    if moe is None or not moe.is_sparse(layer):
        yield from _dense(shape, "mlp", shape.intermediate_size, layer, 1)
        return
    yield from _dense(shape, "experts", moe.intermediate_size, layer, moe.num_experts)
    yield from _shared(shape, moe, layer)
    yield Matrix(part="experts", name="gate", outputs=moe.num_experts, inputs=shape.hidden_size, split=Split.WHOLE,
                 layer=layer, is_linear=False)  # fmt: skip
    if moe.has_router_bias:
        yield _vector("experts", "e_score_correction_bias", moe.num_experts, layer)


def _shared(shape: ModelShape, moe: Moe, layer: int) -> Iterator[Matrix]:
    if moe.shared_intermediate_size:
        yield from _dense(shape, "experts", moe.shared_intermediate_size, layer, 1)
    if moe.has_shared_gate:
        yield _vector("experts", "shared_expert_gate", shape.hidden_size, layer)


def _dense(shape: ModelShape, part: str, width: int, layer: int, copies: int) -> Iterator[Matrix]:
    bias = shape.has_mlp_bias
    for name in ("gate_proj", "up_proj") if shape.is_gated_mlp else ("up_proj",):
        yield Matrix(part=part, name=name, outputs=width, inputs=shape.hidden_size, split=Split.COLUMN, layer=layer,
                     copies=copies, has_bias=bias)  # fmt: skip
    yield Matrix(part=part, name="down_proj", outputs=shape.hidden_size, inputs=width, split=Split.ROW, layer=layer,
                 copies=copies, has_bias=bias)  # fmt: skip


def _norms(shape: ModelShape, layer: int) -> Iterator[Matrix]:
    yield _vector("norms", "layernorms", shape.norms_per_layer * _norm_size(shape), layer)
    if shape.has_qk_norm:
        yield _vector("norms", "qk_norm", 2 * shape.head_dim, layer)


def _norm_size(shape: ModelShape) -> int:
    return shape.hidden_size * (2 if shape.has_norm_bias else 1)


def _vector(part: str, name: str, size: int, layer: int | None) -> Matrix:
    return Matrix(part=part, name=name, outputs=size, inputs=1, split=Split.WHOLE, layer=layer, is_linear=False)
