"""Lines of engines and of the worker, as they print them, with the failure class that each shows."""

from __future__ import annotations

from vbench.outcome import Outcome

NO, OOM, UNSUPPORTED, CRASHED = Outcome.INFEASIBLE, Outcome.OUT_OF_MEMORY, Outcome.UNSUPPORTED, Outcome.CRASHED
SPOILT = Outcome.INTERRUPTED

# (class, outcome, lines that show it)
SAMPLES: list[tuple[str, Outcome, list[str]]] = [
    ("quantization_unknown", UNSUPPORTED, [
        "UnsupportedArgument: squeezellm: last in vLLM 0.6.0; name an interpreter with vllm ≤ 0.6.0 by `python:`",
    ]),
    ("unknown_argument", NO, [
        "UnsupportedArgument: vLLM 0.32.0 has no argument named max_num_sequences; did you mean max_num_seqs?",
        "vbench_worker.engines.vllm_compat.UnsupportedArgument: vLLM 0.32.0 has no argument named xyzzy",
    ]),
    ("unsupported_argument", UNSUPPORTED, [
        "UnsupportedArgument: vLLM 0.33.0 has no argument named swap_space: vLLM has it up to 0.15.1; the V1 engine "
        "never swaps: leave it out",
    ]),
    ("unknown_sampling_setting", NO, [
        "TypeError: SamplingParams has no field 'temprature'; did you mean 'temperature'?",
    ]),
    ("wrong_way_of_calling", NO, [
        "ValueError: beam search is offline only: use mode offline, or leave beam_width out",
        "ValueError: max_concurrency 1 is less than one request for each of 2 replicas",
        "ValueError: 4 replicas need as many prompts at least; there are 3",
    ]),
    ("unknown_argument", NO, [
        "TypeError: EngineArgs.__init__() got an unexpected keyword argument 'swap_space'",
        "TypeError: __init__() got an unexpected keyword argument 'max_num_sequences'",
    ]),
    ("not_quantized", NO, [
        "  Value error, Cannot find the config file for awq [type=value_error, input_value=ArgsKwargs((), {…}), "
        "input_type=ArgsKwargs]",
    ]),
    ("not_quantized", NO, ["ValueError: Cannot find the config file for gptq"]),
    ("quantization_mismatch", NO, [
        "ValueError: Quantization method specified in the model config (awq) does not match the quantization method "
        "specified in the `quantization` argument (gptq).",
    ]),
    ("heads_not_divisible", NO, [
        "  Value error, Total number of attention heads (4) must be divisible by tensor parallel size (3). "
        "[type=value_error, input_value=ArgsKwargs((), {…}), input_type=ArgsKwargs]",
    ]),
    ("too_few_gpus", NO, [
        "AssertionError: please set tensor_parallel_size (2) to less than max local gpu count (1)",
        "ValueError: World size (2) is larger than the number of available GPUs (1) in this node.",
        "AssertionError: Not enough allowed NUMA nodes to bind threads of 2 local CPUWorkers.",
    ]),
    ("max_model_len_beyond_model", NO, [
        "ValueError: User-specified max_model_len (4096) is greater than the derived max_model_len "
        "(max_position_embeddings=256.0 or model_max_length=None in model's config.json).",
    ]),
    ("prompt_too_long", NO, [
        "VLLMValidationError: This model's maximum context length is 512 tokens. However, your prompt contains 600 "
        "input tokens, which exceeds this limit even without any output tokens.",
        "ValueError: Prompt length of 600 is longer than the maximum model length of 512.",
    ]),
    ("batch_too_small", NO, [
        "ValueError: max_num_batched_tokens (64) is smaller than max_model_len (256). This effectively limits",
        "ValueError: max_num_batched_tokens (64) must be greater than or equal to max_num_seqs (128).",
    ]),
    ("speculation_misconfigured", NO, [
        "  Value error, num_speculative_tokens must be provided with speculative model unless the draft model config "
        "contains an n_predict parameter. [type=value_error, input_value=ArgsKwargs((), {…}), input_type=ArgsKwargs]",
        "ValueError: A speculative model was provided, but `num_speculative_tokens` was not provided",
        "ValueError: num_speculative_tokens was provided but without speculative model.",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for SpeculativeConfig",
    ]),
    ("bad_token_ids", NO, ["ValueError: Token id 99999 is out of vocabulary"]),
    ("environment_unknown", NO, ["ValueError: Unknown vLLM environment variable detected: VLLM_ATTENTION_BACKEND"]),
    ("kv_cache_too_small", OOM, [
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
        "initializing the engine.",
        "ValueError: The model's max seq len (4096) is larger than the maximum number of tokens that can be stored in "
        "KV cache (2048). Try increasing `gpu_memory_utilization`",
        "ValueError: To serve at least one request with the model's max seq len (2048), (0.0 GiB KV cache is needed, "
        "which is larger than the available KV cache memory (0.0 GiB).",
        "ValueError: To serve at least one request with the models's max seq len (2048), (1.00 GiB KV cache is needed",
        "ValueError: Cannot auto-fit max_model_len: not enough GPU memory",
    ]),
    ("not_enough_free_memory", OOM, [
        "ValueError: Free memory on device (2.11/14.56 GiB) on startup is less than desired GPU memory utilization "
        "(0.9, 13.11 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
        "ValueError: Free memory on device cuda:0 (2.11/14.56 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 13.11 GiB).",
        "ValueError: Available memory on node 0 (11.2/23.5 GiB) on startup is less than desired CPU memory utilization "
        "(0.95, 22.3 GiB).",
    ]),
    ("gpu_out_of_memory", OOM, [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of "
        "14.56 GiB of which 12.81 MiB is free.",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 14.56 GiB total capacty)",
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy requests. Please try "
        "lowering max_num_seqs or gpu_memory_utilization when initializing the engine.",
        "RuntimeError: CUDA error: out of memory",
    ]),
    ("host_out_of_memory", OOM, [
        "RuntimeError: [enforce fail at alloc_cpu.cpp:114] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 3221225472 bytes. Error code 12 (Cannot allocate memory)",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:64] . DefaultCPUAllocator: not enough memory: you tried to",
        "MemoryError",
        "numpy.core._exceptions._ArrayMemoryError: MemoryError: Unable to allocate 2.0 GiB",
        "OSError: [Errno 12] Cannot allocate memory",
    ]),
    ("shared_memory_full", SPOILT, [
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_12_34_5>: Success (0)",
        "box:7:7 [0] misc/shmutils.cc:87 NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x (size 9)",
        "OSError: [Errno 28] No space left on device: '/psm_3f2a11d0'",
    ]),
    ("bus_error", SPOILT, ["Fatal Python error: Bus error"]),
    ("disk_full", SPOILT, [
        "OSError: [Errno 28] No space left on device",
        "OSError: [Errno 122] Disk quota exceeded: '/home/me/.cache/vllm/torch_compile_cache/x'",
        "RuntimeError: Data processing error: File reconstruction error: No space left on device (os error 28)",
    ]),
    ("too_many_open_files", SPOILT, [
        "OSError: [Errno 24] Too many open files: '/proc/cpuinfo'",
        "zmq.error.ZMQError: Too many open files",
    ]),
    ("too_many_processes", SPOILT, [
        "RuntimeError: can't start new thread",
        "libgomp: Thread creation failed: Resource temporarily unavailable",
        "OpenBLAS blas_thread_init: pthread_create failed for thread 3 of 64: Resource temporarily unavailable",
        "BlockingIOError: [Errno 11] Resource temporarily unavailable",
    ]),
    ("address_in_use", SPOILT, [
        "OSError: [Errno 98] Address already in use",
        "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. "
        "port: 29500, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use",
    ]),
    ("gpu_lost", SPOILT, [
        "RuntimeError: NVML error: GPU is lost",
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
    ]),
    ("driver_too_old", UNSUPPORTED, [
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12080). Please update",
        "RuntimeError: CUDA error: CUDA driver version is insufficient for CUDA runtime version",
    ]),
    ("dtype_unsupported_by_gpu", UNSUPPORTED, [
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has "
        "compute capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI",
    ]),
    ("dtype_unsupported_by_quantization", UNSUPPORTED, [
        "  Value error, torch.float32 is not supported for quantization method awq. Supported dtypes: "
        "[torch.float16, torch.bfloat16] [type=value_error, input_value=ArgsKwargs((), {…}), input_type=ArgsKwargs]",
    ]),
    ("dtype_unsupported_by_model", UNSUPPORTED, [
        "ValueError: The model type 'gemma3' does not support float16. Reason: Numerical instability.",
    ]),
    ("quantization_unknown", UNSUPPORTED, [
        "ValueError: Unknown quantization method: squeezellm. Must be one of ['awq', 'auto_awq', 'fp8'].",
        "ValueError: Invalid quantization method: marlin",
        "ValidationError: 'quantization' Input should be 'awq', 'gptq'",
    ]),
    # Of a T4 on 0.6 to 0.13, and the 0.4 one of vLLM issue 4327.
    ("quantization_unsupported", UNSUPPORTED, [
        "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 80. Current "
        "capability: 75.",
        "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 90. Current "
        "capability: 86.",
    ]),
    ("quantization_unsupported", UNSUPPORTED, [
        "ValueError: The quantization method gptq_marlin is not supported for the current GPU. Minimum capability: 80. "
        "Current capability: 75.",
        "RuntimeError: Quantization scheme is not supported for the current GPU. Min capability: 80.",
        "ValueError: Failed to find a kernel that can implement the WNA16 linear layer. Reasons:",
        "ValueError: Marlin does not support weight_bits = uint8b128. Only types = [] are supported",
        "NotImplementedError: Use a checkpoint with static activation ordering or desc_act=False",
        "RuntimeError: _C::static_scaled_fp8_quant() expected at most 0 argument(s) but received 4",
        "NotImplementedError: Sparse Attention is not supported on CPU.",
    ]),
    ("attention_backend_unsupported", UNSUPPORTED, [
        "ValueError: Unknown attention backend: 'XFORMERS'. Valid options are: FLASH_ATTN, TRITON_ATTN",
        "ValueError: No valid attention backend found for cuda with head_size=64",
        "ValueError: Selected backend FLASHINFER is not valid for this configuration. Reason: ['compute capability']",
        "ValueError: No common block size for 16 (CPU_ATTN: [MultipleOf(32)]).",
    ]),
    # vLLM issues 49463 and 50331, gpustack issue 3656, vLLM issue 36802.
    ("flashinfer_failed", UNSUPPORTED, [
        "RuntimeError: BatchPrefillWithPagedKVCache failed with error invalid argument",
        "  BatchPrefillWithPagedKVCache failed with error invalid resource handle",
        "RuntimeError: Ninja build failed. Ninja output:",
        "RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist",
    ]),
    ("shared_memory_too_small", UNSUPPORTED, [
        "triton.runtime.errors.OutOfResources: out of resource: shared memory, Required: 81920, Hardware limit: 65536. "
        "Reducing block sizes or `num_stages` may help.",
    ]),
    ("kv_cache_dtype_unsupported", UNSUPPORTED, [
        "ValueError: FP8 KV cache is not supported by the Triton attention backend on Tesla T4. Re-run with "
        "--kv-cache-dtype float16",
    ]),
    ("speculation_unsupported", UNSUPPORTED, [
        "ValueError: Unsupported speculative method: 'mtp'",
        "ImportError: Arctic Inference is required for suffix decoding. Please install via `pip install …`",
    ]),
    # vLLM issues 6306 and 6967 (0.5).
    ("logprobs_unsupported", UNSUPPORTED, [
        "AssertionError: Prompt logprob is not supported by multi step workers. (e.g., speculative decode uses",
        "TypeError: '>=' not supported between instances of 'NoneType' and 'int'",
    ]),
    ("platform_unsupported", UNSUPPORTED, [
        "ValueError: Sleep mode is not supported on current platform.",
        "ValueError: Dual CUDA streams are only supported on CUDA platforms.",
        "AssertionError: Torch not compiled with CUDA enabled",
    ]),
    ("model_unreadable", NO, [
        "OSError: Can't load the configuration of 'org/nothing'. If you were trying to load it from the Hub",
        "OSError: /models/x does not appear to have a file named config.json.",
        "OSError: models/x is not a local folder and is not a valid model identifier listed on 'https://huggingface.co'",
        "RuntimeError: Cannot find any model weights with `/models/x`",
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find the requested files in the disk cache",
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name'",
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files",
    ]),
    ("engine_died", CRASHED, [
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}",
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.",
        "ERROR 11-03 09:30:00 [multiproc_executor.py:231] Worker proc VllmWorker-1 died unexpectedly, shutting down",
        "Exception: WorkerProc initialization failed due to an exception in a background process.",
    ]),
]  # fmt: skip
