from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_failure, make_pass, make_record
from tests.report.search_builders import make_final, make_search_records, make_stopped
from vbench.analysis.effects import effects
from vbench.analysis.failures import group_failures
from vbench.analysis.search_work import (
    Counts,
    count_trials,
    finalists,
    random_arm,
    saved_by_stops,
    search_arm,
    spent_by_part,
)
from vbench.analysis.timing import time_split
from vbench.analysis.wording import bound_text, explain_stop
from vbench.outcome import Outcome
from vbench.records.record import Phase, Stopped
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
QUICKEST = Objective(metric="p95_ttft_s", direction="minimize")


def test_trials_are_counted_by_what_became_of_them() -> None:
    assert count_trials(make_search_records()) == Counts(
        started=12, refused=1, pruned=4, failed=1, reused=2, random=4, finals=4, interference=0
    )
    check = make_record(1, origin="interference", repeat_of=0)
    assert count_trials([make_record(0, origin="run"), check]).interference == 1


def test_a_stopped_trial_is_no_failure() -> None:
    crashed = make_record(1, None, outcome=Outcome.CRASHED, failure=make_failure("died"))
    assert [group.trials for group in group_failures([make_stopped(0), crashed])] == [(1,)]


def test_a_bound_is_no_value_of_a_parameter() -> None:
    records = [
        make_record(0, 100.0, parameters={"x": 1}),
        make_record(1, 300.0, parameters={"x": 1}),
        make_stopped(2, bound=290.0, parameters={"x": 1}),
        make_record(3, None, outcome=Outcome.CRASHED, failure=make_failure(), parameters={"x": 1}),
        make_record(4, 900.0, origin="interference", repeat_of=0, parameters={"x": 1}),
    ]
    ((value,),) = (effect.values for effect in effects(records, FASTEST))
    assert (value.num_trials, value.num_pruned, value.num_failed) == (4, 1, 1)
    assert value.results == ((0, 100.0), (1, 300.0))
    assert (value.median, value.best) == (200.0, 300.0)  # the bound, 290, would make the median 290
    assert value.bounds == ((2, 290.0),)


def test_a_pass_that_was_cut_off_counts_as_far_as_it_came() -> None:
    # load 20 s, a warm-up of 4 s, then 1.3 s of the first timed pass; 0.5 s to a clean machine, 0.2 s more
    split = time_split(make_stopped(0))
    assert (split.startup_s, split.probe_s, split.warmup_s) == (20.0, 0.0, 4.0)
    assert [split.timed_s, split.closing_s, split.other_s] == pytest.approx([1.3, 0.5, 0.2])
    probed = time_split(make_stopped(0, "probe"))
    assert [probed.probe_s, probed.warmup_s, probed.timed_s] == pytest.approx([1.3, 0.0, 0.0])
    spent = spent_by_part([make_stopped(0), make_stopped(1, "probe")])
    assert [spent["startup_s"], spent["probe_s"], spent["warmup_s"]] == pytest.approx([40.0, 1.3, 4.0])


def test_a_pass_that_was_dropped_was_timed_all_the_same() -> None:
    record = make_record(0, [200.0, 400.0])
    first, second = [one for one in record.passes if one.kind == "timed"]
    whole = time_split(record)
    dropped = first.model_copy(update={"kind": "unsettled"})
    passes = [dropped if one is first else one for one in record.passes]

    assert time_split(record.model_copy(update={"passes": passes})) == whole
    assert whole.timed_s == pytest.approx(first.duration_s + second.duration_s)


def test_what_a_stop_saved_is_estimated_from_the_passes_that_were_left() -> None:
    # The others make one warm-up and two timed passes. Trial 1 had a warm-up of 4 s and 1.3 s of the first timed one:
    # two passes of 4 s were to come, less the 1.3 s.
    incumbent = make_record(0, [400.0, 400.0])
    assert saved_by_stops([incumbent, make_stopped(1, incumbent=0)]) == {1: pytest.approx(6.7)}


def test_a_stop_saves_passes_that_would_have_been_dropped_too() -> None:
    incumbent = make_record(0, [400.0, 400.0, 400.0])
    passes = [
        one.model_copy(update={"kind": "unsettled"}) if (one.kind, one.index) == ("timed", 0) else one
        for one in incumbent.passes
    ]
    assert sum(one.kind == "unsettled" for one in passes) == 1
    # Three passes of 4 s were to come, less 1.3 s.
    records = [incumbent.model_copy(update={"passes": passes}), make_stopped(1, incumbent=0)]
    assert saved_by_stops(records) == {1: pytest.approx(10.7)}


@pytest.mark.parametrize(("phase", "seconds"), [("probe", 15.0), ("warmup", 13.7)])
def test_a_trial_without_a_whole_pass_is_estimated_by_its_bound(phase: Any, seconds: float) -> None:
    # The incumbent's passes take 2.5 s at 400 tok/s; at the bound of 200 tok/s one takes 5 s; three are left, of which
    # a stopped warm-up had 1.3 s behind it.
    records = [make_record(0, [400.0, 400.0]), make_stopped(1, phase, 200.0, incumbent=0)]
    assert saved_by_stops(records) == {1: pytest.approx(seconds)}


def test_nothing_is_estimated_without_a_completed_trial() -> None:
    assert saved_by_stops([make_stopped(1)]) == {}


