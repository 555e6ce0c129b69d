"""Settings that contradict each other, the model or the number of GPUs: one sentence each. vLLM's own checks, without
starting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vbench.planner.budget import SEEN_AFTER_0_11, Budget, Version
from vbench.planner.settings import AUTO_LEN, Settings
from vbench.planner.shape import ModelShape


def contradiction(
    config: Mapping[str, Any], shape: ModelShape, settings: Settings, budget: Budget, version: Version
) -> str | None:
    """The first contradiction with what to change, or None."""
    return (
        _parallelism(shape, settings, budget)
        or _lengths(config, shape, settings)
        or _quantized_checkpoint(config, shape)
        or _speculation(config)
        or _arguments(config, version)
    )


def _parallelism(shape: ModelShape, settings: Settings, budget: Budget) -> str | None:
    ranks, stages = settings.placement.tensor_parallel_size, settings.placement.pipeline_parallel_size
    if shape.num_heads % ranks:
        fitting = [n for n in range(1, ranks) if shape.num_heads % n == 0]
        return (
            f"{shape.num_heads} attention heads can't be divided by tensor_parallel_size {ranks}: "
            f"use {' or '.join(map(str, fitting[-2:]))}"
        )
    if max(shape.num_kv_heads, ranks) % min(shape.num_kv_heads, ranks):
        return f"{shape.num_kv_heads} KV heads can't be spread over tensor_parallel_size {ranks}"
    if stages > shape.num_layers:
        return f"pipeline_parallel_size {stages} is more than the model's {shape.num_layers} layers"
    if settings.num_gpus > budget.num_gpus and not budget.is_cpu:
        there = "there is 1 GPU" if budget.num_gpus == 1 else f"there are {budget.num_gpus} GPUs"
        return f"it takes {settings.num_gpus} GPUs (tensor × pipeline × replicas) and {there}"
    return None


def _lengths(config: Mapping[str, Any], shape: ModelShape, settings: Settings) -> str | None:
    length, tokens = settings.max_model_len, settings.max_num_batched_tokens
    if length != AUTO_LEN and length > shape.max_positions:
        return f"max_model_len {length:,} is more than the model's own {shape.max_positions:,}"
    if tokens < settings.max_num_seqs:
        return f"max_num_batched_tokens {tokens:,} is less than max_num_seqs {settings.max_num_seqs:,}: raise it"
    if config.get("enable_chunked_prefill") is False and AUTO_LEN != length > tokens:
        return f"without chunked prefill max_num_batched_tokens must be at least max_model_len {length:,}"
    return None


_NEEDS_CHECKPOINT = {"awq", "awq_marlin", "auto_awq", "gptq", "gptq_marlin", "auto_gptq", "squeezellm", "marlin"}


def _quantized_checkpoint(config: Mapping[str, Any], shape: ModelShape) -> str | None:
    """An offline method's name beside a checkpoint of another one (vLLM: "does not match the … argument")."""
    name = config.get("quantization")
    if not isinstance(name, str) or name not in _NEEDS_CHECKPOINT or shape.quantization is None:
        return None
    stored = shape.quantization.method
    if _family(name) == _family(stored):
        return None
    return f"the checkpoint is quantized as {stored}, not {name}: leave `quantization` out, or name a fitting model"


def plain_checkpoint(config: Mapping[str, Any], shape: ModelShape) -> str | None:
    """An offline method's name beside a checkpoint that is known not to be quantized (vLLM: "Cannot find the config
    file for awq"). Apart from `contradiction`, as a remedy may well name another checkpoint."""
    name = config.get("quantization")
    if shape.quantization is not None or name not in _NEEDS_CHECKPOINT:
        return None
    return f"the checkpoint isn't quantized: name one that is for {name} (`{_family(str(name))}: {{model: …}}`)"


def _family(name: str) -> str:
    return name.removeprefix("auto_").removesuffix("_marlin")


def _speculation(config: Mapping[str, Any]) -> str | None:
    speculative = config.get("speculative_config")
    if not isinstance(speculative, Mapping):
        return None
    if speculative.get("num_speculative_tokens") is None and speculative.get("method") not in ("suffix", "mtp"):
        return "speculative_config lacks num_speculative_tokens"
    if speculative.get("method") == "draft_model" and speculative.get("model") is None:
        return "speculative_config of method draft_model lacks its model"
    return None


def _arguments(config: Mapping[str, Any], version: Version) -> str | None:
    if config.get("kv_cache_memory_bytes") is not None and version < (0, 10, 2):
        return "kv_cache_memory_bytes came with vLLM 0.10.2: use gpu_memory_utilization"
    if config.get("max_model_len") in (-1, "auto") and version < SEEN_AFTER_0_11:
        return "max_model_len -1 (as long as fits) isn't in this vLLM: give a number"
    return None
