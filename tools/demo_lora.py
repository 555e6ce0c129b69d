"""A LoRA adapter in PEFT's layout, with random weights in both halves: unlike a fresh one it changes what is said."""

from __future__ import annotations

from typing import Any

import torch
from demo_weights import Shape, projections

# Large enough that a greedy answer turns: alpha / rank times B A comes to about the spread of the weights themselves.
STD = 0.07
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


def adapter_config(rank: int) -> dict[str, Any]:
    """The adapter's `adapter_config.json`."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "../base",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "target_modules": list(TARGETS),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "modules_to_save": None,
        "use_dora": False,
        "use_rslora": False,
    }


def adapter_weights(shape: Shape, rank: int) -> dict[str, torch.Tensor]:
    """A (rank × inputs) and B (outputs × rank) of every attention projection, bfloat16."""
    generator = torch.Generator().manual_seed(shape.seed)

    def normal(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=generator) * STD).bfloat16()

    tensors = {}
    for layer in range(shape.layers):
        for name, (outputs, inputs) in projections(shape).items():
            if name.endswith(TARGETS):
                prefix = f"base_model.model.model.layers.{layer}.{name}"
                tensors[f"{prefix}.lora_A.weight"] = normal(rank, inputs)
                tensors[f"{prefix}.lora_B.weight"] = normal(outputs, rank)
    return tensors
