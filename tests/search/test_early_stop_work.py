"""What the rule that stops trials early leaves alone, and how it counts the work of a chunk."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.search.stopping import (
    ASKED,
    PLAN,
    SPREAD_OUT,
    chunk,
    learned,
    limit,
    message,
    probed,
    rule,
    steady,
    stopper_of,
    trial,
)  # fmt: skip
from vbench.records.record import TrialRecord
from vbench.search.early_stop import EarlyStop
from vbench.search.trial_stopper import Plan
from vbench.spec.types import Objective

# When nothing is stopped


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("p95_ttft_s", "minimize"),
        ("mean_itl_s", "minimize"),
        ("request_goodput_req_s", "maximize"),
        ("peak_memory_bytes", "minimize"),
        ("output_throughput_tok_s", "minimize"),
    ],
)
def test_other_objectives_stop_nothing(metric: str, direction: Any) -> None:
    early = EarlyStop(Objective(metric=metric, direction=direction), PLAN)
    for number in range(8):
        early.learn(probed(number, 200.0))

    assert early.stopper(ASKED) is None
    assert not early.wants_probe


def test_without_an_incumbent_or_known_work_nothing_is_stopped() -> None:
    violating = steady(0, 200.0, constraint_violations={"x <= 1": 1.0})

    assert rule().stopper(ASKED) is None
    assert learned(violating).stopper(ASKED) is None
    assert learned(steady(0, 200.0)).stopper(None) is None
    assert learned(steady(0, 200.0)).stopper([100] * 9) is None


def test_a_single_pass_has_no_spread_to_be_judged_by() -> None:
    early = learned(*(trial(n, [200.0], warmup=100.0) for n in range(6)), plan=Plan(prompts=10, passes=1))

    assert stopper_of(early).limit_s("pass", 0) is None
    assert stopper_of(early).limit_s("warmup", 0) is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "timed"},
        {"kind": "timed", "duration_s": 0.0, "requests": {"output_tokens": [1]}},
        {"kind": "timed", "duration_s": math.nan, "requests": {"output_tokens": [1]}},
        {"kind": "timed", "duration_s": 1.0, "requests": {"output_tokens": "x"}},
        {"kind": "timed", "duration_s": 1.0, "requests": None},
        {"kind": "timed", "duration_s": 1.0, "requests": {"output_tokens": []}},
    ],
)
def test_a_pass_that_cant_be_read_ends_the_judging(broken: dict[str, Any]) -> None:
    stopper = stopper_of(learned(steady(0, 200.0)))
    limit(stopper, "pass")
    stopper.passed(broken)

    assert stopper.limit_s("pass", 1) is None


def test_a_second_try_starts_afresh() -> None:
    stopper = stopper_of(learned(steady(0, 200.0)))
    first = limit(stopper, "pass")
    stopper.passed(message(chunk("timed", 0, 150.0)))
    stopper.limit_s("warmup", 0)

    assert limit(stopper, "pass") == first


def test_an_engine_that_others_wait_for_isnt_ended_for_less_than_its_start() -> None:
    early = learned(steady(0, 200.0))
    # Two passes of a little over 5 s are spared by stopping in the first, one by stopping in the second.
    assert stopper_of(early, restart_s=9.0).limit_s("pass", 0) is not None
    assert stopper_of(early, restart_s=9.0).limit_s("pass", 1) is None
    assert stopper_of(early, restart_s=30.0).limit_s("pass", 0) is None


# The work


def test_the_probes_work_is_that_of_its_prompts() -> None:
    asked = [10 * (n + 1) for n in range(10)]
    early = learned(*(probed(n, rate) for n, rate in enumerate(SPREAD_OUT)))
    by_length, even = early.stopper(asked), early.stopper([55] * 10)
    assert by_length is not None
    assert even is not None

    assert PLAN.probed == [0, 5]
    assert limit(by_length, "probe") / limit(even, "probe") == pytest.approx((10 + 60) / 110)
    assert limit(by_length, "pass") == pytest.approx(limit(even, "pass"))


def test_most_tokens_leave_more_time() -> None:
    """Answers that stop by themselves: ratios come from what was generated, limits from what may be."""
    early = learned(*(steady(n, 200.0) for n in range(6)))
    exact, bound = stopper_of(early), early.stopper([400] * 10)
    assert bound is not None

    assert limit(bound, "pass") == pytest.approx(4 * limit(exact, "pass"))


def test_requests_need_no_tokens() -> None:
    early = learned(*(steady(n, 200.0) for n in range(6)), metric="request_throughput_req_s")
    plain = learned(*(steady(n, 200.0) for n in range(6)))
    stopper = early.stopper(None)
    assert stopper is not None

    assert limit(stopper, "pass") == pytest.approx(limit(stopper_of(plain), "pass"))


def test_prompt_tokens_count_where_the_objective_counts_them() -> None:
    early = learned(*(steady(n, 200.0) for n in range(6)), metric="total_token_throughput_tok_s")

    assert early.best is not None
    assert early.best.value == 300.0
    assert stopper_of(early).work == (1500.0, 300.0)


def test_prompt_lengths_that_differ_are_taken_at_their_longest() -> None:
    def with_inputs(number: int, tokens: list[int]) -> TrialRecord:
        record = steady(number, 200.0)
        passes = [
            one.model_copy(update={"requests": one.requests.model_copy(update={"input_tokens": tokens})})
            if one.kind == "timed"
            else one
            for one in record.passes
        ]
        return record.model_copy(update={"passes": passes, "measurements": {"total_token_throughput_tok_s": 300.0}})

    first, second = [10, 90] * 5, [20, 80] * 5
    early = learned(with_inputs(0, first), with_inputs(1, second), metric="total_token_throughput_tok_s")

    assert stopper_of(early).work == (1000.0 + 5 * 110, 200.0 + 20 + 90)
