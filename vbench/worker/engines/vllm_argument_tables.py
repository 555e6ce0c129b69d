"""What changed among vLLM's engine arguments from 0.5.4 to 0.33.0, as data for `vllm_arguments`.

Read from the `EngineArgs` of the releases that `tests/worker/data/engine_arguments.json` names. A removal is told by
the newest release read that has the argument, an addition by the oldest one; what lies between two that were read isn't
known, which is why the installed `EngineArgs`, not this table, decides whether an argument is accepted.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, NamedTuple, Tuple

Version = Tuple[int, int, int]


class Change(NamedTuple):
    """An argument that some releases lack."""

    release: str
    """The newest that has it (of a removed one), or the oldest (of an added one)."""
    instead: str
    """What to do where it is lacking."""
    same: Tuple[Any, ...] = ()
    """The values that ask for what the releases without it do anyway: left out there, with a note."""


_V0_ONLY = "it was of the V0 engine: leave it out"
_STRUCTURED = "nothing of it is used here: leave it out (structured_outputs_config has it now)"
_PLAIN_CUDA = "the platform decides: leave it out"

REMOVED: Dict[str, Change] = {
    "swap_space": Change("0.15.1", "the V1 engine never swaps: leave it out", (0, 0.0)),
    "num_scheduler_steps": Change("0.10.0", _V0_ONLY + " (async_scheduling is V1's way)", (1,)),
    "multi_step_stream_outputs": Change("0.10.0", _V0_ONLY),
    "num_lookahead_slots": Change("0.11.2", _V0_ONLY, (0,)),
    "preemption_mode": Change("0.10.2", _V0_ONLY, ("recompute",)),
    "scheduler_delay_factor": Change("0.10.2", _V0_ONLY, (0, 0.0)),
    "disable_async_output_proc": Change("0.10.2", _V0_ONLY, (False,)),
    "use_v2_block_manager": Change("0.9.2", "there is only one block manager since: leave it out", (True,)),
    "max_seq_len_to_capture": Change("0.10.2", "use max_cudagraph_capture_size (a batch size, not a length)"),
    "max_context_len_to_capture": Change("0.6.3.post1", "use max_cudagraph_capture_size (a batch size, not a length)"),
    "rope_scaling": Change("0.11.0", "use hf_overrides: {rope_parameters: {rope_type: …, rope_theta: …, factor: …}}"),
    "rope_theta": Change("0.11.0", "use hf_overrides: {rope_parameters: {rope_type: …, rope_theta: …}}"),
    "task": Change("0.12.0", "use runner and convert", ("auto",)),
    "device": Change("0.9.2", _PLAIN_CUDA, ("auto",)),
    "worker_use_ray": Change("0.6.6.post1", "use distributed_executor_backend: ray", (False,)),
    "quantization_param_path": Change("0.6.6.post1", "the checkpoint carries its KV scales: leave it out"),
    "calculate_kv_scales": Change("0.24.0", "the checkpoint carries its KV scales: leave it out", (False,)),
    "guided_decoding_backend": Change("0.11.2", _STRUCTURED, ("auto",)),
    "guided_decoding_disable_fallback": Change("0.11.2", _STRUCTURED, (False,)),
    "guided_decoding_disable_any_whitespace": Change("0.11.2", _STRUCTURED, (False,)),
    "guided_decoding_disable_additional_properties": Change("0.11.2", _STRUCTURED, (False,)),
    "override_pooler_config": Change("0.11.2", "use pooler_config"),
    "override_neuron_config": Change("0.10.0", "this platform left vLLM itself: leave it out"),
    "tokenizer_pool_size": Change("0.9.2", "leave it out", (0,)),
    "tokenizer_pool_type": Change("0.9.2", "leave it out"),
    "tokenizer_pool_extra_config": Change("0.9.2", "leave it out"),
    "enable_prompt_adapter": Change("0.10.0", "use LoRA (enable_lora)", (False,)),
    "max_prompt_adapters": Change("0.9.2", "use LoRA (enable_lora)"),
    "max_prompt_adapter_token": Change("0.9.2", "use LoRA (enable_lora)"),
    "enable_reasoning": Change("0.9.2", "name the reasoning_parser alone", (False,)),
    "enable_lora_bias": Change("0.11.0", "leave it out", (False,)),
    "lora_extra_vocab_size": Change("0.11.2", "adapters bring no tokens of their own any more: leave it out"),
    "long_lora_scaling_factors": Change("0.9.2", "leave it out"),
    "qlora_adapter_name_or_path": Change("0.9.2", "use lora_modules"),
    "max_num_partial_prefills": Change("0.24.0", "leave it out", (1,)),
    "max_long_partial_prefills": Change("0.24.0", "leave it out", (1,)),
    "override_attention_dtype": Change("0.24.0", "leave it out"),
    "cuda_graph_sizes": Change("0.12.0", "use cudagraph_capture_sizes or max_cudagraph_capture_size"),
}

ADDED: Dict[str, Change] = {
    "attention_backend": Change("0.13.0", "use another release"),
    "attention_config": Change("0.13.0", "of its keys only `backend` has a counterpart before"),
    "kv_cache_memory_bytes": Change("0.10.2", "use gpu_memory_utilization, or num_gpu_blocks_override"),
    "scheduling_policy": Change("0.6.3.post1", "requests are served first come, first served before", ("fcfs",)),
    "async_scheduling": Change("0.10.0", "leave it out", (False,)),
    "generation_config": Change("0.6.6.post1", "the model's own sampling defaults aren't read before", ("vllm",)),
    "hf_overrides": Change("0.6.6.post1", "use a copy of the model's folder with another config.json", ({},)),
    "compilation_config": Change("0.6.6.post1", "nothing is compiled before: leave it out", (0, {})),
    "cudagraph_capture_sizes": Change("0.11.2", "the batch sizes of CUDA graphs are fixed before 0.6.6"),
    "max_cudagraph_capture_size": Change("0.11.2", "use cudagraph_capture_sizes, or enforce_eager"),
    "optimization_level": Change("0.12.0", "nothing is compiled before 0.6.6: leave it out", (0,)),
    "speculative_config": Change("0.8.5", "use another release"),
    "task": Change("0.6.6.post1", "the model's own kind decides before", ("auto", "generate")),
    "runner": Change("0.10.2", "the model's own kind decides before", ("auto", "generate")),
    "convert": Change("0.10.2", "leave it out", ("auto", "none")),
    "enable_sleep_mode": Change("0.7.3", "leave it out", (False,)),
    "model_impl": Change("0.7.3", "vLLM's own implementations are the only ones before", ("auto", "vllm")),
    "data_parallel_size": Change("0.8.5", "use `replicas:`", (1,)),
    "disable_cascade_attn": Change("0.8.5", "there is no cascade attention before: leave it out", (True,)),
    "enable_expert_parallel": Change("0.8.5", "leave it out", (False,)),
    "performance_mode": Change("0.20.2", "leave it out", ("balanced",)),
    "structured_outputs_config": Change("0.11.0", "use guided_decoding_backend", ({},)),
    "allow_deprecated_quantization": Change("0.14.1", "nothing was deprecated before: leave it out", (True, False)),
    "long_prefill_token_threshold": Change("0.7.3", "leave it out", (0,)),
    "num_scheduler_steps": Change("0.6.0", "leave it out", (1,)),
    "cuda_graph_sizes": Change("0.9.2", "use cudagraph_capture_sizes"),
    "disable_async_output_proc": Change("0.6.0", "leave it out", (True,)),
    "calculate_kv_scales": Change("0.7.3", "leave it out", (False,)),
    "spec_method": Change("0.24.0", "use speculative_config"),
    "spec_model": Change("0.24.0", "use speculative_config"),
    "spec_tokens": Change("0.24.0", "use speculative_config"),
}

# `speculative_config` and what its keys were called up to 0.7.
FLAT_SPECULATION: Dict[str, str] = {
    "model": "speculative_model",
    "num_speculative_tokens": "num_speculative_tokens",
    "quantization": "speculative_model_quantization",
    "draft_tensor_parallel_size": "speculative_draft_tensor_parallel_size",
    "max_model_len": "speculative_max_model_len",
    "disable_by_batch_size": "speculative_disable_by_batch_size",
    "disable_mqa_scorer": "speculative_disable_mqa_scorer",
    "prompt_lookup_max": "ngram_prompt_lookup_max",
    "prompt_lookup_min": "ngram_prompt_lookup_min",
    "acceptance_method": "spec_decoding_acceptance_method",
    "posterior_threshold": "typical_acceptance_sampler_posterior_threshold",
    "posterior_alpha": "typical_acceptance_sampler_posterior_alpha",
    "disable_logprobs": "disable_logprobs_during_spec_decoding",
}
SHORT_SPECULATION = {"spec_method": "method", "spec_model": "model", "spec_tokens": "num_speculative_tokens"}
FLAT_METHODS = ("ngram", "draft_model", "medusa", "mlp_speculator", "eagle")
"""What 0.5 to 0.7 can do; all but ngram are told from the draft's own config.json there."""

