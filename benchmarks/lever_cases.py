"""The levers, one case a value: what is changed, and what in the record must show that it took effect.

A case that runs has a proof and a `counter`: a case whose record that proof must refuse (the baseline, or another value
of the lever). A case that can't run on the CPU build has its outcome, its class and the engine's own line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.lever_load_proofs import goodput, in_flight, sent_as
from benchmarks.lever_proofs import (
    Proof,
    absent,
    answered,
    both,
    chunked,
    drafted,
    fact,
    fact_differs,
    fact_ratio,
    generated,
    idle,
    latencies,
    measured,
    other_tokens,
    same_tokens,
    uncounted,
)
from benchmarks.lever_sweep import BASELINE, DEMO, GOODPUT, LOADS, MIB, MODELS, OUTPUT, PROMPTS, Case, Lever
from vbench.outcome import Outcome

NO, UNSUPPORTED, OOM = Outcome.INFEASIBLE, Outcome.UNSUPPORTED, Outcome.OUT_OF_MEMORY
TP, PP, REPLICAS = Lever("tensor_parallel_size"), Lever("pipeline_parallel_size"), Lever("replicas")
REDUCE, NCCL, ENV = Lever("disable_custom_all_reduce"), Lever("NCCL environment"), Lever("environment variable")
QUANT, DTYPE, KV = Lever("quantization"), Lever("dtype"), Lever("kv_cache_dtype")
SHARE, LENGTH, BYTES = Lever("gpu_memory_utilization"), Lever("max_model_len"), Lever("kv_cache_memory_bytes")
BLOCK, BLOCKS, OFFLOAD = Lever("block_size"), Lever("num_gpu_blocks_override"), Lever("cpu_offload_gb")
SEQS, TOKENS, POLICY = Lever("max_num_seqs"), Lever("max_num_batched_tokens"), Lever("scheduling_policy")
CHUNKED, PREFIX, BACKEND = Lever("enable_chunked_prefill"), Lever("enable_prefix_caching"), Lever("attention_backend")
SPEC, DECODE, LORA = Lever("speculative_config"), Lever("decoding"), Lever("lora_modules")
MODE, LOAD = Lever("mode"), Lever("load")
EAGER, COMPILE = Lever("enforce_eager"), Lever("compilation_config")
SIZES, LEVEL = Lever("cudagraph_capture_sizes"), Lever("optimization_level")

STREAMED = latencies("ttft_s", "tpot_s", "itl_s", "e2e_latency_s")
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 2, "prompt_lookup_max": 4}
SAMPLED = {"sampling.temperature": 1.0, "sampling.seed": 7}
FP16 = {"dtype": "float16"}
# auto-round packs its weights as GPTQ does, so the GPTQ checkpoint is one when its config says so.
AUTO_ROUND = {"quantization_config": {
    "quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True, "data_type": "int",
    "packing_format": "auto_round:auto_gptq",
}}  # fmt: skip
TORCHAO = {"quantization_config": {
    "quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig", "_version": 1, "_data": {}}},
}}  # fmt: skip


def _quantized(method: str, model: str, said: str | None = None, **settings: Any) -> tuple[dict[str, Any], Proof]:
    """An INT4 or INT8 checkpoint: the engine names the method, and its weights are about a third or half as big."""
    proof = both(fact(quantization=said or method), fact_ratio("weights_bytes", 0.2, 0.6))
    return {"quantization": method, "model": f"{MODELS}/{model}", **settings}, proof


def _speculation(method: str, **settings: Any) -> dict[str, Any]:
    return {"speculative_config": {"method": method, **settings}}


def _spread(load: Mapping[str, Any]) -> dict[str, Any]:
    return {"mode": "async", **{f"load.{name}": value for name, value in load.items()}}


PARALLEL = (
    TP.runs(2, {"tensor_parallel_size": 2}, both(
        fact(tensor_parallel_size=2, num_workers=2), fact_ratio("weights_bytes", 0.45, 0.55),
        fact_ratio("kv_cache_tokens", 2, 2)), quick=True),
    TP.refuses(3, {"tensor_parallel_size": 3}, NO, "heads_not_divisible", r"attention heads \(8\) must be divisible"),
    PP.refuses(2, {"pipeline_parallel_size": 2}, UNSUPPORTED, "platform_unsupported",
               "assert self.intermediate_tensors is not None"),
    REPLICAS.runs(2, {"replicas": 2}, both(
        fact(replicas=2, total_kv_cache_tokens=32768), fact_ratio("kv_cache_tokens", 1, 1)), quick=True),
    REDUCE.runs("false, tensor_parallel_size 2", {"disable_custom_all_reduce": False, "tensor_parallel_size": 2},
                fact(disable_custom_all_reduce=True, num_workers=2), twin="tensor_parallel_size: 2"),
)  # fmt: skip
QUANTIZATION = (
    QUANT.runs("awq", *_quantized("awq", "awq", **FP16), quick=True),
    QUANT.runs("gptq", *_quantized("gptq", "gptq", "auto_gptq", **FP16)),
    QUANT.runs("gptq_marlin", *_quantized("gptq_marlin", "gptq", "auto_gptq", **FP16), twin="quantization: gptq"),
    QUANT.runs("inc, an auto-round checkpoint", *_quantized("inc", "gptq", hf_overrides=AUTO_ROUND, **FP16)),
    QUANT.runs("compressed-tensors, INT8 W8A8", *_quantized("compressed-tensors", "w8a8"), quick=True),
    QUANT.runs("compressed-tensors, W4A16", *_quantized("compressed-tensors", "w4a16"), quick=True),
    QUANT.runs("fp8_per_channel", {"quantization": "fp8_per_channel"}, both(
        fact(quantization="fp8_per_channel"), fact_ratio("weights_bytes", 0.4, 0.6), other_tokens())),
    *(QUANT.runs(f"{name}, dense model", {"quantization": name}, both(fact(quantization=name), idle), effect="none")
      for name in ("int8_per_channel_weight_only", "experts_int8")),
    QUANT.refuses("awq, plain checkpoint", {"quantization": "awq", **FP16}, NO, "not_quantized", "config file for awq"),
    QUANT.refuses("awq_marlin", {"quantization": "awq_marlin", "model": f"{MODELS}/awq", **FP16}, NO,
                  "quantization_mismatch", r"\(awq\) does not match .* \(awq_marlin\)"),
    QUANT.refuses("inc, plain checkpoint", {"quantization": "inc"}, NO, "not_quantized", "config file for inc"),
    QUANT.refuses("torchao, plain checkpoint", {"quantization": "torchao"}, NO, "not_quantized", "TorchAOConfig"),
    QUANT.refuses("torchao, INT8 weights", {"quantization": "torchao", "load_format": "dummy", "hf_overrides": TORCHAO},
                  UNSUPPORTED, "quantization_unsupported", "Please install torchao"),
    QUANT.refuses("squeezellm", {"quantization": "squeezellm"}, UNSUPPORTED, "quantization_unknown",
                  "squeezellm: last in vLLM 0.6.0", quick=True),
    *(QUANT.refuses(name, {"quantization": name}, UNSUPPORTED, "quantization_unknown",
                    f"Unknown quantization method: {name}") for name in ("auto-round", "bitsandbytes", "gguf")),
    QUANT.refuses("fp8", {"quantization": "fp8"}, UNSUPPORTED, "quantization_unsupported", "static_scaled_fp8_quant"),
    QUANT.refuses("fp8_per_block", {"quantization": "fp8_per_block"}, UNSUPPORTED, "quantization_unsupported",
                  "Failed to find a kernel"),
    DTYPE.runs("float32", {"dtype": "float32"}, both(
        fact(dtype="float32"), fact_ratio("weights_bytes", 2, 2), fact_ratio("kv_cache_tokens", 0.5, 0.5))),
    *(KV.runs(name, {"kv_cache_dtype": name}, both(
        fact(kv_cache_dtype=name), fact_ratio("kv_cache_tokens", 2, 2), other_tokens()), quick=name == "fp8")
      for name in ("fp8", "fp8_e5m2", "int8_per_token_head")),
    KV.runs("int4_per_token_head", {"kv_cache_dtype": "int4_per_token_head"}, both(
        fact(kv_cache_dtype="int4_per_token_head"), fact_ratio("kv_cache_tokens", 2, 2)),
        twin="kv_cache_dtype: int8_per_token_head"),
)  # fmt: skip
MEMORY = (
    SHARE.runs(0.05, {"gpu_memory_utilization": 0.05, "kv_cache_memory_bytes": None}, both(
        fact(gpu_memory_utilization=0.05, kv_cache_memory_bytes=None), fact_ratio("kv_cache_tokens", 1.5, 18))),
    SHARE.runs(0.1, {"gpu_memory_utilization": 0.1, "kv_cache_memory_bytes": None}, both(
        fact(gpu_memory_utilization=0.1, kv_cache_memory_bytes=None), fact_ratio("kv_cache_tokens", 18, 40)),
        counter="0.05"),
    SHARE.refuses(0.999, {"gpu_memory_utilization": 0.999, "kv_cache_memory_bytes": None}, OOM,
                  "not_enough_free_memory", r"less than desired CPU memory utilization \(0.999"),
    LENGTH.runs(256, {"max_model_len": 256}, both(fact(max_model_len=256), fact_ratio("max_concurrency", 2, 2))),
    LENGTH.runs("auto, 4 MiB of KV", {"max_model_len": "auto", "kv_cache_memory_bytes": 4 * MIB}, both(
        fact(max_model_len=992, kv_cache_tokens=1024), measured("num_preemptions", 1)), quick=True),
    LENGTH.refuses(4096, {"max_model_len": 4096}, NO, "max_model_len_beyond_model",
                   r"max_model_len \(4096\) is greater"),
    LENGTH.refuses(64, {"max_model_len": 64}, NO, "prompt_too_long", "maximum context length is 64 tokens"),
    BYTES.runs("32 MiB", {"kv_cache_memory_bytes": 32 * MIB}, fact_ratio("kv_cache_tokens", 0.5, 0.5), quick=True),
    BYTES.refuses("1 MiB, a request wants 2", {"kv_cache_memory_bytes": MIB}, OOM, "kv_cache_too_small",
                  "To serve at least one request"),
    BLOCK.runs(64, {"block_size": 64}, both(fact(block_size=64), fact_ratio("num_gpu_blocks", 0.5, 0.5)), quick=True),
    BLOCK.refuses(16, {"block_size": 16}, UNSUPPORTED, "attention_backend_unsupported", "No common block size for 16"),
    BLOCKS.runs(17, {"num_gpu_blocks_override": 17}, both(fact(num_gpu_blocks=17), measured("num_preemptions", 1))),
    OFFLOAD.runs(1, {"cpu_offload_gb": 1}, both(fact(cpu_offload_gb=1.0), idle), effect="none", quick=True),
)  # fmt: skip
BATCHING = (
    SEQS.runs(4, {"max_num_seqs": 4}, fact(max_num_seqs=4, scheduler_max_num_running_reqs=4), quick=True),
    SEQS.runs(1, {"max_num_seqs": 1}, fact(max_num_seqs=1, scheduler_max_num_running_reqs=1)),
    TOKENS.runs(64, {"max_num_batched_tokens": 64}, fact(scheduler_max_num_scheduled_tokens=64), quick=True),
    TOKENS.refuses("8, below max_num_seqs", {"max_num_batched_tokens": 8}, NO, "batch_too_small",
                   r"max_num_batched_tokens \(8\) must be greater"),
    POLICY.runs("priority", {"scheduling_policy": "priority"}, fact(scheduling_policy="priority"),
                effect="configuration"),
    CHUNKED.runs("true, 64 tokens a step", {"enable_chunked_prefill": True, "max_num_batched_tokens": 64}, chunked),
    CHUNKED.runs("false", {"enable_chunked_prefill": False, "max_num_batched_tokens": 1024},
                 fact(enable_chunked_prefill=False), effect="configuration"),
    CHUNKED.refuses("false, 64 tokens a step", {"enable_chunked_prefill": False, "max_num_batched_tokens": 64}, NO,
                    "batch_too_small", r"max_num_batched_tokens \(64\) is smaller than max_model_len"),
    # 11 of 12 prompts find the 2 blocks of 32 tokens that the first left: 704 of 1152.
    PREFIX.runs("true", {"enable_prefix_caching": True}, both(
        fact(enable_prefix_caching=True), measured("prefix_cache_hit_rate", 704 / 1152, 704 / 1152)), quick=True),
    PREFIX.runs("false", {"enable_prefix_caching": False}, both(
        fact(enable_prefix_caching=False), measured("prefix_cache_hit_rate", 0, 0)), counter="true", quick=True),
    BACKEND.runs("CPU_ATTN", {"attention_backend": "CPU_ATTN"}, fact(
        attention_backend="CPU_ATTN", attention_backends_in_use=["CPU_ATTN"]), effect="configuration"),
    *(BACKEND.runs(name, {"attention_backend": name}, both(
        fact(attention_backend=name, attention_backends_in_use=["CPU_ATTN"]), idle), effect="none")
      for name in ("FLASH_ATTN", "TRITON_ATTN", "FLASHINFER")),
)  # fmt: skip
DECODING = (
    SPEC.runs("none", {"speculative_config": None}, both(
        absent("speculative_method"), uncounted("spec_decode_num_drafts")), counter="ngram, 3 tokens", quick=True),
    SPEC.runs("ngram, 3 tokens", {"speculative_config": NGRAM}, both(
        fact(speculative_method="ngram", num_speculative_tokens=3, prompt_lookup_max=4), drafted()), quick=True),
    SPEC.runs("ngram, 1 token", {"speculative_config": {**NGRAM, "num_speculative_tokens": 1}}, both(
        fact(num_speculative_tokens=1), drafted(), measured("mean_acceptance_length", 1, 2)),
        counter="ngram, 3 tokens"),
    SPEC.runs("ngram, prompt_lookup_min 4", {"speculative_config": {**NGRAM, "prompt_lookup_min": 4}}, both(
        fact(prompt_lookup_min=4, prompt_lookup_max=4), drafted()), counter="ngram, 3 tokens"),
    SPEC.runs("draft_model", _speculation("draft_model", model=f"{DEMO}/draft", num_speculative_tokens=3), both(
        fact(speculative_method="draft_model"), fact_ratio("weights_bytes", 1.5, 1.9), drafted(0.01, 0.5)), quick=True),
    SPEC.runs("draft_model, draft = target",
              _speculation("draft_model", model=f"{DEMO}/base", num_speculative_tokens=3), both(
                  drafted(1.0, 1.0), measured("mean_acceptance_length", 4, 4)), counter="draft_model"),
    SPEC.refuses("suffix", _speculation("suffix", num_speculative_tokens=3), UNSUPPORTED, "speculation_unsupported",
                 "Arctic Inference is required", quick=True),
    SPEC.refuses("mtp", _speculation("mtp", num_speculative_tokens=1), UNSUPPORTED, "speculation_unsupported",
                 "Unsupported speculative method: 'mtp'"),
    # Heads are seldom small, so these have dummy weights like the model they draft for: nothing right is ever guessed.
    *(SPEC.runs(f"{name}, dummy weights", {
        "load_format": "dummy", **_speculation(name, model=f"{DEMO}/draft", num_speculative_tokens=2)}, both(
            fact(speculative_method=name, load_format="dummy"), fact_ratio("weights_bytes", 1.2, 2), drafted()))
      for name in ("eagle", "eagle3")),
    *(SPEC.refuses(f"{name}, draft that is no head",
                   _speculation(name, model=f"{DEMO}/draft", num_speculative_tokens=2), NO, "model_unreadable",
                   "There is no module or parameter named") for name in ("eagle", "eagle3")),
    SPEC.refuses("ngram_gpu", _speculation("ngram_gpu", num_speculative_tokens=2, prompt_lookup_max=3), UNSUPPORTED,
                 "platform_unsupported", "pin_memory=True requires a CUDA"),
    SPEC.refuses("ngram without a number of tokens", _speculation("ngram", prompt_lookup_max=3), NO,
                 "speculation_misconfigured", "num_speculative_tokens must be provided"),
    DECODE.runs("n 4, sampled, seed 7", {"sampling.n": 4, **SAMPLED}, both(
        generated(4 * OUTPUT), answered(4 * OUTPUT), other_tokens()), quick=True),
    DECODE.runs("beam_width 2", {"sampling.beam_width": 2}, both(answered(2 * OUTPUT), other_tokens())),
    DECODE.runs("greedy", {"sampling.temperature": 0.0}, both(generated(OUTPUT), same_tokens),
                counter="sampled, seed 7"),
    DECODE.runs("sampled, seed 7", SAMPLED, both(generated(OUTPUT), other_tokens())),
    DECODE.runs("sampled, no seed", {"sampling.temperature": 1.0}, other_tokens(is_same_each_pass=False),
                counter="sampled, seed 7"),
    LORA.runs("one adapter", {"enable_lora": True, "max_lora_rank": 8, "lora_modules": {"one": f"{MODELS}/lora"}}, both(
        fact(enable_lora=True, max_lora_rank=8), other_tokens()), counter="enabled, none used", quick=True),
    LORA.runs("enabled, none used", {"enable_lora": True, "max_lora_rank": 8}, fact(enable_lora=True, max_lora_rank=8),
              effect="configuration", quick=True),
)  # fmt: skip
CALLING = (
    MODE.runs("async", {"mode": "async"}, both(STREAMED, in_flight(PROMPTS, PROMPTS), generated(OUTPUT))),
    MODE.runs("server", {"mode": "server"}, both(STREAMED, in_flight(PROMPTS, PROMPTS), generated(OUTPUT))),
    MODE.runs("async, goodput", _spread({"max_concurrency": 4}), goodput(GOODPUT), counter="offline, beam search"),
    MODE.runs("offline, beam search", {"sampling.beam_width": 3}, answered(3 * OUTPUT)),
    LOAD.runs("max_concurrency 2", _spread({"max_concurrency": 2}), in_flight(1, 2), counter="all at once", quick=True),
    *(LOAD.runs(name, _spread(load), sent_as(load, LOADS), counter="all at once", quick=name == "poisson")
      for name, load in LOADS.items() if load),
    LOAD.runs("all at once", {"mode": "async", "enable_prefix_caching": False}, both(
        in_flight(PROMPTS, PROMPTS), STREAMED), counter="max_concurrency 2", quick=True),
    ENV.runs("VLLM_CPU_KVCACHE_SPACE=1", {"environment.VLLM_CPU_KVCACHE_SPACE": 1}, fact(kv_cache_tokens=262144)),
    NCCL.runs("NCCL_P2P_DISABLE=1, tensor_parallel_size 2",
              {"environment.NCCL_P2P_DISABLE": 1, "tensor_parallel_size": 2}, fact(num_workers=2),
              twin="tensor_parallel_size: 2"),
)  # fmt: skip
COMPILATION = (
    EAGER.runs("false", {"enforce_eager": False}, both(fact(enforce_eager=False), fact_differs("compilation_mode"))),
    *(COMPILE.runs(f"mode {mode}", {"compilation_config": {"mode": mode}, "enforce_eager": False}, fact(
        enforce_eager=False, compilation_mode=name), counter=counter)
      for mode, name, counter in ((0, "NONE", "mode 1"), (1, "STOCK_TORCH_COMPILE", ""))),
    *(LEVEL.runs(level, {"optimization_level": level, "enforce_eager": False}, fact(
        optimization_level=level, enforce_eager=False, compilation_mode=name), counter=counter)
      for level, name, counter in ((0, "NONE", "3"), (1, "DYNAMO_TRACE_ONCE", "0"), (3, "DYNAMO_TRACE_ONCE", "0"))),
    SIZES.runs("[1, 2, 4]", {"cudagraph_capture_sizes": [1, 2, 4], "enforce_eager": False}, fact(
        enforce_eager=False, cudagraph_mode="NONE", cudagraph_capture_sizes=[]), effect="none"),
)  # fmt: skip
CASES: tuple[Case, ...] = (
    Case(lever=BASELINE, value="as the sweep has it", is_quick=True),
    *PARALLEL, *QUANTIZATION, *MEMORY, *BATCHING, *DECODING, *CALLING, *COMPILATION,
)  # fmt: skip
