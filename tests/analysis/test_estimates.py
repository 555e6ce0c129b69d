"""Plans beside what came of them: by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_failure, make_record
from vbench.analysis.estimates import VerdictCount, check_estimates, count_verdicts, errors_of, is_comparable
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report.estimates_section import estimates_table

ESTIMATE = {"verdict": "fits", "per_gpu": {"weights_bytes": 2 * 1024**3, "kv_tokens": 1100}}
MIB = 1024**2


def test_errors_are_relative_to_what_the_engine_said() -> None:
    facts = {"weights_bytes": 2 * 1024**3, "kv_cache_tokens": 1000}
    (found,) = check_estimates([make_record(4, engine_facts=facts, estimate=ESTIMATE)])
    assert (found.trial, found.verdict) == (4, "fits")
    assert found.weights.error == 0
    assert found.kv_tokens.error == pytest.approx(0.1)
    (row,) = estimates_table([found]).rows
    assert row.cells[:8] == ("4", "fits", "2.00 GiB", "2.00 GiB", "±0.0%", "1,100", "1,000", "+10.0%")


def test_what_is_missing_is_none_and_what_says_nothing_is_left_out() -> None:
    silent = make_record(0, estimate=ESTIMATE)
    unplanned = make_record(1, engine_facts={"weights_bytes": 1})
    unknown = make_record(2, engine_facts={"weights_bytes": 1}, estimate={"verdict": "uncertain", "per_gpu": None})
    half = make_record(3, engine_facts={"kv_cache_tokens": 1000, "weights_bytes": True}, estimate=ESTIMATE)
    (found,) = check_estimates([silent, unplanned, unknown, half])
    assert found.trial == 3
    assert found.weights.error is None
    assert "–" in estimates_table([found]).rows[0].cells


def planned_peak(config: dict[str, Any] | None = None, **changes: Any) -> TrialRecord:
    estimate = {**ESTIMATE, "peak_bytes": 1200 * MIB}
    return make_record(0, engine_facts={"weights_bytes": 1}, estimate=estimate, config=config or {}, **changes)


def test_a_peak_is_held_against_the_most_that_was_planned() -> None:
    (found,) = check_estimates([planned_peak()])
    assert found.peak.error == pytest.approx(0.2)  # 1,200 planned, 1,000 measured
    for outcome in (Outcome.PRUNED, Outcome.CRASHED):
        (early,) = check_estimates([planned_peak(outcome=outcome)])
        assert early.peak.reported is None  # more might have come


def test_a_process_trees_peak_is_not_that_of_one_rank() -> None:
    (on_cpu,) = check_estimates([planned_peak({"tensor_parallel_size": 2})])
    assert on_cpu.peak.reported is None
    (on_gpus,) = check_estimates([planned_peak({"tensor_parallel_size": 2}, hardware={"gpus": [{"name": "Tesla T4"}]})])
    assert on_gpus.peak.reported == 1000 * MIB


def test_bias_and_spread() -> None:
    reported = (1000, 1100, 2200)  # of 1,100 planned: +10 %, 0 and −50 %
    checks = check_estimates(
        make_record(trial, engine_facts={"kv_cache_tokens": tokens}, estimate=ESTIMATE)
        for trial, tokens in enumerate(reported)
    )
    found = errors_of(checks, lambda one: one.kv_tokens)
    assert found is not None
    assert (found.count, found.median) == (3, 0.0)
    assert found.low == pytest.approx(-0.45)  # a tenth of the way from the lowest to the middle
    assert found.high == pytest.approx(0.09)
    assert errors_of(checks, lambda one: one.weights) is None


def test_what_came_of_each_verdict() -> None:
    refused = make_failure("planner_infeasible", phase="plan")
    fate: list[tuple[str, Outcome, Any]] = [
        ("fits", Outcome.COMPLETED, None),
        ("fits", Outcome.PRUNED, None),
        ("fits", Outcome.OUT_OF_MEMORY, make_failure()),
        ("fits", Outcome.CRASHED, make_failure("crashed")),
        ("uncertain", Outcome.OVER_BUDGET, make_failure("over_budget", phase="pass")),
        ("infeasible", Outcome.INFEASIBLE, refused),
    ]
    records = [
        make_record(trial, None, outcome=outcome, failure=failure, estimate={"verdict": verdict})
        for trial, (verdict, outcome, failure) in enumerate(fate)
    ]
    fits, uncertain, infeasible = count_verdicts([*records, make_record(9)])
    assert fits == VerdictCount(verdict="fits", fitted=2, no_memory=1, unclear=1)
    assert fits.tried == 3  # a crash tells nothing of memory
    assert uncertain == VerdictCount(verdict="uncertain", no_memory=1)
    assert infeasible == VerdictCount(verdict="infeasible", not_tried=1)


def test_a_cpu_that_stands_in_for_a_card_says_nothing_of_its_memory() -> None:
    emulated = {"target": {"is_emulated": True}}
    on_cpu = make_record(0)
    on_card = make_record(1, hardware={"gpus": [{"name": "NVIDIA A100-SXM4-80GB"}]})
    assert not is_comparable(on_cpu, emulated)
    assert is_comparable(on_card, emulated)
    assert is_comparable(on_cpu, {})
