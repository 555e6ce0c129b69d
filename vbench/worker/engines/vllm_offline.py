"""vLLM, offline: one `LLM` in this process, one `generate` a pass.

Sources: vLLM's `EngineArgs`, `LLM` and `RequestOutput.metrics` (RequestStateStats) as of 0.32. Without
`disable_log_stats=False` there is no `get_metrics()`; metrics live in a process-global registry, so only differences
are used.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Dict, List, Optional

from .base import Engine, PassResult, Work

# Imported before a fork so that a child need not: what `LLM(...)` would import on the CPU platform. A name that a
# version doesn't have is skipped; the child imports it then.
_PRELOAD = (
    "vllm.entrypoints.llm",
    "vllm.v1.engine.core",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.executor.uniproc_executor",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.worker.cpu_model_runner",
    "vllm.v1.attention.backends.cpu_attn",
    "vllm.model_executor.model_loader.default_loader",
    "vllm.model_executor.models.llama",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.configuration_llama",
)
_COUNTERS = {
    "vllm:prefix_cache_queries": "prefix_cache_queries",
    "vllm:prefix_cache_hits": "prefix_cache_hits",
    "vllm:num_preemptions": "num_preemptions",
    "vllm:prompt_tokens": "prompt_tokens",
    "vllm:generation_tokens": "generation_tokens",
    "vllm:spec_decode_num_drafts": "spec_decode_num_drafts",
    "vllm:spec_decode_num_draft_tokens": "spec_decode_num_draft_tokens",
    "vllm:spec_decode_num_accepted_tokens": "spec_decode_num_accepted_tokens",
}


class VllmOffline(Engine):
    """`vllm.LLM`, used as a library."""

    # Forking is safe where no GPU context can exist; what else it needs (one OpenMP thread) the keeper checks.
    is_fork_safe_on = ("cpu",)

    def __init__(self) -> None:
        self._llm: Any = None
        self._weights_bytes: List[int] = []

    def describe(self) -> Dict[str, Any]:
        from .vllm_describe import describe

        return describe()

    def preload(self) -> None:
        import vllm  # noqa: F401

        for name in _PRELOAD:
            try:
                importlib.import_module(name)
            except ImportError:
                continue

    def platform(self) -> str:
        from vllm.platforms import current_platform

        return str(current_platform.device_type or "unknown")

    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        tensor_parallel_size = int(engine_args.get("tensor_parallel_size") or 1)
        notes = self._set_environment(tensor_parallel_size)
        if is_forked and tensor_parallel_size > 1:
            _start_ranks_by_fork()
        if self.platform() == "cpu":
            _count_weights(self._weights_bytes)
        from vllm import LLM

        self._llm = LLM(model=model, disable_log_stats=False, **engine_args)
        facts = _facts(self._llm)
        facts["weights_bytes"] = sum(self._weights_bytes) or None  # on a GPU the engine's log has it
        facts["notes"] = notes
        return facts

    def _set_environment(self, tensor_parallel_size: int) -> List[str]:
        """Settings that a CPU run needs and that the user left open; each is said in the record."""
        notes: List[str] = []
        if self.platform() != "cpu":
            return notes
        # The engine core in this process: the real exception instead of a wrapper, and no second import of vLLM.
        wanted = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        if tensor_parallel_size > 1:
            wanted["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # `auto` wants one NUMA node per rank
        for name, value in wanted.items():
            if name not in os.environ:
                os.environ[name] = value
                notes.append(name + "=" + value + " set by vbench on the CPU platform")
        return notes

    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        prepared: List[Any] = []
        for item in prompts:
            if "prompt_token_ids" in item:
                prepared.append({"prompt_token_ids": item["prompt_token_ids"]})
            elif "messages" in item:
                text = self._llm.get_tokenizer().apply_chat_template(
                    item["messages"], tokenize=False, add_generation_prompt=True
                )
                prepared.append({"prompt": text})
            else:
                prepared.append({"prompt": item["prompt"]})
        return prepared

    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        from vllm import SamplingParams

        if work.output_tokens is not None:
            params = SamplingParams(temperature=0.0, max_tokens=work.output_tokens, ignore_eos=True)
        else:
            params = SamplingParams(temperature=0.0, max_tokens=work.max_tokens)
        outputs = self._llm.generate(prompts, params, use_tqdm=False)
        result = PassResult(
            input_tokens=[len(output.prompt_token_ids or ()) for output in outputs],
            token_ids=[list(output.outputs[0].token_ids) for output in outputs],
        )
        _add_latencies(result, [output.metrics for output in outputs])
        return result

    def counters(self) -> Dict[str, float]:
        get_metrics = getattr(self._llm, "get_metrics", None)  # from 0.10.2
        if get_metrics is None:
            return {}
        totals: Dict[str, float] = {}
        for metric in get_metrics():
            name = _COUNTERS.get(metric.name)
            if name is not None and hasattr(metric, "value"):
                totals[name] = totals.get(name, 0.0) + float(metric.value)
        return totals

    def reset_prefix_cache(self) -> None:
        reset = getattr(self._llm, "reset_prefix_cache", None) or getattr(
            self._llm.llm_engine, "reset_prefix_cache", None
        )
        if reset is not None:
            reset()

    def close(self) -> None:
        # Ranks and engine cores in other processes are told to end; an engine in this process ends with it, a second
        # sooner than by its own shutdown.
        client = getattr(self._llm.llm_engine, "engine_core", None)
        is_in_process = hasattr(client, "engine_core")
        if not is_in_process or self._llm.llm_engine.vllm_config.parallel_config.world_size > 1:
            shutdown = getattr(client, "shutdown", None)
            if shutdown is not None:
                shutdown()


def _add_latencies(result: PassResult, stats: List[Any]) -> None:
    """TTFT, E2E and TPOT as vLLM's `calculate_metrics` defines them, from RequestStateStats.

    `first_token_latency` is on the wall clock and the `*_ts` on the engine's monotonic one, so E2E is put together from
    one difference of each, never across.
    """
    if not stats or any(getattr(one, "first_token_latency", None) is None for one in stats):
        return
    ttft = [float(one.first_token_latency) for one in stats]
    decode = [float(one.last_token_ts - one.first_token_ts) for one in stats]
    result.ttft_s = list(ttft)
    result.e2e_latency_s = [first + rest for first, rest in zip(ttft, decode)]
    result.tpot_s = [rest / (len(ids) - 1) if len(ids) > 1 else None for rest, ids in zip(decode, result.token_ids)]


def _start_ranks_by_fork() -> None:
    """Let tensor-parallel ranks fork from this process too, instead of importing vLLM again each."""
    import multiprocessing

    for name in ("vllm.v1.engine.utils", "vllm.v1.executor.multiproc_executor"):
        module = importlib.import_module(name)
        if hasattr(module, "get_mp_context"):
            module.get_mp_context = lambda: multiprocessing.get_context("fork")  # type: ignore[attr-defined]


def _facts(llm: Any) -> Dict[str, Any]:
    """What the engine's own configuration says took effect. A field that a version doesn't have is left out."""
    config = llm.llm_engine.vllm_config
    cache, model, scheduler = config.cache_config, config.model_config, config.scheduler_config
    blocks, block_size = getattr(cache, "num_gpu_blocks", None), getattr(cache, "block_size", None)
    speculative = getattr(config, "speculative_config", None)
    facts = {
        "dtype": str(getattr(model, "dtype", "")).replace("torch.", ""),
        "quantization": getattr(model, "quantization", None),
        "max_model_len": getattr(model, "max_model_len", None),
        "block_size": block_size,
        "num_gpu_blocks": blocks,
        "kv_cache_tokens": _kv_cache_tokens(cache),
        "kv_cache_dtype": str(getattr(cache, "cache_dtype", "")),
        "enable_prefix_caching": getattr(cache, "enable_prefix_caching", None),
        "gpu_memory_utilization": getattr(cache, "gpu_memory_utilization", None),
        "max_num_seqs": getattr(scheduler, "max_num_seqs", None),
        "max_num_batched_tokens": getattr(scheduler, "max_num_batched_tokens", None),
        "enforce_eager": getattr(model, "enforce_eager", None),
        "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
        "speculative_method": getattr(speculative, "method", None),
        "num_speculative_tokens": getattr(speculative, "num_speculative_tokens", None),
    }
    return {name: value for name, value in facts.items() if isinstance(value, (str, int, float, bool, type(None)))}


def _kv_cache_tokens(cache: Any) -> Optional[int]:
    """As the engine says it where it does; blocks × block size counts the groups of a hybrid model wrongly."""
    said = getattr(cache, "kv_cache_size_tokens", None)
    if isinstance(said, int) and said > 0:
        return said
    blocks, block_size = getattr(cache, "num_gpu_blocks", None), getattr(cache, "block_size", None)
    return blocks * block_size if blocks and block_size else None


def _count_weights(counts: List[int]) -> None:
    """Note each loaded model's parameter bytes before vLLM's CPU backend repacks them out of sight.

    vLLM logs the weights' size on GPUs only. The draft model of a speculative engine is counted as well.
    """
    try:
        loader = importlib.import_module("vllm.model_executor.model_loader.base_loader")
        original = loader.process_weights_after_loading
    except (ImportError, AttributeError):
        return

    def counted(model: Any, *args: Any, **kwargs: Any) -> Any:
        counts.append(sum(tensor.numel() * tensor.element_size() for tensor in model.parameters()))
        return original(model, *args, **kwargs)

    loader.process_weights_after_loading = counted  # type: ignore[attr-defined]
