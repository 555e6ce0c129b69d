from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.records.builders import MIB, make_record
from vbench.analysis.headroom import headroom_bytes, headroom_share, memory_budget

GIB = 1024**3


@dataclass(frozen=True)
class Facts:
    """What a run's files say."""

    run: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)


ON_CPU = Facts(machine={"memory_bytes": 8 * GIB, "engine_platform": "cpu"})
T4 = {"index": 0, "name": "Tesla T4", "total_bytes": 15 * GIB}


def test_on_a_cpu_it_is_the_machines_memory() -> None:
    record = make_record(peak_mib=2048)
    budget = memory_budget(record, ON_CPU)
    assert budget is not None
    assert (budget.num_bytes, budget.what, budget.is_constraint) == (8 * GIB, "the machine’s memory", False)
    assert headroom_bytes(record, ON_CPU) == 6 * GIB
    assert headroom_share(record, ON_CPU) == 0.75


def test_what_the_engine_allows_itself_is_no_limit() -> None:
    record = make_record(peak_mib=2048, config={"gpu_memory_utilization": 0.3}, parameters={})
    assert headroom_bytes(record, ON_CPU) == 6 * GIB


def test_on_gpus_it_is_the_smallest_of_them() -> None:
    hardware = {"profile": "local-gpu", "gpus": [{**T4, "total_bytes": 16 * GIB}, T4], "memory_source": "NVML"}
    record = make_record(peak_mib=10 * 1024, hardware=hardware)
    budget = memory_budget(record, ON_CPU)  # the host's memory is not theirs
    assert budget is not None
    assert (budget.num_bytes, budget.what) == (15 * GIB, "each Tesla T4")
    assert headroom_bytes(record, ON_CPU) == 5 * GIB


def test_a_gpu_whose_size_is_not_known_leaves_it_open() -> None:
    record = make_record(hardware={"gpus": [T4, {"index": 1, "name": "Tesla T4"}]})
    assert memory_budget(record, Facts()) is None
    assert headroom_bytes(record, Facts()) is None


def test_an_emulated_card_counts_before_the_machine_and_for_each_gpu_that_a_process_stands_for() -> None:
    target = {"profile": "t4", "is_emulated": True, "limit_bytes": 2 * GIB}
    facts = Facts(run={"target": target}, machine=ON_CPU.machine)
    one = memory_budget(make_record(), facts)
    two = memory_budget(make_record(config={"tensor_parallel_size": 2}, parameters={}), facts)
    assert one is not None
    assert two is not None
    assert (one.num_bytes, one.what) == (2 * GIB, "the emulated t4")
    assert (two.num_bytes, two.what) == (4 * GIB, "2 emulated t4s together")


@pytest.mark.parametrize(
    "text", ["peak_memory_mib <= 1536", "peak_memory_gib < 1.5", "peak_memory_bytes <= 1610612736"]
)
def test_a_bound_of_the_sweep_is_a_budget_where_it_is_the_least(text: str) -> None:
    facts = Facts(run={"constraints": ["p95_ttft_s <= 4", text, "max_model_len >= 10"]}, machine=ON_CPU.machine)
    budget = memory_budget(make_record(), facts)
    assert budget is not None
    assert (budget.num_bytes, budget.what, budget.is_constraint) == (1536 * MIB, f"the constraint {text}", True)


def test_of_two_alike_the_hardware_is_named() -> None:
    facts = Facts(run={"constraints": ["peak_memory_gib <= 8"]}, machine=ON_CPU.machine)
    budget = memory_budget(make_record(), facts)
    assert budget is not None
    assert budget.what == "the machine’s memory"


def test_a_bound_above_what_there_is_is_none() -> None:
    facts = Facts(run={"constraints": ["peak_memory_gib <= 99"]}, machine=ON_CPU.machine)
    budget = memory_budget(make_record(), facts)
    assert budget is not None
    assert budget.num_bytes == 8 * GIB


def test_below_0_where_the_peak_is_over_it() -> None:
    facts = Facts(run={"constraints": ["peak_memory_mib <= 900"]})
    assert headroom_bytes(make_record(peak_mib=1000), facts) == -100 * MIB


@pytest.mark.parametrize(
    "run",
    [
        {"constraints": "peak", "target": []},
        {"constraints": [None, 3, "?"], "target": {"limit_bytes": "much"}},
        {"target": {"limit_bytes": float("nan")}},
        {"target": {"limit_bytes": True}},
    ],
)
def test_what_cannot_be_read_is_not_known(run: dict[str, Any]) -> None:
    assert memory_budget(make_record(hardware={}), Facts(run=run, machine={"memory_bytes": -1})) is None


def test_a_peak_that_was_not_measured_is_not_0() -> None:
    assert headroom_bytes(make_record(throughput=None), ON_CPU) is None
    assert headroom_share(make_record(throughput=None), ON_CPU) is None
