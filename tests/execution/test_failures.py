"""The engine's own words, and what they are taken for. Lines are as vLLM (0.5 to 0.33) and torch print them."""

from __future__ import annotations

import pytest

from tests.execution.failure_samples import SAMPLES
from vbench.execution.failure_classes import CLASSES
from vbench.execution.failures import classify, clean_line
from vbench.outcome import Outcome

BY_LINE = [
    pytest.param(name, outcome, line, id=f"{name}-{n}")
    for name, outcome, lines in SAMPLES
    for n, line in enumerate(lines)
]


@pytest.mark.parametrize(("name", "outcome", "line"), BY_LINE)
def test_a_line_is_known(name: str, outcome: Outcome, line: str) -> None:
    match = classify(f"Loading\n{line}\nBye")

    assert match is not None
    assert (match.failure_class.name, match.failure_class.outcome) == (name, outcome)
    assert match.evidence == clean_line(line)
    assert match.failure_class.advice


def test_every_class_has_a_sample() -> None:
    assert [name for name, _, _ in SAMPLES] == [one.name for one in CLASSES]


HEALTHY = """\
INFO 11-03 09:30:00 [__init__.py:44] Available plugins for group vllm.general_plugins:
WARNING 11-03 09:30:00 [cpu_worker.py:180] sleep mode is not supported on CPU, ignore it.
(MainProcess pid=7) WARNING 11-03 09:30:00 [cpu.py:347] Dual-Batch Overlap is not supported on CPU, disabled.
INFO 11-03 09:30:00 [fa_utils.py:1] Cannot use FA version 2 is not supported due to FA2 is only supported on devices
WARNING 11-03 09:30:00 [symm_mem.py:58] SymmMemCommunicator: Device capability 7.5 not supported
Free memory on device (14.46/14.56 GiB) on startup. Desired GPU memory utilization is (0.9, 13.11 GiB).
WARNING 06-01 09:30:00 config.py:12] FP8 KV cache is not supported here, going on without
INFO 11-03 09:30:00 [loader.py:9] Loading bloom-560m, room for 3 zooms, OOM-safe
"""


def test_what_a_healthy_run_prints_decides_nothing() -> None:
    assert classify(HEALTHY) is None


def test_what_a_healthy_run_prints_hides_nothing() -> None:
    match = classify(HEALTHY + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 MiB\n" + HEALTHY)

    assert match is not None
    assert match.failure_class.name == "gpu_out_of_memory"


@pytest.mark.parametrize(
    "line",
    [
        "loading bloom-560m",
        "zoom, room, oom",
        "model OOMPH-7B has 7B parameters",
        "Killed",
        "TypeError: Attention.forward() got an unexpected keyword argument 'scale'",  # a defect, not a setting
        "ValueError: something else",
        "",
    ],
)
def test_other_lines_mean_nothing(line: str) -> None:
    assert classify(line) is None


TRACEBACK = """\
(EngineCore pid=7) ERROR 11-03 09:30:00 [core.py:12] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-03 09:30:00 [core.py:12]   File "kv_cache_utils.py", line 3, in check
(EngineCore pid=7) ERROR 11-03 09:30:00 [core.py:12]     raise ValueError("No available memory for the cache blocks. "
(EngineCore pid=7) ERROR 11-03 09:30:00 [core.py:12] ValueError: No available memory for the cache blocks. Try more.
Traceback (most recent call last):
  File "llm.py", line 1, in __init__
    raise RuntimeError("Engine core initialization failed. See root cause above. "
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}
"""


def test_the_cause_is_named_and_not_its_wrapper_nor_a_line_of_source() -> None:
    match = classify(TRACEBACK)

    assert match is not None
    assert match.failure_class.name == "kv_cache_too_small"
    assert match.evidence == "ValueError: No available memory for the cache blocks. Try more."


def test_a_wrapper_without_a_known_cause_is_named() -> None:
    match = classify("\n".join(TRACEBACK.splitlines()[4:]))

    assert match is not None
    assert match.failure_class.name == "engine_died"
    assert match.evidence.startswith("RuntimeError: Engine core initialization failed")


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("  ValueError: x  ", "ValueError: x"),
        ("ERROR 11-03 09:30:00 [core.py:12] ValueError: x", "ValueError: x"),
        ("(EngineCore_DP0 pid=7) ERROR 11-03 09:30:00 [core.py:12] ValueError: x", "ValueError: x"),
        ("ERROR 06-01 09:30:00 worker_base.py:12] ValueError: x", "ValueError: x"),
        ("(RayWorker pid=7) ValueError: x", "ValueError: x"),
        ("y" * 600, "y" * 499 + "…"),
    ],
)
def test_evidence_is_a_line_that_a_table_can_bear(line: str, cleaned: str) -> None:
    assert clean_line(line) == cleaned


