"""An engine's arguments with vLLM's defaults filled in, as far as they decide memory. Wrong values are named here.

Defaults: vLLM 0.33's `EngineArgs.get_batch_defaults` and `CacheConfig`; older versions where they differ (docs A, D).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vbench.planner.assumptions import DEFAULT_UTILIZATION, HYBRID_CACHE, is_async_by_default
from vbench.planner.budget import Budget, Version
from vbench.planner.families import FLOAT16_REFUSED
from vbench.planner.shape import ModelShape
from vbench.planner.weights import DTYPE_BYTES, Placement
from vbench.spec.suggest import did_you_mean
from vbench.units import GIB

_DEFAULT_UTILIZATION, _OLD_UTILIZATION = 0.92, 0.9
AUTO_LEN = -1  # vLLM's `max_model_len=-1` (and `auto`): as long as fits
_BIG_GPU_BYTES, _HUGE_GPU_BYTES = 70 * GIB, 160 * GIB


class SettingsError(ValueError):
    """An engine argument whose value can't be; the message names the argument and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceVariable:
    """An environment variable that gives the KV space, before any argument: vLLM's CPU backend has one."""

    name: str
    gib: int
    """As it is set: whole GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments that decide memory, resolved."""

    dtype: str
    kv_dtype: str
    block_size: int
    placement: Placement
    replicas: int
    gpu_memory_utilization: float
    kv_cache_memory_bytes: int | None
    """As given by the argument, or by `space_variable`."""
    space_variable: SpaceVariable | None = None
    num_gpu_blocks_override: int | None
    max_model_len: int
    """AUTO_LEN when the engine shall choose it."""
    max_num_batched_tokens: int
    max_num_seqs: int
    is_eager: bool
    is_hybrid_cache: bool
    """Whether sliding layers free what has left their window (vLLM's hybrid KV cache manager)."""
    max_in_flight_tokens: int
    quantization: str | None
    has_draft_model: bool
    num_speculative_tokens: int

    @property
    def is_pool_given(self) -> bool:
        """Whether the configuration fixes the KV space itself."""
        return self.kv_cache_memory_bytes is not None or self.num_gpu_blocks_override is not None

    @property
    def num_gpus(self) -> int:
        """GPUs of all replicas."""
        return self.placement.num_gpus * self.replicas


def resolve(
    config: Mapping[str, Any], shape: ModelShape, budget: Budget, version: Version,
    space_variable: SpaceVariable | None = None,
) -> Settings:  # fmt: skip
    """Raises SettingsError for a value that can't be. Doesn't judge whether the values go together: `rules` does."""
    placement = Placement(
        tensor_parallel_size=_count(config, "tensor_parallel_size", 1),
        pipeline_parallel_size=_count(config, "pipeline_parallel_size", 1),
    )
    default_tokens, default_seqs = _batch_defaults(budget, placement.num_gpus, str(config.get("mode", "offline")))
    length = _max_model_len(config, shape)
    longest = shape.max_positions if length == AUTO_LEN else length
    seqs = _count(config, "max_num_seqs", default_seqs)
    tokens = _count(config, "max_num_batched_tokens", min(default_tokens, seqs * longest))
    speculative = config.get("speculative_config")
    speculative = speculative if isinstance(speculative, Mapping) else {}
    space = _optional_count(config, "kv_cache_memory_bytes")
    utilization = _DEFAULT_UTILIZATION if DEFAULT_UTILIZATION.holds(version) else _OLD_UTILIZATION
    return Settings(
        dtype=resolve_dtype(config, shape, budget),
        kv_dtype=str(config.get("kv_cache_dtype") or "auto"),
        block_size=_count(config, "block_size", _default_block_size(shape, budget)),
        placement=placement,
        replicas=_count(config, "replicas", 1),
        gpu_memory_utilization=_fraction(config, utilization),
        kv_cache_memory_bytes=space if space_variable is None else space_variable.gib * GIB,
        space_variable=space_variable,
        num_gpu_blocks_override=_optional_count(config, "num_gpu_blocks_override"),
        max_model_len=length,
        max_num_batched_tokens=tokens,
        max_num_seqs=min(seqs, tokens) if config.get("max_num_seqs") is None else seqs,
        is_eager=config.get("enforce_eager") is True or budget.is_cpu,
        is_hybrid_cache=config.get("disable_hybrid_kv_cache_manager") is not True and HYBRID_CACHE.holds(version),
        max_in_flight_tokens=tokens * _batches_in_flight(config, speculative, budget, placement, version),
        quantization=_quantization(config),
        has_draft_model=speculative.get("model") is not None and speculative.get("method") != "ngram",
        num_speculative_tokens=_count(speculative, "num_speculative_tokens", 1) if speculative else 0,
    )  # fmt: skip


