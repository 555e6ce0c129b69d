"""A checkpoint's `quantization_config`: method, bits and group size, whatever tool wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vbench.planner.config_values import Values
from vbench.planner.shape import Quantization

_BITS = {"squeezellm": 4, "fp8": 8, "fbgemm_fp8": 8, "mxfp4": 4, "marlin": 4}


def read_quantization(values: Values) -> Quantization | None:
    """None when the checkpoint isn't quantized."""
    config = values.config.get("quantization_config") or values.config.get("compression_config")
    if not isinstance(config, Mapping):
        return None
    method = str(config.get("quant_method", "")).lower()
    if not method:
        values.wrong("quantization_config.quant_method", "isn't there", "awq, gptq, compressed-tensors, fp8, …")
        return None
    if method == "compressed-tensors":
        return _compressed_tensors(values, config)
    if method == "bitsandbytes":
        return Quantization(method=method, bits=8 if config.get("load_in_8bit") else 4, group_size=64)
    inner = Values(config)
    bits = inner.count("bits", "w_bit", "wbits", default=_BITS.get(method, 4), most=16)
    group = config.get("group_size", config.get("q_group_size"))
    is_gptq = method.startswith("gptq")
    values.problems += inner.problems
    return Quantization(
        method=method,
        bits=bits,
        group_size=_group(values, group) if bits < 8 or is_gptq else None,
        has_zero_points=is_gptq or bool(config.get("zero_point", method == "awq")),
        has_group_index=is_gptq and config.get("desc_act") is True,
        quantizes_lm_head=config.get("lm_head") is True,
    )


def _compressed_tensors(values: Values, config: Mapping[str, Any]) -> Quantization:
    # One scheme for all linear layers in what the usual tools write; with several, the first stands for all.
    groups = config.get("config_groups")
    first: Any = next(iter(groups.values()), {}) if isinstance(groups, Mapping) else {}
    weights = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        values.wrong(
            "quantization_config.config_groups", "says nothing of weights", "fetch the checkpoint's config again"
        )
        return Quantization(method="compressed-tensors", bits=8)
    inner = Values(weights)
    bits = inner.count("num_bits", most=16)
    values.problems += inner.problems
    ignored = config.get("ignore")
    return Quantization(
        method="compressed-tensors",
        bits=bits,
        group_size=_group(values, weights.get("group_size")) if weights.get("strategy") == "group" else None,
        has_zero_points=weights.get("symmetric") is False,
        quantizes_lm_head=isinstance(ignored, list) and "lm_head" not in ignored and _targets_head(first),
    )


def _targets_head(group: Mapping[str, Any]) -> bool:
    targets = group.get("targets")
    return isinstance(targets, list) and "lm_head" in targets


def _group(values: Values, size: object) -> int | None:
    if size is None or size == -1:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        values.wrong("quantization_config.group_size", f"{size!r} is not a group size", "-1, 32, 64 or 128")
        return None
    return size