def test_an_arm_is_the_best_so_far_against_its_own_seconds() -> None:
    records = [
        make_record(0, 500.0, origin="baseline", duration_s=100.0),
        make_record(1, 200.0, duration_s=10.0),
        make_record(2, None, outcome=Outcome.CRASHED, failure=make_failure(), duration_s=5.0),
        make_record(3, 150.0, duration_s=10.0),
        make_record(4, 300.0, duration_s=10.0),
        make_record(5, 250.0, origin="random", duration_s=30.0),
        make_final(6, 4, 280.0),
    ]
    arm = search_arm(records, FASTEST)
    assert [(point.engine_s, point.value, point.trial) for point in arm.points] == [(10.0, 200.0, 1), (35.0, 300.0, 4)]
    assert (arm.engine_s, arm.num_trials) == (35.0, 4)
    assert arm.best_at(9.0) is None
    reached = arm.best_at(34.9)
    assert reached is not None
    assert reached.trial == 1
    random = random_arm(records, FASTEST, ())
    assert random is not None
    assert [(point.engine_s, point.trial) for point in random.points] == [(30.0, 5)]
    assert random_arm(records[:5], FASTEST, ()) is None


def test_a_borrowed_trial_costs_the_random_arm_what_it_cost() -> None:
    records = [make_record(0, 300.0, duration_s=12.0), make_record(1, 310.0, origin="random", duration_s=30.0)]
    arm = random_arm(records, FASTEST, (0,))
    assert arm is not None
    assert [(point.engine_s, point.trial, point.is_borrowed) for point in arm.points] == [
        (12.0, 0, True),
        (42.0, 1, False),
    ]
    assert arm.num_trials == 2


def test_arms_when_minimizing_go_down() -> None:
    slow, quick = make_record(0, 100.0), make_record(1, 200.0)
    # Latencies of the builder don't depend on the rate: make the second one's shorter.
    one = make_pass(0, 200.0)
    requests = one.requests.model_copy(update={"ttft_s": [0.05] * 10})
    measurements = {**quick.measurements, "ttft_s": {"p95": 0.05}}
    quick = quick.model_copy(
        update={"passes": [one.model_copy(update={"requests": requests})], "measurements": measurements}
    )
    assert [point.trial for point in search_arm([slow, quick], QUICKEST).points] == [0, 1]
    assert [point.trial for point in search_arm([quick, slow], QUICKEST).points] == [1]


def test_finalists_show_what_their_first_values_were_worth() -> None:
    first, second = finalists(make_search_records(), FASTEST)
    assert (first.trial, first.original_rank, first.rank, first.finals) == (6, 1, 2, (13, 15))
    assert (second.trial, second.original_rank, second.rank, second.finals) == (9, 2, 1, (14, 16))
    assert [first.original, second.original] == pytest.approx([402.0, 398.0])
    assert [first.value, second.value] == pytest.approx([388.0, 397.0])
    assert first.change == pytest.approx(-14 / 402)
    assert first.interval is not None
    assert first.interval.num_passes == 6
    assert finalists([make_record(0, 100.0)], FASTEST) == []


def test_a_finalist_without_a_measured_final_has_no_second_value() -> None:
    crashed = make_record(
        1, None, outcome=Outcome.CRASHED, failure=make_failure(), origin="final", repeat_of=0, peak_mib=None
    )
    (one,) = finalists([make_record(0, 400.0), crashed], FASTEST)
    assert (one.original, one.value, one.interval, one.rank, one.change) == (400.0, None, None, None, None)


@pytest.mark.parametrize(
    ("stopped", "objective", "text"),
    [
        (
            Stopped(phase="pass", index=0, after_s=1.31, bound=210.4, incumbent_trial=3, incumbent_value=405.0,
                    error_rate=0.05),
            FASTEST,
            "stopped 1.3 s into pass 1: at most 210 tok/s, the best then had 405 tok/s (trial 3), error rate 5%",
        ),
        (
            Stopped(phase="warmup", index=1, after_s=12.0, bound=0.5, incumbent_trial=0, incumbent_value=0.25,
                    error_rate=0.025),
            QUICKEST,
            "stopped 12.0 s into warm-up pass 2: at least 0.5 s, the best then had 0.25 s (trial 0), error rate 2.5%",
        ),
        (
            Stopped(phase="probe", after_s=0.4, bound=300.0, incumbent_trial=7, incumbent_value=400.0,
                    error_rate=0.05),
            FASTEST,
            "stopped 0.4 s into the probe: at most 300 tok/s, the best then had 400 tok/s (trial 7), error rate 5%",
        ),
    ],
)  # fmt: skip
def test_a_stop_is_told_in_a_sentence(stopped: Stopped, objective: Objective, text: str) -> None:
    assert explain_stop(stopped, objective) == text


def test_the_bound_stands_where_a_value_would() -> None:
    assert bound_text(make_stopped(0, bound=210.0), FASTEST) == "≤ 210 tok/s"
    assert bound_text(make_stopped(0, bound=0.5), QUICKEST) == "≥ 0.5 s"
    assert bound_text(make_record(0), FASTEST) is None


def test_a_phase_without_a_pass_of_its_own_is_not_counted_twice() -> None:
    record = make_record(0, [200.0])
    phases = [
        *record.phases,
        Phase(name="warmup", start_s=20.0, end_s=25.1),
        Phase(name="pass", start_s=30, end_s=35.1),
    ]
    split = time_split(record.model_copy(update={"phases": phases}))
    assert (split.warmup_s, split.timed_s) == (5.0, 5.0)  # the passes' own clocks: 1000 tokens at 200 tok/s
