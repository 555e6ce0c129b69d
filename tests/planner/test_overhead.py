"""The overhead's estimate beside every published log that it was fitted to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.planner.builders import GIB, plan_shape, rtx3090, t4
from vbench.planner.overhead import capture_sizes


@pytest.mark.parametrize(
    ("shape", "version", "config", "observed_gib"),
    [
        ("qwen2.5-3b", "0.18.1", {"enforce_eager": True, "max_num_batched_tokens": 2048}, 0.22),
        ("qwen2.5-3b", "0.18.1", {"enforce_eager": True, "tensor_parallel_size": 2}, 0.60),
        ("qwen2.5-7b", "0.30.0", {"quantization": "awq", "max_num_batched_tokens": 2048, "max_num_seqs": 16}, 1.24),
    ],
)
def test_within_the_stated_error(shape: str, version: str, config: dict[str, Any], observed_gib: float) -> None:
    plan = plan_shape(shape, t4(2), version, dtype="float16", max_model_len=4096, **config)
    assert plan.per_gpu is not None
    assert plan.error_bytes is not None
    estimate = plan.per_gpu.activation_bytes + (plan.per_gpu.graph_bytes if version >= "0.21" else 0)
    assert abs(estimate - observed_gib * GIB) < plan.error_bytes


def test_graphs() -> None:
    assert capture_sizes(32) == [1, 2, 4, 8, 16, 24, 32]
    assert len(capture_sizes(512)) == 51  # as the log of opt-125m counts them

    def graphs(version: str = "0.33.0", **config: Any) -> float:
        found = plan_shape("opt-125m", t4(), version, dtype="float16", **config).per_gpu
        assert found is not None
        return found.graph_bytes / GIB

    assert graphs(enforce_eager=True) == 0
    assert graphs() == pytest.approx(0.44, abs=0.05)  # 51 piecewise and 35 full
    assert graphs(max_num_seqs=16) == pytest.approx(0.04, abs=0.03)
    assert graphs("0.5.4") > 1


def test_a_bigger_card_gets_bigger_batches() -> None:
    small = plan_shape("qwen2.5-3b", rtx3090(), enforce_eager=True).per_gpu
    large = plan_shape("qwen2.5-3b", rtx3090(), enforce_eager=True, max_num_batched_tokens=16384).per_gpu
    assert small is not None
    assert large is not None
    # 8,192 more tokens x 3 x 11,008 x 2 B
    assert large.activation_bytes - small.activation_bytes == 8192 * 3 * 11008 * 2
