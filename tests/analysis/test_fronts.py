from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.analysis.factorial_builders import FASTEST
from tests.records.builders import make_record
from tests.report.search_builders import make_search_records
from vbench.analysis.fronts import Front, fronts
from vbench.analysis.pareto import pareto_front
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective


@dataclass(frozen=True)
class Facts:
    run: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)


CARD = Facts(run={"target": {"profile": "t4", "limit_bytes": 4000 * 1024**2, "is_emulated": True}})


def fronts_of(records: list[TrialRecord], facts: Facts = CARD) -> dict[str, Front]:
    return {one.cost.name: one for one in fronts(records, FASTEST, facts)}


def test_no_other_trial_beats_those_on_a_front() -> None:
    records = [
        make_record(0, 100.0, peak_mib=1000),
        make_record(1, 200.0, peak_mib=2000),
        make_record(2, 150.0, peak_mib=2500),  # beaten by 1
        make_record(3, 300.0, peak_mib=3000),
        make_record(4, 300.0, peak_mib=3000),  # alike with 3
        make_record(5, 300.0, peak_mib=3500),  # beaten by 3 in memory alone
        make_record(6, 900.0, peak_mib=500, outcome=Outcome.OVER_BUDGET),
        make_record(7, 900.0, peak_mib=500, constraint_violations={"x": 1.0}),
    ]
    front = fronts_of(records)["headroom"]
    assert front.trials == (3, 4, 1, 0)
    assert [point.trial for point in front.points] == [3, 4, 5, 1, 2, 0]
    assert front.points[0].x == 1000 * 1024**2  # 4,000 MiB less 3,000


def test_fronts_are_those_of_the_ranking() -> None:
    records = make_search_records()
    memory = Objective(metric="peak_memory_bytes", direction="minimize")
    front = fronts_of(records, Facts())["peak_memory_bytes"]
    assert list(front.trials) == [record.trial for record in pareto_front(records, (FASTEST, memory))]


def test_headroom_stands_for_memory_where_the_budget_is_known() -> None:
    records = [make_record(0, 100.0, peak_mib=1000), make_record(1, 200.0, peak_mib=2000)]
    assert "peak_memory_bytes" not in fronts_of(records)
    assert "headroom" not in fronts_of(records, Facts())
    assert fronts_of(records, Facts())["peak_memory_bytes"].trials == (1, 0)


def test_context_is_what_was_set_or_what_the_engine_said() -> None:
    records = [
        make_record(0, 100.0, engine_facts={"max_model_len": 4096}),
        make_record(1, 200.0, config={"max_model_len": 2048}),
        make_record(2, 150.0, parameters={"max_model_len": 2048}),
    ]
    front = fronts_of(records)["context"]
    assert [(point.trial, point.x, point.is_on_front) for point in front.points] == [
        (1, 2048, True),
        (2, 2048, False),
        (0, 4096, True),
    ]


def test_what_is_alike_in_all_trials_is_no_front() -> None:
    assert fronts_of([make_record(0, 100.0), make_record(1, 200.0)]).keys() == {"p95_e2e_latency_s"}
    assert fronts_of([make_record(0, 100.0)]) == {}
    assert fronts_of([]) == {}


def test_what_is_not_known_of_a_trial_leaves_it_out() -> None:
    records = [make_record(trial, 100.0 + trial, peak_mib=None if trial == 1 else 1000 + trial) for trial in range(3)]
    assert [point.trial for point in fronts_of(records)["headroom"].points] == [2, 0]


@pytest.mark.parametrize("name", ["p95_e2e_latency_s", "headroom"])
def test_the_objective_is_no_cost_of_its_own(name: str) -> None:
    records = [make_record(trial, 100.0 + trial, peak_mib=1000 + trial) for trial in range(3)]
    slowest = Objective(metric="p95_e2e_latency_s", direction="minimize")
    found = {one.cost.name: one for one in fronts(records, slowest, CARD)}
    assert (name in found) is (name == "headroom")
    assert found["headroom"].trials == (2, 1, 0)


def test_memory_costs_no_memory() -> None:
    smallest = Objective(metric="peak_memory_bytes", direction="minimize")
    records = [make_record(0, 100.0, peak_mib=1000), make_record(1, 200.0, peak_mib=2000)]
    found = [one.cost.name for one in fronts(records, smallest, CARD)]
    assert "headroom" not in found
    assert "peak_memory_bytes" not in found
