"""What a vLLM configuration says took effect, lever by lever: an accepted argument is not yet one that acts.

Works on the `VllmConfig` object of an engine in this process and on the nested dicts of a server's `/server_info`.
Source of the places: vLLM 0.32, `vllm/config/*.py`, with older homes after them. A field that a version doesn't have
is left out; one in a section that is off (no `lora_config`) is None.
"""

from __future__ import annotations

import enum
from typing import Any, Dict, List, Optional, Tuple

_MISSING = object()
# Fact → where it is, the newest place first.
_PLACES: Dict[str, Tuple[str, ...]] = {
    "dtype": ("model_config.dtype",),
    "quantization": ("model_config.quantization",),
    "max_model_len": ("model_config.max_model_len",),
    "enforce_eager": ("model_config.enforce_eager",),
    "seed": ("model_config.seed",),
    "load_format": ("load_config.load_format",),
    "block_size": ("cache_config.block_size",),
    "num_gpu_blocks": ("cache_config.num_gpu_blocks",),
    "kv_cache_dtype": ("cache_config.cache_dtype",),
    "kv_cache_memory_bytes": ("cache_config.kv_cache_memory_bytes",),
    "gpu_memory_utilization": ("cache_config.gpu_memory_utilization",),
    "enable_prefix_caching": ("cache_config.enable_prefix_caching",),
    "swap_space_bytes": ("cache_config.swap_space_bytes",),  # up to 0.11
    "swap_space": ("cache_config.swap_space",),
    "cpu_offload_gb": ("offload_config.uva.cpu_offload_gb", "cache_config.cpu_offload_gb"),
    "kv_offloading_size": ("cache_config.kv_offloading_size",),
    "max_num_seqs": ("scheduler_config.max_num_seqs",),
    "max_num_batched_tokens": ("scheduler_config.max_num_batched_tokens",),
    "scheduling_policy": ("scheduler_config.policy",),
    "enable_chunked_prefill": ("scheduler_config.enable_chunked_prefill", "scheduler_config.chunked_prefill_enabled"),
    "async_scheduling": ("scheduler_config.async_scheduling",),
    "stream_interval": ("scheduler_config.stream_interval",),
    "tensor_parallel_size": ("parallel_config.tensor_parallel_size",),
    "pipeline_parallel_size": ("parallel_config.pipeline_parallel_size",),
    "data_parallel_size": ("parallel_config.data_parallel_size",),
    "disable_custom_all_reduce": ("parallel_config.disable_custom_all_reduce",),
    "distributed_executor_backend": ("parallel_config.distributed_executor_backend",),
    "cudagraph_capture_sizes": ("compilation_config.cudagraph_capture_sizes",),
    "max_cudagraph_capture_size": (
        "compilation_config.max_cudagraph_capture_size",
        "compilation_config.max_capture_size",
    ),
    "attention_backend": ("attention_config.backend",),
    "speculative_method": ("speculative_config.method",),
    "speculative_model": ("speculative_config.model",),
    "num_speculative_tokens": ("speculative_config.num_speculative_tokens",),
    "prompt_lookup_min": ("speculative_config.prompt_lookup_min",),
    "prompt_lookup_max": ("speculative_config.prompt_lookup_max",),
    "max_loras": ("lora_config.max_loras",),
    "max_lora_rank": ("lora_config.max_lora_rank",),
}
_COMPILATION_PLACES = ("compilation_config.mode", "compilation_config.level")
_COMPILATION_NAMES = {0: "NONE", 1: "STOCK_TORCH_COMPILE", 2: "DYNAMO_TRACE_ONCE", 3: "VLLM_COMPILE"}
_GRAPH_NAMES = {
    (0,): "NONE",
    (1,): "PIECEWISE",
    (2,): "FULL",
    (2, 0): "FULL_DECODE_ONLY",
    (2, 1): "FULL_AND_PIECEWISE",
}


