"""How much a model computes and reads, from its shape: what a report needs to say how near a trial came to what its
hardware could do (`analysis.roofline`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from vbench.planner.parameters import Matrix, matrices
from vbench.planner.shape import ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Of the whole model, before any parallelism."""

    num_parameters: int
    """All of them."""
    layer_parameters: int
    """Of the matrices in the layers that one token is multiplied with: of experts, only the chosen ones."""
    head_parameters: int
    """Of the output head, which only positions that are sampled from go through."""
    attention_widths: tuple[tuple[int | None, int], ...]
    """Layers × query heads × head size, by sliding window (None: full attention). One query and one key of a layer
    cost 4 FLOPs for each of its heads' elements: a multiply and an add for QKᵀ, and for the sum over values."""

    def as_json(self) -> dict[str, Any]:
        """Plain data, lists where JSON has no tuples."""
        return {**asdict(self), "attention_widths": [list(pair) for pair in self.attention_widths]}


@lru_cache(maxsize=256)
def work_of(shape: ModelShape) -> Work:
    """Parameters are those of `planner.parameters`: 2 FLOPs for each that a token meets (a multiply and an add)."""
    every = matrices(shape)
    layers = sum(_met(one, shape) for one in every if one.layer is not None and one.part != "norms")
    heads = [one for one in every if one.part == "lm_head"] or [one for one in every if one.name == "embed_tokens"]
    widths: dict[int | None, int] = {}
    for window in shape.layer_windows:
        widths[window] = widths.get(window, 0) + shape.num_heads * _head_size(shape)
    return Work(
        num_parameters=sum(one.elements for one in every),
        layer_parameters=layers,
        head_parameters=sum(one.outputs * one.inputs for one in heads),
        attention_widths=tuple(widths.items()),
    )


def _met(matrix: Matrix, shape: ModelShape) -> int:
    """Elements that one token is multiplied with."""
    one_copy = matrix.outputs * matrix.inputs
    if matrix.copies == 1 or shape.moe is None:
        return matrix.copies * one_copy
    return min(matrix.copies, shape.moe.experts_per_token) * one_copy


def _head_size(shape: ModelShape) -> int:
    """Of queries and values on average: they differ in latent attention."""
    mla = shape.mla
    if mla is None:
        return shape.head_dim
    return (mla.qk_nope_head_dim + mla.qk_rope_head_dim + mla.v_head_dim) // 2
