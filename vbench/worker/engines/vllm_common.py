"""What vLLM's ways of calling in this process (`vllm_offline`, `vllm_async`) have in common."""

from __future__ import annotations

import importlib
import os
import struct
from typing import Any, Dict, Iterable, List, Optional, Tuple

from . import vllm_compat
from .listening import keep_on_loopback
from .vllm_arguments import adapt
from .vllm_compat import accepted_arguments

# Imported before a fork so that a child need not: what an engine would import on the CPU platform. A name that a
# version doesn't have is skipped; the child imports it then.
_PRELOAD = (
    "vllm.entrypoints.llm",
    "vllm.v1.engine.core",
    "vllm.v1.engine.llm_engine",
    "vllm.v1.engine.async_llm",
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
_WEIGHTS = struct.Struct("<QQ")  # pid, bytes
# A reset of the prefix cache is refused while a finished request's blocks are being given back: a step at most.
RESET_PATIENCE_S = 5.0

platform = vllm_compat.platform


def preload() -> None:
    """Import what an engine needs; starts no thread."""
    import vllm  # noqa: F401

    for name in _PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def adapted(engine_args: Dict[str, Any], also: Iterable[str] = ()) -> Tuple[Dict[str, Any], List[str]]:
    """The arguments as the installed version takes them, and what was translated; sets the variables it takes.

    `also`: what this way of calling accepts besides the engine's own arguments.
    """
    from vllm import __version__

    arguments, environment, notes = adapt(__version__, accepted_arguments() | set(also), engine_args)
    keep_on_loopback(engine_args)
    os.environ.update(environment)  # read when the engine is made, and inherited by its processes
    return arguments, notes


def set_environment(wanted: Dict[str, str]) -> List[str]:
    """Set what a CPU run needs and the user left open; a note of each, for the record."""
    notes: List[str] = []
    for name, value in wanted.items():
        if name not in os.environ:
            os.environ[name] = value
            notes.append(name + "=" + value + " set by vbench on the CPU platform")
    return notes


def parallel_environment(engine_args: Dict[str, Any]) -> Dict[str, str]:
    """What several ranks need on a CPU."""
    ranks = [int(engine_args.get(name) or 1) for name in ("tensor_parallel_size", "pipeline_parallel_size")]
    if ranks[0] * ranks[1] > 1:
        return {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # `auto` wants one NUMA node per rank
    return {}


def start_processes_by_fork() -> None:
    """Let engine cores and their ranks fork from this process too, instead of importing vLLM again each."""
    import multiprocessing

    for name in ("vllm.v1.engine.utils", "vllm.v1.executor.multiproc_executor"):
        module = importlib.import_module(name)
        if hasattr(module, "get_mp_context"):
            module.get_mp_context = lambda: multiprocessing.get_context("fork")  # type: ignore[attr-defined]


def counters_of(metrics: Iterable[Any]) -> Dict[str, float]:
    """Our counters among the metrics that vLLM reads from its process-global registry: only differences mean much."""
    totals: Dict[str, float] = {}
    for metric in metrics:
        name = _COUNTERS.get(metric.name)
        if name is not None and hasattr(metric, "value"):
            totals[name] = totals.get(name, 0.0) + float(metric.value)
    return totals


def prepared(prompts: List[Dict[str, Any]], tokenizer: Any) -> List[Any]:
    """Prompt items as vLLM takes them; conversations go through the model's own chat template.

    `tokenizer` is a function, called only where a conversation needs it.
    """
    items: List[Any] = []
    for item in prompts:
        if "prompt_token_ids" in item:
            items.append({"prompt_token_ids": item["prompt_token_ids"]})
        elif "messages" in item:
            # As ids, for the engine not to add the special tokens again that the template has written already.
            found = tokenizer()
            text = found.apply_chat_template(item["messages"], tokenize=False, add_generation_prompt=True)
            items.append({"prompt_token_ids": list(found(text, add_special_tokens=False)["input_ids"])})
        else:
            items.append({"prompt": item["prompt"]})
    return items


def given_tokens(prompts: List[Any]) -> List[Optional[int]]:
    """Of prompts as `prepared` gives them, the number of tokens; None of a text."""
    return [len(one["prompt_token_ids"]) if "prompt_token_ids" in one else None for one in prompts]


class WeightsCount:
    """Bytes of weights loaded by this process and those forked from it. Make it before they fork."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe()  # closed on exec: a spawned process has none
        os.set_blocking(self._read_fd, False)
        self._by_process: Dict[int, int] = {}

    def append(self, weights_bytes: int) -> None:
        """Add one loaded model's."""
        os.write(self._write_fd, _WEIGHTS.pack(os.getpid(), weights_bytes))  # one write, so never torn among ranks

    def of_fullest_process(self) -> int:
        """What the process with the most has loaded in all, as a GPU's log says it for one rank; 0: nothing counted."""
        while True:
            try:
                pid, weights_bytes = _WEIGHTS.unpack(os.read(self._read_fd, _WEIGHTS.size))
            except BlockingIOError:
                return max(self._by_process.values(), default=0)
            self._by_process[pid] = self._by_process.get(pid, 0) + weights_bytes


def count_weights(counts: Any) -> None:
    """Have `counts.append` told each loaded model's parameter bytes, before vLLM's CPU backend repacks them.

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
