"""What a plan takes to be so of a version that wasn't read: said where the plan depends on it, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.planner.builders import GIB, cpu, plan_shape, shape_of, t4
from vbench.planner.abilities import EngineAbilities
from vbench.planner.assumptions import ASYNC_SCHEDULING, DEFAULT_UTILIZATION, HYBRID_CACHE
from vbench.planner.budget import parse_version
from vbench.planner.shipped import shipped_shape
from vbench.planner.verdict import plan

SLIDING: dict[str, Any] = {"dtype": "float32", "max_model_len": 4096, "gpu_memory_utilization": 0.9}


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        ("0.11.0", None),
        ("0.11.1", "0.9 (not 0.92)"),
        ("0.12.0", "0.92 (not 0.9)"),
        ("0.31.0", "0.92"),
        ("0.32.0", None),
    ],
)
def test_the_default_share(version: str, taken: str | None) -> None:
    found = plan_shape("qwen2.5-3b", t4(), version, dtype="float16", max_model_len=2048)
    assert len(found.assumptions) == (taken is not None)
    if taken is not None:
        assert f"vLLM {version} is taken to have the default gpu_memory_utilization {taken}" in found.assumptions[0]


@pytest.mark.parametrize("given", [{"gpu_memory_utilization": 0.9}, {"kv_cache_memory_bytes": GIB}])
def test_a_plan_that_does_not_depend_on_it_says_nothing(given: dict[str, Any]) -> None:
    assert plan_shape("qwen2.5-3b", t4(), "0.20.0", dtype="float16", max_model_len=2048, **given).assumptions == ()


def test_sliding_windows_depend_on_two() -> None:
    def said(version: str, **config: Any) -> list[bool]:
        found = " ".join(plan_shape("gemma-2-2b", t4(), version, **{**SLIDING, **config}).assumptions)
        return ["sliding window (" in found, "asynchronously by default" in found]

    assert said("0.20.0") == [True, True]
    assert said("0.33.0") == [False, False]
    assert said("0.10.2") == [True, False]  # asynchronous scheduling is known to be off up to 0.11.0
    assert said("0.20.0", async_scheduling=False) == [True, False]
    assert said("0.20.0", disable_hybrid_kv_cache_manager=True) == [False, False]
    ngram = {"method": "ngram", "num_speculative_tokens": 2}
    assert said("0.20.0", speculative_config=ngram) == [True, False]
    assert plan(
        SLIDING, shipped_shape("gemma-2-2b"), cpu(64 * GIB), EngineAbilities(version=(0, 20, 0))
    ).assumptions == (HYBRID_CACHE.said((0, 20, 0)),)


def test_one_kind_of_sliding_layers_needs_no_hybrid_manager() -> None:
    shape = shape_of(model_type="mistral", sliding_window=512)
    assert set(shape.layer_windows) == {512}
    found = plan({"gpu_memory_utilization": 0.9}, shape, t4(), EngineAbilities(version=(0, 20, 0)))
    assert found.assumptions == (ASYNC_SCHEDULING.said((0, 20, 0)),)


def test_every_assumption_is_taken_within_what_is_not_known() -> None:
    for one in (DEFAULT_UTILIZATION, HYBRID_CACHE, ASYNC_SCHEDULING):
        assert one.unsure_from <= one.taken_from <= one.unsure_until
        assert one.said(one.unsure_until) is None
        assert one.said(one.taken_from) != one.said(one.unsure_from)


def test_it_is_kept_in_the_plans_json() -> None:
    engine = EngineAbilities(version=parse_version("0.20.0"))
    entry = json.loads(json.dumps(plan({}, shipped_shape("opt-125m"), t4(), engine).as_json({})))
    assert entry["assumptions"] == [DEFAULT_UTILIZATION.said((0, 20, 0))]
