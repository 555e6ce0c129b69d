"""Checkpoints in the compressed-tensors layouts, as llm-compressor writes them: INT8 W8A8 and 4-bit W4A16.

A projection's weight stays outputs × inputs, in bfloat16 steps. W8A8 keeps one int8 for each number and one scale for
each output, and the engine quantizes activations per token while it runs. W4A16 packs eight numbers, 8 added to each,
along the inputs into an int32, with one scale for each group of inputs.
"""

from __future__ import annotations

from typing import Any

import torch

GROUP_SIZE = 128
Tensors = dict[str, torch.Tensor]


def w8a8(weights: Tensors) -> tuple[Tensors, dict[str, Any]]:
    """The weights as int8 per output, and the `quantization_config` that says so."""
    activations = {**_scheme(8, "token"), "dynamic": True, "observer": None}
    config = _config("int-quantized", weights=_scheme(8, "channel"), activations=activations)
    return _converted(weights, _int8_tensors), config


def w4a16(weights: Tensors) -> tuple[Tensors, dict[str, Any]]:
    """The weights packed to 4 bits in groups, and the `quantization_config` that says so."""
    config = _config("pack-quantized", weights={**_scheme(4, "group"), "group_size": GROUP_SIZE}, activations=None)
    return _converted(weights, _int4_tensors), config


def _converted(weights: Tensors, convert: Any) -> Tensors:
    tensors: Tensors = {}
    for name, weight in weights.items():
        parts = convert(weight.float()) if name.endswith("_proj.weight") else {"weight": weight}
        tensors.update({f"{name.removesuffix('weight')}{part}": tensor for part, tensor in parts.items()})
    return tensors


def _int8_tensors(weight: torch.Tensor) -> Tensors:
    scale = _scale(weight.abs().amax(1, keepdim=True), most=127)
    levels = (weight / scale).round().clamp(-127, 127)
    return {"weight": levels.to(torch.int8), "weight_scale": scale.bfloat16()}


def _int4_tensors(weight: torch.Tensor) -> Tensors:
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // GROUP_SIZE, GROUP_SIZE)
    scale = _scale(groups.abs().amax(2), most=7)
    levels = ((groups / scale[:, :, None]).round().clamp(-8, 7) + 8).to(torch.int64)
    eights = levels.reshape(rows, columns // 8, 8)
    packed = sum((eights[..., nibble] << (4 * nibble) for nibble in range(8)), torch.zeros((), dtype=torch.int64))
    return {
        "weight_packed": packed.to(torch.int32).contiguous(),
        "weight_scale": scale.bfloat16(),
        "weight_shape": torch.tensor([rows, columns], dtype=torch.int64),
    }


def _scale(largest: torch.Tensor, most: int) -> torch.Tensor:
    """The step as bfloat16 will hold it; where that rounds it down, the extremes miss by a quarter of a step."""
    return (largest.clamp(min=1e-6) / most).bfloat16().float()


def _scheme(bits: int, strategy: str) -> dict[str, Any]:
    return {
        "actorder": None,
        "block_structure": None,
        "dynamic": False,
        "group_size": None,
        "num_bits": bits,
        "observer": "minmax",
        "observer_kwargs": {},
        "strategy": strategy,
        "symmetric": True,
        "type": "int",
    }


def _config(layout: str, *, weights: dict[str, Any], activations: dict[str, Any] | None) -> dict[str, Any]:
    group = {
        "input_activations": activations,
        "output_activations": None,
        "targets": ["Linear"],
        "weights": weights,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": layout,
        "quantization_status": "compressed",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }
