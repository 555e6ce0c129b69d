"""Cards and plans for the planner's tests."""

from __future__ import annotations

from typing import Any

from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import Budget, parse_version
from vbench.planner.shape import ModelShape
from vbench.planner.shape_reader import read_shape
from vbench.planner.shipped import shipped_shape
from vbench.planner.verdict import Plan, plan

GIB = 1024**3
T4_VISIBLE = 15_636_037_632  # 14.562 GiB, as Kaggle's driver 580 shows it


def t4(num_gpus: int = 1) -> Budget:
    """Kaggle's T4, or two of them."""
    return Budget(
        visible_bytes=T4_VISIBLE, nvml_bytes=15360 * 1024**2, num_gpus=num_gpus, compute_capability=(7, 5), name="T4"
    )


def rtx3090(num_gpus: int = 1) -> Budget:
    """A 3090, or several."""
    return Budget(
        visible_bytes=round(23.56 * GIB), num_gpus=num_gpus, compute_capability=(8, 6), name="RTX 3090"
    )  # fmt: skip


def cpu(visible_bytes: int = 8 * GIB) -> Budget:
    """A machine without a GPU."""
    return Budget(visible_bytes=visible_bytes, kind="cpu", name="cpu")


def plan_shape(shape: str, budget: Budget, version: str = "0.33.0", **config: Any) -> Plan:
    """Plan a shipped shape."""
    return plan(config, shipped_shape(shape), budget, EngineAbilities(version=parse_version(version)))


def shape_of(**config: Any) -> ModelShape:
    """A small llama's shape with some keys changed; a key set to None is as if absent."""
    base: dict[str, Any] = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 1000, "max_position_embeddings": 2048,
        "dtype": "float16",
    }  # fmt: skip
    shape = read_shape({**base, **config})
    assert isinstance(shape, ModelShape)
    return shape
