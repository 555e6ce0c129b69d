from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.comparison_builders import THROUGHPUT, make_side, passes_of, prompts_of, two_sides
from tests.analysis.test_disturbance import make_hosted
from tests.records.builders import make_failure, make_record
from vbench.analysis.comparability import missing, notes, refusals
from vbench.analysis.remeasure import remeasured
from vbench.outcome import Outcome
from vbench.records.record import Stopped
from vbench.spec.types import Objective

STOPPED = Stopped(phase="pass", after_s=1.0, bound=150.0, incumbent_trial=1, incumbent_value=400.0, error_rate=0.05)
LATENCY = "p95_ttft_s"


def test_two_trials_of_the_same_work_are_comparable() -> None:
    a, b = two_sides()
    assert refusals(a, b, THROUGHPUT) == refusals(a, b, LATENCY) == []
    assert notes(a, b) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param(
            {"prompt_set": prompts_of(sha256="cd" * 32, source="other.jsonl")},
            ["prompt sets differ", "prompts/ten.jsonl", "other.jsonl"],
            id="prompts",
        ),
        pytest.param(
            {"prompt_set": prompts_of(sha256="cd" * 32, output_tokens=64)},
            ["output lengths", "100 tokens in A", "64 tokens in B"],
            id="lengths asked",
        ),
        pytest.param(
            {"prompt_set": prompts_of(sha256="cd" * 32, output_tokens=None)}, ["until it stops in B"], id="until stop"
        ),
        pytest.param(
            {"passes": passes_of([210.0, 212.0], [100] * 9 + [40])}, ["1,000 a pass in A", "940 in B"], id="made"
        ),
        pytest.param({"engine": "fake"}, ["B is an estimate and A a measurement"], id="estimate"),
        pytest.param(
            {"outcome": Outcome.PRUNED, "stopped": STOPPED}, ["B, trial 0, was stopped early", "estimate"], id="pruned"
        ),
        pytest.param(
            {"outcome": Outcome.OUT_OF_MEMORY, "failure": make_failure("gpu_out_of_memory")},
            ["B, trial 0, wasn't measured: out of memory (gpu_out_of_memory)"],
            id="failed",
        ),
    ],
)
def test_what_is_not_comparable_is_refused_with_its_reason(changes: dict[str, Any], words: list[str]) -> None:
    reasons = "\n".join(refusals(*two_sides(**changes), THROUGHPUT))
    for word in words:
        assert word in reasons


def test_every_reason_is_named_at_once() -> None:
    a, b = two_sides(engine="fake", prompt_set=prompts_of(sha256="cd" * 32))
    assert len(refusals(a, b, THROUGHPUT)) == 2


def test_a_trial_is_not_compared_with_itself() -> None:
    side = make_side(make_record(3))
    assert refusals(side, side, THROUGHPUT) == ["both are old/1:3: name two trials"]


def test_a_metric_that_one_side_lacks_is_refused_by_its_name() -> None:
    a, b = two_sides(peak_mib=None)
    assert refusals(a, b, THROUGHPUT) == []
    assert refusals(a, b, "peak_memory_bytes") == [
        "peak_memory_bytes wasn't measured in B: choose another with --metric"
    ]
    assert "A and B" in str(missing(a, b, "p95_itl_s"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param({"mode": "offline"}, {"mode": "server"}, id="mode"),
        pytest.param(
            {"mode": "server", "load": {"request_rate": 2}}, {"mode": "server", "load": {"request_rate": 4}}, id="load"
        ),
    ],
)
def test_latencies_of_another_way_of_calling_are_refused_and_throughputs_noted(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    a, b = make_side(make_record(0, config=ours)), make_side(make_record(1, config=theirs))
    assert refusals(a, b, THROUGHPUT) == []
    assert any("latencies aren't compared" in note for note in notes(a, b))
    (reason,) = refusals(a, b, LATENCY)
    assert "a latency depends on how requests are sent" in reason


def test_a_load_has_no_part_in_it_offline() -> None:
    a = make_side(make_record(0, config={"load": {"request_rate": 2}}))
    b = make_side(make_record(1, config={}))
    assert refusals(a, b, LATENCY) == []


def test_a_given_rate_is_noted() -> None:
    config = {"mode": "server", "load": {"request_rate": 2}}
    a, b = make_side(make_record(0, config=config)), make_side(make_record(1, config=config))
    assert any("kept up" in note for note in notes(a, b))


def test_goodput_with_other_bounds_is_refused() -> None:
    measured = {**make_record(0).measurements, "request_goodput_req_s": 2.0}
    a = make_side(make_record(0, config={"goodput": {"ttft": 500}}, measurements=measured))
    b = make_side(make_record(1, config={"goodput": {"ttft": 900}}, measurements=measured))
    assert refusals(a, b, THROUGHPUT) == []
    assert refusals(a, b, "request_goodput_req_s") == [
        "request_goodput_req_s isn't comparable: the bounds of `goodput` differ"
    ]


def test_prompts_that_are_other_tokens_leave_the_total_throughput_out() -> None:
    a, b = two_sides(prompt_set=prompts_of(input_tokens=620))
    assert refusals(a, b, THROUGHPUT) == []
    assert "other numbers of tokens" in str(missing(a, b, "total_token_throughput_tok_s"))


def test_another_model_and_another_card_are_allowed_and_named() -> None:
    gpus = {"gpus": [{"name": "NVIDIA RTX 3090"}, {"name": "NVIDIA RTX 3090"}]}
    a, b = two_sides(config={"model": "org/other"}, hardware=gpus)
    assert refusals(a, b, THROUGHPUT) == []
    assert notes(a, b) == [
        "The models differ: org/model-1b in A, org/other in B.",
        "The hardware differs: Example CPU, 2 cores in A, 2 × NVIDIA RTX 3090 in B.",
    ]


def test_what_makes_numbers_less_than_measurements_is_noted() -> None:
    a = make_side(make_record(0, engine="fake", environment={"worker_start": "fork"}))
    b = make_side(
        make_record(1, engine="fake", outcome=Outcome.OVER_BUDGET, environment={"worker_start": "reused"}),
        is_emulated=True,
        objective=Objective(metric="startup_s", direction="minimize"),
    )
    said = " ".join(notes(a, b))
    for words in ("fake engine", "over its memory budget", "smaller card's memory", "(fork, reused)", "startup_s in B"):
        assert words in said


def test_a_side_that_was_disturbed_is_named_with_the_cause() -> None:
    hosted = make_hosted(busy_cores=7.9, foreign_cores=3.0)
    a, b = make_side(make_hosted()), make_side(hosted, "new/1")
    assert notes(a, b) == ["B was likely hurt by what else the machine did: other processes took 3.0 of 8 cores."]

    finals = [
        one.model_copy(update={"trial": trial, "origin": "final", "repeat_of": 0})
        for trial, one in ((1, hosted), (2, make_hosted()))
    ]
    (stands,) = remeasured([hosted, *finals])
    assert notes(a, make_side(stands, "new/1", records=[hosted, *finals])) == [
        "B was likely hurt in 1 of its 2 trials by what else the machine did: other processes took 3.0 of 8 cores."
    ]


def test_of_a_trial_that_was_stopped_only_that_is_said() -> None:
    a, b = two_sides(outcome=Outcome.PRUNED, stopped=STOPPED, passes=[])
    assert refusals(a, b, THROUGHPUT) == [
        "B, trial 0, was stopped early: what is known of it is an estimate of how good it is"
    ]