def facts_of(config: Any) -> Dict[str, Any]:
    """Every lever's value in a `VllmConfig`, or in the same as nested dicts; what JSON can hold only."""
    facts: Dict[str, Any] = {}
    for name, places in _PLACES.items():
        value = _find(config, places)
        if value is not _MISSING:
            facts[name] = _plain(value)
    facts["enable_lora"] = _find(config, ("lora_config",)) not in (None, _MISSING)
    facts["kv_cache_tokens"] = _kv_cache_tokens(config)
    facts["compilation_mode"] = _name(_find(config, _COMPILATION_PLACES), _COMPILATION_NAMES)
    facts["cudagraph_mode"] = _graph_mode(_find(config, ("compilation_config.cudagraph_mode",)))
    level = _find(config, ("optimization_level",))
    if level is not _MISSING:
        level = getattr(level, "value", level)
        facts["optimization_level"] = level if isinstance(level, int) else str(level)
    return facts


def _find(config: Any, places: Tuple[str, ...]) -> Any:
    """The first place that there is; None in a section that is off."""
    for place in places:
        value = config
        for part in place.split("."):
            value = value.get(part, _MISSING) if isinstance(value, dict) else getattr(value, part, _MISSING)
            if value is _MISSING or value is None:
                break
        if value is not _MISSING:
            return value
    return _MISSING


def _plain(value: Any) -> Any:
    """As JSON: enums by name, types (torch's, an executor's class) by their own."""
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    if isinstance(value, type):
        return value.__name__
    return str(value).replace("torch.", "", 1) if str(value).startswith("torch.") else str(value)


def _name(value: Any, names: Dict[Any, str]) -> Optional[str]:
    if value is _MISSING or value is None:
        return None
    if isinstance(value, enum.Enum):
        return value.name
    return names.get(value, str(value))


def _graph_mode(value: Any) -> Optional[str]:
    """In JSON the mode is its enum's value: a number, or two for decoding and the rest."""
    if isinstance(value, (list, tuple)):
        return _name(tuple(value), _GRAPH_NAMES)
    if isinstance(value, int) and not isinstance(value, enum.Enum):
        return _name((value,), _GRAPH_NAMES)
    return _name(value, {})


def _kv_cache_tokens(config: Any) -> Optional[int]:
    """As the engine says it where it does; blocks × block size counts the groups of a hybrid model wrongly."""
    said = _find(config, ("cache_config.kv_cache_size_tokens",))
    if isinstance(said, int) and said > 0:
        return said
    blocks, block_size = _find(config, ("cache_config.num_gpu_blocks",)), _find(config, ("cache_config.block_size",))
    if isinstance(blocks, int) and isinstance(block_size, int) and blocks and block_size:
        return blocks * block_size
    return None


def live_facts(core: Any) -> Dict[str, Any]:
    """What the scheduler and the executor themselves hold, where the engine core is in this process.

    `core`: vLLM's `EngineCore`. Internals: what a version names otherwise is left out.
    """
    scheduler, executor = getattr(core, "scheduler", None), getattr(core, "model_executor", None)
    facts: Dict[str, Any] = {}
    for name, holder, attribute in (
        ("scheduler_max_num_running_reqs", scheduler, "max_num_running_reqs"),
        ("scheduler_max_num_scheduled_tokens", scheduler, "max_num_scheduled_tokens"),
    ):
        value = getattr(holder, attribute, None)
        if isinstance(value, int):
            facts[name] = value
    workers = getattr(executor, "workers", None)
    if executor is not None:
        facts["num_workers"] = len(workers) if isinstance(workers, list) else 1
    backends = _backends_in_use(executor)
    if backends:
        facts["attention_backends_in_use"] = backends
    return facts


def _backends_in_use(executor: Any) -> List[str]:
    """Names of the attention backends of the model runner's groups, where the worker is in this process."""
    try:
        groups = executor.driver_worker.worker.model_runner.attn_groups
        return sorted({group.backend.get_name() for several in groups for group in several})
    except (AttributeError, TypeError):
        return []
