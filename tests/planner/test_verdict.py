"""Verdicts: what fits, what may, what can't and what to change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.planner.builders import GIB, T4_VISIBLE, cpu, plan_shape, rtx3090, shape_of, t4
from vbench.planner.budget import Budget
from vbench.planner.learning import Correction
from vbench.planner.shape import NotModelled
from vbench.planner.shipped import shipped_shape
from vbench.planner.verdict import Verdict, plan

DEEPSEEK: dict[str, Any] = {"dtype": "float16", "gpu_memory_utilization": 0.9, "max_model_len": 4096}


def test_deepseek_7b_does_not_fit_one_t4() -> None:
    found = plan_shape("deepseek-7b", t4(2), **DEEPSEEK)
    assert found.verdict is Verdict.INFEASIBLE
    assert "the weights (12.87 GiB)" in found.reason
    assert "quantization awq, or tensor_parallel_size 2" in found.reason
    assert found.per_gpu is not None
    # 0.9 x 15,636,037,632, rounded up
    assert found.per_gpu.budget_bytes == 14_072_433_869


def test_deepseek_7b_fits_two_t4s_and_one_with_awq() -> None:
    two = plan_shape("deepseek-7b", t4(2), **DEEPSEEK, tensor_parallel_size=2)
    awq = plan_shape("deepseek-7b", t4(), **DEEPSEEK, quantization="awq")
    for found, token_bytes in ((two, 245_760), (awq, 491_520)):
        assert found.verdict is Verdict.FITS
        assert found.per_gpu is not None
        assert found.per_gpu.kv_bytes_per_token == token_bytes
        assert found.per_gpu.kv_tokens > 3 * 4096
        assert found.kv_blocks is not None
        assert found.kv_blocks * 16 == found.per_gpu.kv_tokens
        # Weights, overhead and the pool make up the budget, but for less than a block.
        per = found.per_gpu
        used = per.weights_bytes + per.activation_bytes + per.graph_bytes + found.kv_blocks * 16 * token_bytes
        assert 0 <= per.budget_bytes - used < 16 * token_bytes


def test_a_long_context_is_cut_to_what_fits() -> None:
    found = plan_shape("qwen2.5-7b", t4(), dtype="float16", enforce_eager=True, max_num_batched_tokens=2048,
                       quantization="fp8", max_model_len=32768, kv_cache_memory_bytes=GIB)  # fmt: skip
    assert found.verdict is Verdict.INFEASIBLE
    # 1 GiB / (16 x 57,344) = 1,170 blocks, less the null block: 1,169 x 16 = 18,704 tokens -> 18,688 in 256s.
    assert "max_model_len ≤ 18,688" in found.reason
    # 2,048 blocks and the null block: 2,049 x 917,504 B, rounded up to a MiB.
    assert "kv_cache_memory_bytes ≥ 1,880,096,768" in found.reason
    again = plan_shape("qwen2.5-7b", t4(), dtype="float16", enforce_eager=True, max_num_batched_tokens=2048,
                       quantization="fp8", max_model_len=18688, kv_cache_memory_bytes=GIB)  # fmt: skip
    assert again.verdict is Verdict.FITS


def test_near_the_limit_it_is_tried() -> None:
    config: dict[str, Any] = {
        "dtype": "float16", "enforce_eager": True, "max_num_batched_tokens": 2048, "gpu_memory_utilization": 0.9,
    }  # fmt: skip
    verdicts = [
        plan_shape("qwen2.5-3b", Budget(visible_bytes=round(size * GIB), compute_capability=(7, 5)), **config,
                   max_model_len=2048).verdict
        for size in (6.0, 7.0, 8.0)
    ]  # fmt: skip
    assert verdicts == [Verdict.INFEASIBLE, Verdict.UNCERTAIN, Verdict.FITS]


def test_a_learnt_margin_is_narrower() -> None:
    config = {"dtype": "float16", "enforce_eager": True, "max_num_batched_tokens": 2048, "gpu_memory_utilization": 0.9,
              "max_model_len": 2048}  # fmt: skip
    budget = Budget(visible_bytes=7 * GIB, compute_capability=(7, 5))
    shape = shipped_shape("qwen2.5-3b")
    assert plan(config, shape, budget).verdict is Verdict.UNCERTAIN
    learnt = Correction(shift_bytes=-GIB // 4, error_bytes=GIB // 16)
    assert plan(config, shape, budget, correction=learnt).verdict is Verdict.FITS
    learnt = Correction(shift_bytes=GIB // 2, error_bytes=GIB // 16)
    assert plan(config, shape, budget, correction=learnt).verdict is Verdict.INFEASIBLE


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"tensor_parallel_size": 3}, "28 attention heads can't be divided by tensor_parallel_size 3: use 1 or 2"),
        ({"tensor_parallel_size": 4}, "it takes 4 GPUs (tensor × pipeline × replicas) and there are 2 GPUs"),
        ({"tensor_parallel_size": 2, "replicas": 2}, "it takes 4 GPUs"),
        ({"max_model_len": 65536}, "max_model_len 65,536 is more than the model's own 32,768"),
        ({"max_num_batched_tokens": 64}, "max_num_batched_tokens 64 is less than max_num_seqs"),
        ({"enable_chunked_prefill": False, "max_num_batched_tokens": 2048}, "without chunked prefill"),
        ({"gpu_memory_utilization": 1.4}, "gpu_memory_utilization 1.4 is not above 0 and at most 1"),
        ({"gpu_memory_utilization": "most"}, "gpu_memory_utilization 'most'"),
        ({"max_model_len": -5}, "max_model_len -5 is not a whole number"),
        ({"tensor_parallel_size": True}, "tensor_parallel_size True"),
        ({"block_size": 1.5}, "block_size 1.5"),
        ({"dtype": "floot16"}, "did you mean float16?"),
        ({"speculative_config": {"method": "ngram"}}, "speculative_config lacks num_speculative_tokens"),
    ],
)
def test_contradictions_and_absurd_values(config: dict[str, Any], says: str) -> None:
    found = plan_shape(
        "qwen2.5-7b", t4(2), **{"dtype": "float16", "quantization": "awq", "max_num_seqs": 256, **config}
    )
    assert found.verdict is Verdict.INFEASIBLE
    assert says in found.reason


def test_a_checkpoint_of_another_method() -> None:
    shape = shape_of(quantization_config={"quant_method": "awq", "bits": 4, "group_size": 64})
    assert "quantized as awq, not gptq" in plan({"quantization": "gptq"}, shape, t4()).reason
    assert plan({"quantization": "awq_marlin"}, shape, t4()).verdict is Verdict.FITS


def test_what_is_not_modelled_is_tried() -> None:
    found = plan({}, NotModelled(model_type="mamba", reason="a state-space model"), t4())
    assert found.verdict is Verdict.UNCERTAIN
    assert found.verdict.is_tried
    assert "mamba isn't modelled" in found.reason
    assert found.per_gpu is None


def test_as_long_as_fits() -> None:
    found = plan_shape("deepseek-7b", t4(), **{**DEEPSEEK, "max_model_len": -1, "quantization": "awq"})
    assert found.verdict is Verdict.FITS
    assert found.max_model_len == 4096
    short = plan_shape("qwen2.5-7b", t4(), dtype="float16", quantization="awq", max_model_len="auto",
                       kv_cache_memory_bytes=GIB // 4)  # fmt: skip
    assert short.max_model_len == 291 * 16  # 268,435,456 // 917,504 = 292 blocks, less the null block


def test_a_draft_model_takes_its_share() -> None:
    speculative = {"method": "draft_model", "model": "Qwen/Qwen2.5-0.5B-Instruct", "num_speculative_tokens": 5}
    config = {"dtype": "float16", "max_model_len": 4096, "speculative_config": speculative}
    alone = plan({"dtype": "float16", "max_model_len": 4096}, shipped_shape("qwen2.5-3b"), t4())
    both = plan(config, shipped_shape("qwen2.5-3b"), t4(), draft=shipped_shape("qwen2.5-0.5b"))
    assert alone.per_gpu is not None
    assert both.per_gpu is not None
    assert both.per_gpu.weights_bytes - alone.per_gpu.weights_bytes == 494_032_768 * 2
    # 24 layers x 2 heads x 2 x 64 x 2 B
    assert both.per_gpu.kv_bytes_per_token - alone.per_gpu.kv_bytes_per_token == 12_288
    unknown = plan(config, shipped_shape("qwen2.5-3b"), t4())
    assert unknown.warnings == ("the draft model's shape isn't known: its memory isn't counted",)


def test_a_checkpoints_own_bytes_count() -> None:
    shape = shape_of(model_type="novel")
    found = plan({}, shape, t4(), checkpoint_bytes=1_000_000_000).per_gpu
    assert found is not None
    assert found.weights_bytes == 1_000_000_000


def test_too_full_a_card_is_warned_of() -> None:
    assert plan_shape("qwen2.5-3b", t4(), dtype="float16", gpu_memory_utilization=0.9).warnings == ()
    assert (
        "run out of memory under load"
        in plan_shape("qwen2.5-3b", t4(), dtype="float16", gpu_memory_utilization=0.97).warnings[0]
    )


def test_memory_that_is_not_free() -> None:
    budget = Budget(visible_bytes=16 * GIB, free_bytes=8 * GIB, kind="cpu")
    found = plan_shape("opt-125m", budget, gpu_memory_utilization=0.9)
    assert found.verdict is Verdict.INFEASIBLE
    assert "asks for 14.40 GiB and 8.00 GiB are free: use at most 0.5" in found.reason
    assert plan_shape("opt-125m", budget, gpu_memory_utilization=0.4).verdict is Verdict.FITS


def test_the_cpu_engines_own_rules() -> None:
    found = plan_shape("opt-125m", cpu(), max_model_len=1024, kv_cache_memory_bytes=64 * 1024**2)
    assert found.verdict is Verdict.FITS
    assert (found.block_size, found.kv_blocks) == (128, 14)  # 64 MiB / (128 x 36,864)
    small = plan_shape("opt-125m", cpu(), max_model_len=2048, kv_cache_memory_bytes=64 * 1024**2)
    assert small.verdict is Verdict.INFEASIBLE
    assert "max_model_len ≤ 1,536" in small.reason  # 13 blocks of 128 = 1,664
    ram = plan_shape("qwen2.5-7b", cpu(), max_model_len=1024, kv_cache_memory_bytes=64 * 1024**2)
    assert ram.verdict is Verdict.INFEASIBLE
    assert "short of RAM" in ram.reason


def test_older_versions() -> None:
    assert "0.10.2" in plan_shape("opt-125m", rtx3090(), "0.8.5", kv_cache_memory_bytes=GIB).reason
    before, after = (plan_shape("opt-125m", rtx3090(), version) for version in ("0.8.5", "0.33.0"))
    assert before.per_gpu is not None
    assert after.per_gpu is not None
    assert before.per_gpu.budget_bytes < after.per_gpu.budget_bytes  # a default of 0.90, now 0.92


def test_as_json() -> None:
    config = {"dtype": "float16", "model": "x"}
    entry = json.loads(json.dumps(plan(config, shipped_shape("opt-125m"), t4()).as_json(config)))
    assert entry["config"] == config
    assert entry["verdict"] == "fits"
    assert set(entry["per_gpu"]) == {
        "weights_bytes", "kv_bytes_per_token", "kv_tokens", "activation_bytes", "graph_bytes", "context_bytes",
        "total_bytes", "budget_bytes",
    }  # fmt: skip
    assert entry["per_gpu"]["budget_bytes"] < T4_VISIBLE
