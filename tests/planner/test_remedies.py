"""Remedies of a KV space that was given: too large for the card or too small for one request, in its own unit."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.planner.builders import GIB, cpu, plan_shape, t4
from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import Budget, parse_version
from vbench.planner.settings import SpaceVariable
from vbench.planner.shipped import shipped_shape
from vbench.planner.verdict import Plan, Verdict, plan

MIB = 1024**2
AWQ: dict[str, Any] = {"dtype": "float16", "enforce_eager": True, "quantization": "awq", "max_model_len": 4096}
ANSWER = "a smaller model, or a bigger card"


def bound(found: Plan, phrase: str) -> int:
    """The number after `phrase` in the one remedy that has it."""
    (said,) = (one for one in found.remedies if one.startswith(phrase))
    number = re.search(r"[\d,]+", said.removeprefix(phrase))
    assert number is not None
    return int(number.group().replace(",", ""))


def with_variable(gib: int, budget: Budget, shape: str = "qwen2.5-3b", version: str = "0.32.0", **config: Any) -> Plan:
    variable = SpaceVariable(name="VLLM_CPU_KVCACHE_SPACE", gib=gib)
    engine = EngineAbilities(version=parse_version(version))
    return plan(config, shipped_shape(shape), budget, engine, space_variable=variable)


def test_a_space_too_large_for_the_card_is_bounded_to_the_mib() -> None:
    found = plan_shape("qwen2.5-7b", t4(), **AWQ, kv_cache_memory_bytes=12 * GIB)
    assert found.verdict is Verdict.INFEASIBLE
    assert "short on the GPU with kv_cache_memory_bytes 12,884,901,888" in found.reason
    assert ANSWER not in found.reason
    most = bound(found, "kv_cache_memory_bytes ≤ ")
    assert most % MIB == 0
    at, above = (plan_shape("qwen2.5-7b", t4(), **AWQ, kv_cache_memory_bytes=most + extra) for extra in (0, MIB))
    assert at.margin_bytes is not None
    assert above.margin_bytes is not None
    assert above.margin_bytes < 0 <= at.margin_bytes
    assert at.verdict.is_tried


def test_no_bound_that_one_request_would_not_fit_in() -> None:
    # DeepSeek-7B: 12.87 GiB of weights leave about a GiB, and 4,096 tokens of 491,520 bytes take 1.9.
    found = plan_shape("deepseek-7b", t4(), dtype="float16", enforce_eager=True, max_model_len=4096,
                       max_num_batched_tokens=2048, max_num_seqs=16, kv_cache_memory_bytes=3 * GIB)  # fmt: skip
    assert found.verdict is Verdict.INFEASIBLE
    assert not any("kv_cache_memory_bytes" in one for one in found.remedies)
    short = plan_shape("deepseek-7b", t4(), dtype="float16", enforce_eager=True, max_model_len=1024,
                       max_num_batched_tokens=1024, max_num_seqs=16, kv_cache_memory_bytes=3 * GIB)  # fmt: skip
    assert bound(short, "kv_cache_memory_bytes ≤ ") >= 65 * 16 * 491_520  # 64 blocks of a request, and the null block


def test_a_space_too_small_is_raised_only_where_the_card_has_it() -> None:
    small: dict[str, Any] = {**AWQ, "max_model_len": 32768, "kv_cache_memory_bytes": GIB}
    assert bound(plan_shape("qwen2.5-7b", t4(), **small), "kv_cache_memory_bytes ≥ ") == 1793 * MIB
    tight = Budget(visible_bytes=7 * GIB, compute_capability=(7, 5), name="T4")
    found = plan_shape("qwen2.5-7b", tight, **small)
    assert found.verdict is Verdict.INFEASIBLE
    assert "kv_cache_memory_bytes 1,073,741,824 is 0.75 GiB short of one request of 32,768 tokens" in found.reason
    assert not any("≥" in one for one in found.remedies)


def test_blocks_are_bounded_in_blocks() -> None:
    found = plan_shape("qwen2.5-7b", t4(), **AWQ, num_gpu_blocks_override=20_000)
    assert "with num_gpu_blocks_override 20,000" in found.reason
    most = bound(found, "num_gpu_blocks_override ≤ ")
    tried = [plan_shape("qwen2.5-7b", t4(), **AWQ, num_gpu_blocks_override=most + extra) for extra in (0, 1)]
    assert [(one.margin_bytes or 0) >= 0 for one in tried] == [True, False]


def test_weights_that_fill_the_card_alone_leave_nothing_to_bound() -> None:
    found = plan_shape("qwen2.5-14b", t4(), dtype="float16", enforce_eager=True, quantization="fp8",
                       max_model_len=1024, kv_cache_memory_bytes=GIB)  # fmt: skip
    assert found.verdict is Verdict.INFEASIBLE
    assert not any("kv_cache_memory_bytes" in one for one in found.remedies)


@pytest.mark.parametrize(("gib", "relation"), [(1, "≥"), (64, "≤")])
def test_a_variable_is_named_in_whole_gib(gib: int, relation: str) -> None:
    config: dict[str, Any] = {"dtype": "bfloat16", "max_model_len": 32768}  # 36,864 bytes a token: 1.13 GiB
    found = with_variable(gib, cpu(24 * GIB), **config)
    assert found.verdict is Verdict.INFEASIBLE
    assert f"VLLM_CPU_KVCACHE_SPACE {gib} (GiB)" in found.reason
    assert "kv_cache_memory_bytes" not in found.reason
    value = bound(found, f"VLLM_CPU_KVCACHE_SPACE {relation} ")
    assert with_variable(value, cpu(24 * GIB), **config).verdict.is_tried
    beyond = with_variable(value - 1 if relation == "≥" else value + 1, cpu(24 * GIB), **config)
    assert beyond.verdict is not Verdict.FITS


def test_a_variable_is_not_the_argument_that_came_later() -> None:
    assert with_variable(2, cpu(24 * GIB), version="0.8.5", max_model_len=2048).verdict is Verdict.FITS
    given = with_variable(2, cpu(24 * GIB), version="0.8.5", max_model_len=2048, kv_cache_memory_bytes=GIB)
    assert "0.10.2" in given.reason
