"""4-bit checkpoints in the AWQ and GPTQ layouts, rounded to nearest.

Real AWQ and GPTQ choose the rounding (and AWQ the scaling) by looking at activations; the layout on disk, and so the
kernels that run, are the same. Both store a weight transposed (inputs × outputs), eight 4-bit numbers to an int32, and
one float16 scale for each group of inputs and each output:

AWQ ("gemm" version)   weight = (q - z) * scale; q and z packed along the outputs, nibbles in the order of AWQ_ORDER
GPTQ (version 1)       weight = (q - z - 1) * scale; q packed along the inputs, z along the outputs, in plain order
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

GROUP_SIZE = 128
LEVELS = 16
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
PLAIN_ORDER = tuple(range(8))
Tensors = dict[str, torch.Tensor]


def awq(weights: Tensors) -> tuple[Tensors, dict[str, Any]]:
    """The weights in AWQ's layout, and the `quantization_config` that says so."""
    config = {"quant_method": "awq", "bits": 4, "group_size": GROUP_SIZE, "zero_point": True, "version": "gemm"}
    return _quantized(weights, _awq_tensors), config


def gptq(weights: Tensors) -> tuple[Tensors, dict[str, Any]]:
    """The weights in GPTQ's layout (symmetric, no activation order), and the `quantization_config` that says so."""
    config = {"quant_method": "gptq", "bits": 4, "group_size": GROUP_SIZE, "sym": True, "desc_act": False}
    return _quantized(weights, _gptq_tensors), config


def _quantized(weights: Tensors, convert: Callable[[torch.Tensor], Tensors]) -> Tensors:
    """Projections converted; embeddings, norms and the head in float16, the activation type of both formats."""
    tensors: Tensors = {}
    for name, weight in weights.items():
        if name.endswith("_proj.weight"):
            parts = convert(weight.float().t())
            tensors.update({name.removesuffix("weight") + part: tensor for part, tensor in parts.items()})
        else:
            tensors[name] = weight.half()
    return tensors


def _awq_tensors(weight: torch.Tensor) -> Tensors:
    """Zero point and scale from each group's smallest and largest weight; 0 stays representable."""
    groups = weight.reshape(-1, GROUP_SIZE, weight.shape[1])
    low, high = groups.amin(1).clamp(max=0), groups.amax(1).clamp(min=0)
    scale = _stored_scale((high - low) / (LEVELS - 1))
    zero = (-low / scale).round().clamp(0, LEVELS - 1)
    levels = (groups / scale[:, None] + zero[:, None]).round().clamp(0, LEVELS - 1).reshape(weight.shape)
    return {
        "qweight": _pack(levels, AWQ_ORDER, dim=1),
        "qzeros": _pack(zero, AWQ_ORDER, dim=1),
        "scales": scale.half(),
    }


def _gptq_tensors(weight: torch.Tensor) -> Tensors:
    """Scale from each group's largest magnitude; the zero point is 8, which version 1 stores as 7."""
    groups = weight.reshape(-1, GROUP_SIZE, weight.shape[1])
    middle = LEVELS // 2
    scale = _stored_scale(groups.abs().amax(1) / (middle - 1))
    levels = ((groups / scale[:, None]).round() + middle).clamp(0, LEVELS - 1).reshape(weight.shape)
    return {
        "qweight": _pack(levels, PLAIN_ORDER, dim=0),
        "qzeros": _pack(torch.full_like(scale, middle - 1), PLAIN_ORDER, dim=1),
        "scales": scale.half(),
        "g_idx": (torch.arange(weight.shape[0]) // GROUP_SIZE).to(torch.int32),
    }


def _stored_scale(scale: torch.Tensor) -> torch.Tensor:
    """The scale as float16 will hold it, rounded up: a smaller one would leave the extremes out of reach."""
    half = scale.clamp(min=1e-6).half()
    # The next larger positive float16 is the next integer of its bits.
    return (half.view(torch.int16) + (half.float() < scale)).view(torch.float16).float()


def _pack(levels: torch.Tensor, order: Sequence[int], dim: int) -> torch.Tensor:
    """Eight numbers below 16 into each int32 along `dim`; nibble i holds number `order[i]` of its eight."""
    last = levels.to(torch.int64).movedim(dim, -1)
    eights = last.reshape(*last.shape[:-1], -1, 8)
    packed = torch.zeros(eights.shape[:-1], dtype=torch.int64)
    for nibble, position in enumerate(order):
        packed |= eights[..., position] << (4 * nibble)
    return packed.to(torch.int32).movedim(-1, dim).contiguous()