# Quantization methods by the newest release read that has them, and the oldest one after it that doesn't.
LAST_QUANTIZATION: Dict[str, Tuple[str, Version]] = {
    "squeezellm": ("0.6.0", (0, 6, 1)),
    "aqlm": ("0.10.0", (0, 10, 2)),
    "marlin": ("0.10.0", (0, 10, 2)),
    "qqq": ("0.10.0", (0, 10, 2)),
    "deepspeedfp": ("0.14.1", (0, 15, 1)),
    "hqq": ("0.14.1", (0, 15, 1)),
    "rtn": ("0.14.1", (0, 15, 1)),
    "bitblas": ("0.15.1", (0, 20, 2)),
    "gptq_bitblas": ("0.15.1", (0, 20, 2)),
    "gptq_marlin_24": ("0.15.1", (0, 20, 2)),
    "petit_nvfp4": ("0.15.1", (0, 20, 2)),
}
PLUGIN_QUANTIZATION: Dict[str, Tuple[Version, str]] = {
    "gguf": ((0, 24, 0), "vllm-gguf-plugin"),
    "bitsandbytes": ((0, 28, 0), "vllm-bnb-plugin"),
}
"""By method, the first release without it and the plugin that brings it back (vLLM PRs 39612 and 43529)."""

_LESS_SINCE_0_20 = frozenset({"tpu_int8", "fbgemm_fp8", "fp_quant"})
_LESS_SINCE_0_15 = _LESS_SINCE_0_20 | {
    "ptpc_fp8", "bitblas", "gptq_marlin_24", "gptq_bitblas", "experts_int8", "ipex", "petit_nvfp4",
}  # fmt: skip
_SINCE_0_14 = _LESS_SINCE_0_15 | {"deepspeedfp", "hqq", "auto-round", "rtn"}
DEPRECATED_QUANTIZATION: Tuple[Tuple[Version, FrozenSet[str]], ...] = (
    ((0, 14, 0), _SINCE_0_14),
    ((0, 15, 0), _LESS_SINCE_0_15),
    ((0, 16, 0), _LESS_SINCE_0_20),
    ((0, 24, 0), frozenset({"fbgemm_fp8", "fp_quant"})),
)
"""From a release on, what needs `allow_deprecated_quantization`; of releases not read, the shorter list."""
