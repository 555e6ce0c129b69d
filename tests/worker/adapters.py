"""LoRA adapters for the tiny model, written without an engine."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def write_adapter(folder: Path, base: Path, seed: int) -> Path:
    """A LoRA of rank 8 on each layer's output projection, in the layout that PEFT saves."""
    config = json.loads((base / "config.json").read_text())
    hidden, rank = int(config["hidden_size"]), 8
    tensors: dict[str, tuple[list[int], bytes]] = {}
    for layer in range(int(config["num_hidden_layers"])):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        values = [((index * 7919 + seed * 104729 + layer) % 17 - 8) / 8 for index in range(hidden * rank)]
        packed = struct.pack(f"<{len(values)}f", *values)
        tensors[f"{name}.lora_A.weight"] = ([rank, hidden], packed)
        tensors[f"{name}.lora_B.weight"] = ([hidden, rank], packed)
    header: dict[str, Any] = {}
    start = 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, start + len(data)]}
        start += len(data)
    folder.mkdir()
    text = json.dumps(header).encode()
    body = b"".join(data for _, data in tensors.values())
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, "target_modules": ["o_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps({**settings, "base_model_name_or_path": str(base)}))
    return folder
