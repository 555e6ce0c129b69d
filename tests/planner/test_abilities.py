"""What a card and a version refuse: the sentence, and that its neighbours are let through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planner.builders import cpu, plan_shape, rtx3090, t4
from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import Budget, parse_version
from vbench.planner.shipped import shipped_shape
from vbench.planner.verdict import Verdict, plan


@pytest.mark.parametrize(
    ("version", "config", "says"),
    [
        ("0.33.0", {"dtype": "bfloat16"}, "bfloat16 needs compute capability 8.0, T4 has 7.5: use dtype float16"),
        ("0.33.0", {"quantization": "squeezellm"}, "squeezellm isn't in vLLM 0.33.0 (last in 0.6.0): use awq or gptq"),
        ("0.6.1", {"quantization": "squeezellm"}, "last in 0.6.0"),
        ("0.33.0", {"quantization": "bitsandbytes"}, "(last in 0.27.1): install vllm-bnb-plugin"),
        ("0.24.0", {"quantization": "gguf"}, "install vllm-gguf-plugin"),
        ("0.13.0", {"quantization": "awq_marlin"}, "8.0 in vLLM 0.13.0, T4 has 7.5 (from vLLM 0.14.0 it runs there)"),
        ("0.11.0", {"quantization": "fp8"}, "quantization fp8 needs compute capability 8.0"),
        ("0.33.0", {"quantization": "experts_int8"}, "experts_int8 needs compute capability 8.0"),
        ("0.33.0", {"quantization": "awk"}, "quantization 'awk' isn't known to vLLM 0.33.0: did you mean awq?"),
        ("0.11.0", {"quantization": "auto_awq"}, "auto_awq isn't in vLLM 0.11.0 (it came later): use awq"),
        ("0.33.0", {"quantization": "awq", "dtype": "float32"}, "awq doesn't take float32"),
        ("0.33.0", {"kv_cache_dtype": "fp8"}, "an fp8 KV cache needs compute capability 8.0, T4 has 7.5"),
        ("0.33.0", {"kv_cache_dtype": "fp9"}, "kv_cache_dtype 'fp9' isn't known to vLLM: did you mean fp8?"),
        ("0.33.0", {"attention_backend": "FLASHINFER"}, "FLASHINFER needs compute capability 8.0"),
        ("0.33.0", {"attention_config": {"backend": "FLASH_ATTN"}}, "use TRITON_ATTN"),
        ("0.12.0", {"attention_backend": "XFORMERS"}, "XFORMERS isn't in vLLM 0.12.0"),
        ("0.11.0", {"attention_backend": "TRITON_ATTN"}, "set VLLM_ATTENTION_BACKEND"),
        ("0.33.0", {"speculative_config": {"method": "medusa", "num_speculative_tokens": 2}}, "gone in 0.33.0"),
        ("0.33.0", {"speculative_config": {"method": "ngrams", "num_speculative_tokens": 2}}, "did you mean ngram?"),
        ("0.10.2", {"speculative_config": {"model": "x", "num_speculative_tokens": 2}}, "has no draft models"),
    ],
)
def test_a_t4_refuses(version: str, config: dict[str, Any], says: str) -> None:
    found = plan_shape("qwen2.5-7b", t4(), version, **{"dtype": "float16", "max_model_len": 2048, **config})
    assert found.verdict is Verdict.UNSUPPORTED, found.reason
    assert says in found.reason


@pytest.mark.parametrize(
    ("version", "config"),
    [
        ("0.6.0", {"quantization": "squeezellm"}),
        ("0.27.1", {"quantization": "bitsandbytes"}),
        ("0.14.1", {"quantization": "awq_marlin"}),
        ("0.33.0", {"quantization": "fp8"}),
        ("0.33.0", {"kv_cache_dtype": "int8_per_token_head", "quantization": "awq"}),
        ("0.22.0", {"attention_backend": "FLASHINFER", "quantization": "awq"}),
        ("0.33.0", {"attention_backend": "TRITON_ATTN", "quantization": "awq"}),
        ("0.33.0", {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}, "quantization": "awq"}),
    ],
)
def test_a_t4_accepts(version: str, config: dict[str, Any]) -> None:
    found = plan_shape("qwen2.5-7b", t4(), version, **{"dtype": "float16", "max_model_len": 2048, **config})
    assert found.verdict.is_tried, found.reason


def test_models_that_refuse_float16() -> None:
    assert "gemma2 doesn't support float16" in plan_shape("gemma-2-2b", t4(), dtype="float16").reason
    auto = plan_shape("gemma-2-2b", t4()).per_gpu
    newer = plan_shape("gemma-2-2b", rtx3090()).per_gpu
    assert auto is not None
    assert newer is not None
    assert auto.weights_bytes == 2 * newer.weights_bytes  # float32 on a card without bfloat16


def test_cards_without_wheels() -> None:
    p100 = Budget(visible_bytes=16 * 1024**3, compute_capability=(6, 0), name="P100")
    v100 = Budget(visible_bytes=16 * 1024**3, compute_capability=(7, 0), name="V100")
    assert "needs compute capability 7.0, P100 has 6.0" in plan_shape("opt-125m", p100, "0.19.1").reason
    assert "vLLM up to 0.19 runs on 7.0" in plan_shape("opt-125m", v100).reason
    assert plan_shape("opt-125m", v100, "0.19.1", dtype="float16").verdict is Verdict.FITS


def test_an_installed_engine_is_asked_before_the_table() -> None:
    def judge(methods: dict[str, int | None], name: str) -> str:
        engine = EngineAbilities(version=parse_version("0.33.0"), methods=methods)
        config = {"dtype": "float16", "quantization": name, "max_model_len": 1024}
        return plan(config, shipped_shape("qwen2.5-7b"), t4(), engine).reason

    assert "KV tokens" in judge({"awq": 75}, "awq")
    assert "needs compute capability 9.0, T4 has 7.5" in judge({"awq": 90}, "awq")
    assert "isn't in the installed vLLM 0.33.0" in judge({"awq": 75}, "torchao")
    assert "KV tokens" in judge({"house-made": None}, "house-made")


def test_another_builds_list_adds_floors_and_hides_nothing() -> None:
    def judge(methods: dict[str, int | None], name: str) -> str:
        engine = EngineAbilities(version=parse_version("0.33.0"), methods=methods, is_list_complete=False)
        config = {"dtype": "float16", "quantization": name, "max_model_len": 1024}
        return plan(config, shipped_shape("qwen2.5-7b"), t4(), engine).reason

    assert "needs compute capability 9.0, T4 has 7.5" in judge({"awq": 90}, "awq")
    assert "KV tokens" in judge({"awq": 75}, "torchao")
    assert "experts_int8 needs compute capability 8.0" in judge({"awq": 75}, "experts_int8")
    assert "isn't in vLLM 0.33.0 (last in 0.6.0)" in judge({"awq": 75}, "squeezellm")


def test_a_listed_method_that_a_cpu_does_not_run() -> None:
    engine = EngineAbilities(version=parse_version("0.32.0"), methods={"fp8": 75})
    found = plan({"quantization": "fp8", "max_model_len": 1024}, shipped_shape("opt-125m"), cpu(), engine)
    assert found.reason == "quantization fp8 doesn't run on vLLM's CPU backend: use awq or gptq"


def test_groups_that_ranks_would_split() -> None:
    # Qwen2.5-0.5B: 4,864 inputs over 2 ranks are 19 groups of 128; Gemma-2-2B's 9,216 over 8 ranks 9; DeepSeek's
    # 11,008 over 4 ranks are 21.5.
    many = Budget(visible_bytes=16 * 1024**3, num_gpus=8, compute_capability=(8, 6))
    config: dict[str, Any] = {"quantization": "awq", "dtype": "float16", "max_model_len": 1024}
    assert plan_shape("qwen2.5-3b", many, **config, tensor_parallel_size=2).verdict is Verdict.FITS
    found = plan_shape("deepseek-7b", many, **config, tensor_parallel_size=4)
    assert found.verdict is Verdict.UNSUPPORTED
    assert "2,752 MLP inputs a rank aren't whole groups of 128" in found.reason


def test_the_cpu_backend() -> None:
    given = {"max_model_len": 1024, "kv_cache_memory_bytes": 64 * 1024**2}
    assert plan_shape("opt-125m", cpu(), "0.32.0", **given, dtype="bfloat16").verdict is Verdict.FITS
    assert plan_shape("opt-125m", cpu(), "0.32.0", **given, kv_cache_dtype="fp8").verdict is Verdict.FITS
    found = plan_shape("opt-125m", cpu(), "0.32.0", **given, quantization="fp8")
    assert found.reason == "quantization fp8 doesn't run on vLLM's CPU backend: use awq or gptq"
