"""The rule that stops trials early where the number of timed passes isn't known before, and where first ones may be
dropped: a trial whose passes come to count isn't stopped by those that don't."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from tests.search.stopping import PLAN, SPREAD_OUT, chunk, learned, limit, message, play, steady, stopper_of, trial
from vbench.analysis.student_t import student_quantile
from vbench.records.record import TrialRecord
from vbench.search.chunk_ratios import chunk_of, chunk_rates

SETTLING = replace(PLAN, settles=True)


def unsettled(record: TrialRecord, count: int) -> TrialRecord:
    """The record with its first timed passes told apart."""
    passes = [
        one.model_copy(update={"kind": "unsettled"}) if one.kind == "timed" and one.index < count else one
        for one in record.passes
    ]
    return record.model_copy(update={"passes": passes})


def test_a_pass_that_had_not_settled_is_a_chunk_of_its_phase() -> None:
    record = unsettled(trial(0, [100.0, 200.0, 200.0]), 1)

    assert [chunk_of(one) for one in record.passes] == [("pass", 0), ("pass", 1), ("pass", 2)]
    assert chunk_rates(record, "output_throughput_tok_s")["pass", 0] == pytest.approx(math.log(100))


def test_the_error_rate_is_split_over_the_most_passes() -> None:
    plan = replace(PLAN, most_passes=12)
    early = learned(trial(0, [200.0] * 3), plan=plan)
    t = student_quantile(1 - 0.05 / 14, 2)  # a probe, a warm-up and twelve passes

    assert limit(stopper_of(early), "pass") == pytest.approx(5 * math.exp(t * 0.01 * math.sqrt(1 + math.pi / 6)))


def test_what_a_stop_saves_is_what_is_sure_to_be_left() -> None:
    assert replace(PLAN, most_passes=12).passes_after("pass", 1) == 1
    assert replace(PLAN, most_passes=12).passes_after("pass", 7) == 0


def test_a_trial_is_not_stopped_in_its_second_pass_for_a_first_that_may_not_count() -> None:
    """Ten times slower at first, and then better than the best."""
    late = trial(9, [25.0, 250.0, 250.0])
    plain, open_ = (stopper_of(learned(trial(0, [200.0] * 3), plan=plan)) for plan in (PLAN, SETTLING))
    for stopper in (plain, open_):
        limit(stopper, "pass")
        stopper.passed(message(late.passes[0]))

    assert limit(plain, "pass", 1) < 4.0 < limit(open_, "pass", 1)  # its second takes 1000 / 250 s


def test_the_bound_that_is_told_is_that_of_the_passes_that_may_count() -> None:
    stopper = stopper_of(learned(trial(0, [200.0] * 3), plan=SETTLING))
    limit(stopper, "pass")
    stopper.passed(message(chunk("timed", 0, 25.0)))
    limit_s = limit(stopper, "pass", 1)

    assert stopper.stopped("pass", 1, limit_s).bound == pytest.approx(200.0)


def test_first_passes_that_were_dropped_widen_what_passes_leave_open() -> None:
    steadily = [steady(n, rate) for n, rate in enumerate(SPREAD_OUT)]
    late = unsettled(trial(8, [150.0, 300.0, 300.0, 300.0], warmup=150.0), 1)
    narrow, wide = (stopper_of(learned(*each, plan=SETTLING)) for each in (steadily, [*steadily, late]))

    assert limit(wide, "pass") > limit(narrow, "pass")


def test_only_passes_that_count_stand_behind_the_best() -> None:
    best = learned(unsettled(trial(0, [100.0, 200.0, 200.0, 200.0]), 1), plan=SETTLING).best

    assert best is not None
    assert best.num_passes == 3


def test_trials_worth_the_best_are_seldom_stopped_where_many_begin_unsettled() -> None:
    """One trial in five has a first pass a third slower, which is dropped; 300 that end at the best's own value."""
    draw = random.Random(5)

    def made(number: int, rate: float) -> TrialRecord:
        is_late = draw.random() < 0.2
        rates = [rate * math.exp(draw.gauss(0, 0.02)) for _ in range(4 if is_late else 3)]
        if is_late:
            rates[0] *= 0.67
        return unsettled(trial(number, rates, warmup=rate / 2), int(is_late))

    early = learned(*(made(number, rate) for number, rate in enumerate(SPREAD_OUT * 2)), plan=SETTLING)
    assert early.best is not None
    value = early.best.value
    stops = [play(made(99, value), early.stopper([100] * 10)) is not None for _ in range(300)]
    lost = [play(made(99, value / 2), early.stopper([100] * 10)) is not None for _ in range(100)]

    assert sum(stops) <= 0.05 * len(stops)
    assert all(lost)  # it still stops what is hopeless
