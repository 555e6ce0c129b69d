"""The table of failure classes: the engine's own words, what they mean, and what to try.

One row each: a stable class name, the outcome it gives, a pattern for one line of the trial's output, advice. Rows are
tried in order and the first that matches wins, so a specific cause stands above the wrapper that hides it ("Engine core
initialization failed"), and the wrappers come last. Strings are vLLM's, 0.5 to 0.33, and torch's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vbench.outcome import Outcome


@dataclass(frozen=True, slots=True)
class FailureClass:
    """A kind of failure. `pattern` is searched in single lines of the output; its line becomes the evidence."""

    name: str
    outcome: Outcome
    pattern: re.Pattern[str]
    advice: str


_OOM, _NO, _UNS, _CRASH = Outcome.OUT_OF_MEMORY, Outcome.INFEASIBLE, Outcome.UNSUPPORTED, Outcome.CRASHED
_SPOILT = Outcome.INTERRUPTED


def _row(name: str, outcome: Outcome, pattern: str, advice: str) -> FailureClass:
    return FailureClass(name, outcome, re.compile(pattern), advice)


_NO_SUCH_ARGUMENT = (
    "this engine version has no such argument: check its name against `vbench schema` and the engine's docs"
)
_ANOTHER_VERSION = (
    "this engine version doesn't have it (squeezellm: last in vLLM 0.6.0, name an interpreter with vllm ≤ 0.6.0 by "
    "`python:`; gguf and bitsandbytes: plugins now, from 0.24 and 0.28 on; "
    "auto-round: `inc`, or leave it to the checkpoint)"
)
BUS_ERROR_ADVICE = (
    "shared memory is full (`df -h /dev/shm`; in a container ask for more with `--shm-size=8g`), or a file was cut short "
    "while it was mapped"
)

CLASSES: tuple[FailureClass, ...] = (
    # The worker's own refusals (vllm_arguments): they name what and why.
    _row("quantization_unknown", _UNS, r"UnsupportedArgument: \S+: last in vLLM", _ANOTHER_VERSION),
    _row("unknown_argument", _NO, r"UnsupportedArgument: vLLM \S+ has no argument named \w+(; did you mean|$)", _NO_SUCH_ARGUMENT),
    _row("unsupported_argument", _UNS, r"\bUnsupportedArgument: ",
         "do as the line says, or name an interpreter with another version of the engine by `python:`"),
    _row("unknown_sampling_setting", _NO, r"TypeError: \w+ has no field '",
         "`sampling` takes the fields of vLLM's SamplingParams, and beam_width: see the engine's docs"),
    _row("wrong_way_of_calling", _NO, r"ValueError: (beam search|max_concurrency \d+ is less than|\d+ replicas need)",
         "change what the line names: `mode`, `load`, `sampling` or `replicas`"),
    # The settings and the model contradict each other.
    _row("unknown_argument", _NO, r"__init__\(\) got an unexpected keyword argument|is not a valid argument in the speculative_config",
         _NO_SUCH_ARGUMENT),
    _row("not_quantized", _NO, r"Cannot find the config file for awq",
         "this checkpoint isn't AWQ-quantized: name an AWQ checkpoint for that choice (`awq: {model: …}`)"),
    _row("not_quantized", _NO, r"Cannot find the config file for \w+|TorchAOConfig\.__init__\(\) missing",
         "this checkpoint isn't quantized that way: name a quantized checkpoint for that choice (`gptq: {model: …}`)"),
    _row("quantization_mismatch", _NO, r"does not match the quantization method specified in the `quantization` argument",
         "the checkpoint is quantized by another method: leave `quantization` out, or name the checkpoint that fits"),
    _row("heads_not_divisible", _NO, r"Total number of attention heads \(\d+\) must be divisible by tensor parallel size",
         "choose a tensor_parallel_size that divides the number of attention heads"),
    _row("too_few_gpus", _NO,
         r"World size \(\d+\) is larger than the number of available GPUs|"
         r"set tensor_parallel_size \(\d+\) to less than max local gpu count|Not enough allowed NUMA nodes",
         "lower tensor_parallel_size to what this machine has"),
    _row("max_model_len_beyond_model", _NO, r"User-specified max_model_len \(\d+\) is greater than the derived max_model_len",
         "lower max_model_len to the model's own limit"),
    _row("prompt_too_long", _NO, r"maximum context length is \d+ tokens|Prompt length of \d+ is longer than"
         r"|max_tokens=\d+ cannot be greater than max_model_len",
         "raise max_model_len, or shorten the prompts"),
    _row("batch_too_small", _NO, r"max_num_batched_tokens \(\d+\) (is smaller than max_model_len|must be greater than)",
         "raise max_num_batched_tokens, or lower max_num_seqs (or max_model_len without chunked prefill)"),
    _row("speculation_misconfigured", _NO,
         r"num_speculative_tokens` was not provided|num_speculative_tokens must be provided|"
         r"num_speculative_tokens was provided but without|validation errors? for SpeculativeConfig",
         "complete speculative_config: `method`, `num_speculative_tokens`, and `model` where the method needs one"),
    _row("bad_token_ids", _NO, r"Token id \d+ is out of vocabulary", "the prompt set was made for another vocabulary"),
    _row("environment_unknown", _NO, r"Unknown vLLM environment variable detected",
         "this vLLM doesn't read that variable (VLLM_ATTENTION_BACKEND is ignored since 0.15: use attention_backend)"),
    # Memory, known at start-up.
    _row("kv_cache_too_small", _OOM,
         r"No available memory for the cache blocks|To serve at least one request with the models?'s? max seq len|"
         r"is larger than the maximum number of tokens that can be stored in KV cache|Cannot auto-fit max_model_len",
         "raise gpu_memory_utilization (or kv_cache_memory_bytes), lower max_model_len, or quantize"),
    _row("not_enough_free_memory", _OOM,
         r"on startup is less than desired (GPU|CPU) memory utilization|on kv cache allocation is less than requested",
         "lower gpu_memory_utilization, or free the memory that other processes hold"),
    # Memory, found out the hard way.
    _row("gpu_out_of_memory", _OOM, r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|CUDA error: out of memory",
         "lower gpu_memory_utilization, max_num_seqs or max_num_batched_tokens, or quantize"),
    _row("host_out_of_memory", _OOM, r"DefaultCPUAllocator: (can't|not enough memory)|\bMemoryError\b|Cannot allocate memory",
         "lower the KV space (gpu_memory_utilization, kv_cache_memory_bytes) or free host memory"),
    # The machine's fault: nothing is known of the configuration, and it may be tried again.
    _row("shared_memory_full", _SPOILT,
         r"insufficient shared memory|allocate shared memory\(shm\)|Error while creating shared memory segment|"
         r"No space left on device.*(/dev/shm|/?psm_|/torch_|/sem\.)|/dev/shm.*No space left on device",
         "shared memory is full: look with `df -h /dev/shm`, remove what no process uses there, and in a container ask for "
         "more (`--shm-size=8g`, `--ipc=host`)"),
    _row("bus_error", _SPOILT, r"Fatal Python error: Bus error", BUS_ERROR_ADVICE),
    _row("disk_full", _SPOILT, r"No space left on device|Disk quota exceeded|\[Errno (28|122)\]|\(os error 28\)",
         "free some space where the results, the engine's caches (~/.cache) and TMPDIR are"),
    _row("too_many_open_files", _SPOILT, r"Too many open files|\[Errno 2[34]\]",
         "raise the limit of open files (`ulimit -n 65536`), or end what holds them"),
    _row("too_many_processes", _SPOILT,
         r"can't start new thread|Thread creation failed|pthread_create failed|"
         r"(BlockingIOError|os_error|OSError): \[Errno 11\]|fork: (retry: )?Resource temporarily unavailable",
         "raise the limit of processes and threads (`ulimit -u`; in a container its pids limit), or end what runs beside"),
    _row("address_in_use", _SPOILT, r"Address already in use|EADDRINUSE|\[Errno 98\]",
         "another process has the port (`ss -ltnp` names it): end it, or leave its port out of the sweep"),
    _row("gpu_lost", _SPOILT, r"GPU is lost|has fallen off the bus|[Uu]ncorrectable ECC error",
         "the GPU no longer works: `dmesg | grep -i xid` says why, and a reboot usually brings it back"),
    # What this engine, build or card can't do.
    _row("driver_too_old", _UNS, r"NVIDIA driver on your system is too old|CUDA driver version is insufficient for CUDA runtime",
         "vLLM 0.20 and later are built for CUDA 13, which needs driver 580: update it, or use vLLM 0.19.1 or older, or a "
         "+cu129 build"),
    _row("dtype_unsupported_by_gpu", _UNS, r"Bfloat16 is only supported on GPUs with compute capability of at least",
         "set dtype: float16 (a T4, like any card before 8.0, has no bfloat16)"),
    _row("dtype_unsupported_by_quantization", _UNS, r"is not supported for quantization method \w+\. Supported dtypes",
         "use one of the dtypes that the line names with this quantization"),
    _row("dtype_unsupported_by_model", _UNS, r"The model type '[^']*' does not support float16",
         "this model can't run in float16: use float32 (twice the memory), or another model on cards without bfloat16"),
    _row("quantization_unknown", _UNS, r"Unknown quantization method|Invalid quantization method|"
         r"'quantization'.*Input should be",
         _ANOTHER_VERSION),
    _row("quantization_unsupported", _UNS, r"quantization method (fp8|fbgemm_fp8|ptpc_fp8) is not supported for the current GPU",
         "FP8 needs a newer card, or vLLM 0.14 and later (weights only, from 7.5 on); on a T4 use an AWQ or GPTQ checkpoint"),
    _row("quantization_unsupported", _UNS,
         r"quantization method \S+ is not supported for the current GPU|Quantization scheme is not supported|"
         r"Failed to find a kernel that can implement|Marlin does not support|static activation ordering or desc_act|"
         r"_C::static_scaled_fp8_quant|is not supported on (CPU|cpu)|Please install torchao",
         "choose another quantization for this card and engine build, or install the library that the line names"),
    _row("attention_backend_unsupported", _UNS,
         r"Unknown attention backend|No valid attention backend|Selected backend .* is not valid|No common block size for",
         "choose a block_size or attention backend that this platform has"),
    _row("flashinfer_failed", _UNS,
         r"BatchPrefillWithPagedKVCache failed with error|BatchDecodeWithPagedKVCache failed with error|"
         r"FlashInfer.*(JIT|compil)\w* fail|Ninja build failed|Could not find nvcc|ninja: build stopped",
         "FlashInfer's kernels don't run, or can't be compiled, here (a T4 with vLLM 0.22 or 0.23, a missing nvcc): set "
         "attention_backend: TRITON_ATTN and VLLM_USE_FLASHINFER_SAMPLER=0"),
    _row("shared_memory_too_small", _UNS, r"OutOfResources: out of resources?: shared memory|out of resource: shared memory",
         "this kernel wants more shared memory than the card has (64 KiB on a T4): a model with a smaller head, another "
         "attention_backend, or a smaller block_size"),
    _row("kv_cache_dtype_unsupported", _UNS, r"FP8 KV cache is not supported", "set kv_cache_dtype: auto"),
    _row("speculation_unsupported", _UNS,
         r"Unsupported speculative method|Arctic Inference is required|draft model is not supported yet",
         "choose another speculative method for this model and engine version"),
    _row("logprobs_unsupported", _UNS,
         r"Prompt logprob is not supported by multi step workers|'>=' not supported between instances of 'NoneType' and 'int'",
         "vLLM 0.5 and 0.6.0 have no log-probabilities along with speculation: leave prompt_logprobs and logprobs out, or "
         "speculation, or name a newer interpreter by `python:`"),
    _row("platform_unsupported", _UNS,
         r"is not supported on current platform|only supported on CUDA|Torch not compiled with CUDA|"
         r"pin_memory=True requires a CUDA|assert self\.intermediate_tensors is not None",
         "this engine build can't do it on this platform (on a CPU no pipeline parallelism, and no ngram_gpu)"),
    _row("model_unreadable", _NO, r"Can't load the configuration of|does not appear to have a file named|"
         r"is not a local folder and is not a valid model identifier|Cannot find any model weights|LocalEntryNotFound|"
         r"Repo id must be|couldn't connect to|There is no module or parameter named '",
         "check `model:`, and that of speculative_config (eagle and eagle3 want a head made for them): a folder with "
         "config.json and the weights that belong to it, or a hub id that is cached or can be reached"),
    # Wrappers: something else is the cause, and none of the rows above knew it.
    _row("engine_died", _CRASH, r"EngineDeadError|Engine core initialization failed|Worker proc .* died|WorkerProc .*failed",
         "read the trial's log: the cause stands above this line"),
)  # fmt: skip