def resolve_dtype(config: Mapping[str, Any], shape: ModelShape, budget: Budget) -> str:
    """The type that weights and activations get. `auto` is the checkpoint's; a float32 checkpoint is downcast, and
    what a card can't do becomes float16, or float32 for models that refuse that (vLLM's `_resolve_auto_dtype`)."""
    wanted = config.get("dtype") or "auto"
    if wanted in DTYPE_BYTES:
        return {"half": "float16", "float": "float32"}.get(str(wanted), str(wanted))
    if wanted != "auto":
        hint = did_you_mean(str(wanted), ["auto", *DTYPE_BYTES])
        raise SettingsError(
            f"dtype {wanted!r} is not one of auto, {', '.join(DTYPE_BYTES)}" + (f": {hint}" * bool(hint))
        )
    preferred = ["bfloat16", "float16", "float32"] if has_bfloat16(budget) else ["float16", "float32"]
    if shape.model_type in FLOAT16_REFUSED:
        preferred.remove("float16")
    return preferred[0] if shape.dtype == "float32" or shape.dtype not in preferred else shape.dtype


def has_bfloat16(budget: Budget) -> bool:
    """From compute capability 8.0 on; a card of unknown capability is taken to have it."""
    return budget.is_cpu or budget.compute_capability is None or budget.compute_capability >= (8, 0)


def _batch_defaults(budget: Budget, world_size: int, mode: str) -> tuple[int, int]:
    """max_num_batched_tokens and max_num_seqs: vLLM's depend on how it is called (its `UsageContext`)."""
    if mode == "async":
        return 2048, 128  # SchedulerConfig's own: AsyncLLM is neither the LLM class nor the server
    is_server = mode == "server"
    if budget.is_cpu:
        return (2048 if is_server else 4096) * world_size, (128 if is_server else 256) * world_size
    if budget.visible_bytes >= _HUGE_GPU_BYTES:
        return 16384, 1024
    if budget.visible_bytes >= _BIG_GPU_BYTES and "a100" not in budget.name.lower():
        return 8192 if is_server else 16384, 1024
    return 2048 if is_server else 8192, 256


def _default_block_size(shape: ModelShape, budget: Budget) -> int:
    return 128 if budget.is_cpu and shape.mla is None else 16


def _batches_in_flight(
    config: Mapping[str, Any], speculative: Mapping[str, Any], budget: Budget, placement: Placement, version: Version
) -> int:
    """Asynchronous scheduling, the default of newer versions on GPUs, keeps one batch more in flight."""
    chosen = config.get("async_scheduling")
    is_default = chosen is None and is_async_by_default(speculative, budget, version)
    is_async = is_default or (bool(chosen) and not budget.is_cpu)
    return placement.pipeline_parallel_size + int(is_async)


def _max_model_len(config: Mapping[str, Any], shape: ModelShape) -> int:
    value = config.get("max_model_len")
    if value is None:
        return shape.default_len or shape.max_positions
    return AUTO_LEN if value in (-1, "auto") else _count(config, "max_model_len", 1)


def _quantization(config: Mapping[str, Any]) -> str | None:
    value = config.get("quantization")
    return None if value in (None, "", "none", "None") else str(value)


def _count(config: Mapping[str, Any], name: str, default: int) -> int:
    value = config.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**53:
        raise SettingsError(f"{name} {value!r} is not a whole number of at least 1")
    return value


def _optional_count(config: Mapping[str, Any], name: str) -> int | None:
    return None if config.get(name) is None else _count(config, name, 1)


def _fraction(config: Mapping[str, Any], default: float) -> float:
    value = config.get("gpu_memory_utilization")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise SettingsError(f"gpu_memory_utilization {value!r} is not above 0 and at most 1: 0.9 is usual")
    return float(value)