PAINS = {
    "Cannot find the config file for awq": "name an AWQ checkpoint",
    "The quantization method fp8 is not supported for the current GPU. Minimum capability: 80.": "on a T4 use an AWQ",
    "Unknown quantization method: squeezellm. Must be one of ['awq']": "vllm ≤ 0.6.0 by `python:`",
    "Bfloat16 is only supported on GPUs with compute capability of at least 8.0.": "dtype: float16",
    "BatchPrefillWithPagedKVCache failed with error invalid argument": "attention_backend: TRITON_ATTN",
    "out of resource: shared memory, Required: 81920, Hardware limit: 65536": "64 KiB on a T4",
    "The NVIDIA driver on your system is too old (found version 12080)": "driver 580",
    "Unknown vLLM environment variable detected: VLLM_ATTENTION_BACKEND": "ignored since 0.15: use attention_backend",
    "'>=' not supported between instances of 'NoneType' and 'int'": "leave prompt_logprobs and logprobs out",
    "TorchAOConfig.__init__() missing 1 required positional argument: 'torchao_config'": "name a quantized checkpoint",
    "Please install torchao>=0.10.0 via `pip install torchao>=0.10.0`": "install the library that the line names",
    "Unknown quantization method: auto-round. Must be one of ['awq']": "auto-round: `inc`",
    "There is no module or parameter named 'lm_head' in EagleLlamaForCausalLM.": "eagle and eagle3 want a head made",
    "pin_memory=True requires a CUDA or other accelerator backend;": "can't do it on this platform",
    "assert self.intermediate_tensors is not None": "on a CPU no pipeline parallelism",
}


@pytest.mark.parametrize(("said", "advice"), PAINS.items())
def test_what_to_do_is_said_though_wrappers_come_after(said: str, advice: str) -> None:
    match = classify(f"ValueError: {said}\nRuntimeError: Engine core initialization failed. See root cause above.")

    assert match is not None
    assert match.evidence == f"ValueError: {said}"
    assert advice in match.failure_class.advice


def test_a_flood_of_lines_doesnt_hide_the_cause() -> None:
    cause = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
    match = classify(f"{'stepping' * 10}\n" * 30_000 + cause + "\n" + "stepping\n" * 30_000)

    assert match is not None
    assert (match.failure_class.name, match.evidence) == ("gpu_out_of_memory", cause)


def test_a_line_of_megabytes_is_looked_at_by_its_ends() -> None:
    junk = "Worker proc " * 200_000

    assert classify(junk) is None
    match = classify(junk + "CUDA out of memory")
    assert match is not None
    assert match.failure_class.name == "gpu_out_of_memory"
    assert len(match.evidence) == 500


def test_of_lines_that_are_alike_the_last_place_counts() -> None:
    lines = ["CUDA out of memory: first", "CUDA out of memory: second", "CUDA out of memory: first"]
    match = classify("\n".join(lines))

    assert match is not None
    assert match.evidence == "CUDA out of memory: first"
