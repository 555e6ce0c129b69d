"""The rule that stops trials early, on records made by hand: its arithmetic, and what it learns from."""

from __future__ import annotations

import math
import random

import pytest

from tests.search.stopping import (
    ALPHA,
    ASKED,
    OBJECTIVE,
    SPREAD_OUT,
    chunk,
    learned,
    limit,
    made,
    message,
    probed,
    rule,
    steady,
    stopper_of,
    trial,
)  # fmt: skip
from vbench.analysis.student_t import student_quantile
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.chunk_ratios import chunk_rates
from vbench.search.trial_stopper import Plan

# The arithmetic


def test_a_timed_passs_limit_is_the_formulas() -> None:
    passes = [180.0, 200.0, 220.0]
    early = learned(trial(3, passes))
    logs = [math.log(one) for one in passes]
    mean = sum(logs) / 3
    sd = math.sqrt(sum((one - mean) ** 2 for one in logs) / 2)
    t = student_quantile(1 - ALPHA, 2)
    ratio = math.log(200) - mean  # of the median to the mean of logs
    noise = sd * math.sqrt(math.pi / 6)

    limit_s = limit(stopper_of(early), "pass")

    assert limit_s == pytest.approx(1000 / 200 * math.exp(ratio + t * math.hypot(sd, noise)))
    assert limit_s > 5.0


def test_passes_that_agree_are_believed_to_one_percent() -> None:
    early = learned(trial(0, [200.0] * 3))

    margin = student_quantile(1 - ALPHA, 2) * 0.01 * math.sqrt(1 + math.pi / 6)
    assert limit(stopper_of(early), "pass") == pytest.approx(5 * math.exp(margin))


def test_earlier_passes_count_in_the_mean_of_logs() -> None:
    early = learned(trial(0, [200.0] * 3))
    stopper = stopper_of(early)

    limit(stopper, "pass")
    stopper.passed(message(chunk("timed", 0, 190.0)))
    second = limit(stopper, "pass", 1)

    # (log 190 + log(1000 / T)) / 2 + margin = log 200
    margin = student_quantile(1 - ALPHA, 2) * 0.01 * math.sqrt(1 / 2 + math.pi / 6)
    assert (math.log(190) + math.log(1000 / second)) / 2 + margin == pytest.approx(math.log(200))


def test_a_faster_pass_gives_the_next_more_time() -> None:
    limits = []
    for rate in (180.0, 200.0, 220.0):
        stopper = stopper_of(learned(trial(0, [200.0] * 3)))
        limit(stopper, "pass")
        stopper.passed(message(chunk("timed", 0, rate)))
        limits.append(limit(stopper, "pass", 1))

    assert limits == sorted(limits)
    assert limits[0] < limits[-1]


def test_a_warm_ups_limit_is_students_prediction_bound() -> None:
    ratios = [0.10, 0.20, 0.30, 0.25, 0.15, 0.20]
    early = learned(*(trial(n, [200.0] * 3, warmup=200 * math.exp(-one)) for n, one in enumerate(ratios)))
    sd = math.sqrt(sum((one - 0.2) ** 2 for one in ratios) / 5)
    noise = 0.01 * math.sqrt(math.pi / 6)
    t = student_quantile(1 - ALPHA, 5)

    limit_s = limit(stopper_of(early), "warmup")

    assert limit_s == pytest.approx(5 * math.exp(0.2 + t * math.hypot(sd * math.sqrt(1 + 1 / 6), noise)))


def test_what_one_trial_showed_another_may() -> None:
    slow_start = trial(0, [200.0] * 3, warmup=20.0)
    early = learned(slow_start, *(trial(n, [200.0] * 3, warmup=200.0) for n in range(1, 200)))

    # Student's bound alone: a spread of 0.16 around a mean of 0.01 ends far below the log of 10.
    assert limit(stopper_of(early), "warmup") == pytest.approx(5 + 1.25 * 45)


def test_a_delay_in_seconds_is_allowed_to_faster_trials() -> None:
    """All ramp up alike (half of the rate); one compiles for 3 s, too, which is little beside its 20 s."""
    alike = [trial(n, [rate] * 3, warmup=rate / 2) for n, rate in enumerate(SPREAD_OUT)]
    compiles = trial(20, [100.0] * 3, warmup=1000 / 23)

    before, after = (limit(stopper_of(learned(*alike, *more)), "warmup") for more in ([], [compiles]))

    assert before < 4.2
    assert after == pytest.approx(1000 / 500 * 2 + 1.25 * 3)


def test_an_option_that_no_trial_completed_with_may_compile() -> None:
    none, ngram = {"drafts": "none", "max_num_seqs": 8}, {"drafts": "ngram", "max_num_seqs": 9}
    early = learned(*(probed(n, rate, parameters=none) for n, rate in enumerate(SPREAD_OUT)))
    early.learn(probed(7, 200.0, parameters=ngram, outcome=Outcome.PRUNED))
    known, new = stopper_of(early, parameters={**none, "max_num_seqs": 77}), stopper_of(early, parameters=ngram)

    assert known.limit_s("probe", 0) is not None
    assert new.limit_s("probe", 0) is None
    assert new.limit_s("warmup", 0) == known.limit_s("warmup", 0) is not None  # all was compiled in the probe
    assert new.limit_s("pass", 0) == known.limit_s("pass", 0) is not None


def test_the_first_pass_of_a_new_option_is_the_warm_up_where_there_is_no_probe() -> None:
    none, ngram = {"drafts": "none"}, {"drafts": "ngram"}
    early = learned(*(steady(n, 200.0, parameters=none) for n in range(6)))
    known, new = stopper_of(early, parameters=none), stopper_of(early, parameters=ngram)

    assert known.limit_s("warmup", 0) is not None
    assert new.limit_s("warmup", 0) is None
    assert new.limit_s("pass", 0) is not None


def test_a_warm_up_stops_nothing_before_five_trials() -> None:
    four = [steady(n, rate) for n, rate in enumerate(SPREAD_OUT[:4])]

    assert stopper_of(learned(*four)).limit_s("warmup", 0) is None
    assert stopper_of(learned(*four, steady(4, 300.0))).limit_s("warmup", 0) is not None


def test_the_bound_is_the_incumbents_value_at_the_limit_and_falls_from_there() -> None:
    early = learned(*(probed(n, rate) for n, rate in enumerate(SPREAD_OUT)))
    for phase in ("probe", "warmup", "pass"):
        stopper = stopper_of(early)
        limit(stopper, "probe")
        limit_s = limit(stopper, phase)
        stopped = stopper.stopped(phase, 0, limit_s)
        later = stopper.stopped(phase, 0, 2 * limit_s)

        assert stopped.bound == pytest.approx(500.0)
        assert later.bound == pytest.approx(250.0)
        assert (stopped.phase, stopped.index, stopped.error_rate) == (phase, 0, 0.05)
        assert (stopped.incumbent_trial, stopped.incumbent_value) == (4, 500.0)


def test_the_bound_counts_the_passes_before() -> None:
    stopper = stopper_of(learned(trial(0, [200.0] * 3)))
    limit(stopper, "pass")
    stopper.passed(message(chunk("timed", 0, 190.0)))
    second = limit(stopper, "pass", 1)

    assert stopper.stopped("pass", 1, second).bound == pytest.approx(200.0)
    assert stopper.stopped("pass", 1, 2 * second).bound == pytest.approx(200.0 / math.sqrt(2))


def test_phases_that_are_longer_by_differing_shares_leave_more_time() -> None:
    """A second beside each pass is a fifth of the one trial's passes and a tenth of the other's."""
    early = learned(trial(0, [200.0] * 3, overhead_s=1.0), trial(1, [100.0] * 3, overhead_s=1.0))
    ratios = [math.log(1.2), math.log(1.1)]
    sd = abs(ratios[0] - ratios[1]) / math.sqrt(2)

    t = student_quantile(1 - ALPHA, 4)
    margin = t * math.sqrt(0.01**2 * (1 + math.pi / 6) + sd**2 * 1.5)
    assert limit(stopper_of(early), "pass") == pytest.approx(5 * math.exp(sum(ratios) / 2 + margin))


def test_what_phases_take_beside_their_passes_is_allowed_for() -> None:
    bare = learned(*(steady(n, 200.0, overhead_s=0.0) for n in range(6)))
    slow = learned(*(steady(n, 200.0, overhead_s=1.0) for n in range(6)))

    for phase, extra in (("warmup", 1.0), ("pass", 1.0)):
        before, after = limit(stopper_of(bare), phase), limit(stopper_of(slow), phase)
        whole = 10.0 if phase == "warmup" else 5.0
        assert after / before == pytest.approx((whole + extra) / whole)


def test_more_looks_at_the_same_error_rate_are_each_more_careful() -> None:
    few = learned(trial(0, [200.0, 210.0]), plan=Plan(prompts=10, passes=2, warmup_passes=0))
    many = learned(trial(0, [200.0, 210.0]), plan=Plan(prompts=10, passes=20, warmup_passes=0))

    assert limit(stopper_of(few), "pass") < limit(stopper_of(many), "pass")


# Who is learned from


def test_the_incumbent_is_the_first_best_that_may_be_ranked() -> None:
    early = learned(
        steady(0, 200.0),
        steady(1, 900.0, constraint_violations={"peak_memory_mib <= 1": 3.0}),
        steady(2, 900.0, outcome=Outcome.OVER_BUDGET),
        steady(3, 900.0, outcome=Outcome.PRUNED),
        steady(4, 900.0, origin="interference"),
        steady(5, 300.0),
        steady(6, 300.0),
        trial(7, [], outcome=Outcome.CRASHED, measurements={}),
    )

    assert early.best is not None
    assert (early.best.trial, early.best.value) == (5, 300.0)


def test_only_whole_trials_teach_ratios() -> None:
    whole = [probed(n, rate) for n, rate in enumerate(SPREAD_OUT)]
    odd = trial(9, [100.0] * 3, warmup=1.0, probe=1.0)
    ends = (Outcome.PRUNED, Outcome.CRASHED, Outcome.INTERRUPTED)

    plain = stopper_of(learned(*whole))
    with_odd = stopper_of(learned(*whole, *(odd.model_copy(update={"outcome": end}) for end in ends)))

    assert with_odd == plain


def test_trials_that_started_otherwise_are_no_measure() -> None:
    """What compiles in a probe, or had compiled in the engine that is reused, doesn't slow the warm-up."""
    fresh = [trial(n, [200.0] * 3, warmup=100.0) for n in range(6)]
    reused = [probed(10 + n, 200.0, environment={"worker_start": "reused"}) for n in range(6)]
    early = learned(*fresh, *reused)

    fresh_stopper, reused_stopper = stopper_of(early), stopper_of(early, is_reused=True)
    assert limit(fresh_stopper, "warmup") > 5 * 2
    assert reused_stopper.limit_s("warmup", 0) is None  # no reused trial went without the probe
    fresh_stopper.limit_s("probe", 0)
    assert fresh_stopper.limit_s("warmup", 0) is None  # no fresh one had it
    reused_stopper.limit_s("probe", 0)
    assert limit(reused_stopper, "warmup") > 5 * 2


def test_an_engine_that_was_to_be_reused_but_loads_is_a_fresh_one() -> None:
    early = learned(*(steady(n, 200.0, environment={"worker_start": "reused"}) for n in range(6)))
    stopper = stopper_of(early, is_reused=True)

    assert stopper.limit_s("warmup", 0) is not None
    assert stopper.limit_s("load", 0) is None
    assert stopper.limit_s("warmup", 0) is None


def test_the_last_phase_of_a_kept_engine_is_no_measure_of_its_pass() -> None:
    """It lasts till all was seen to; the other phases tell how much longer than its pass it was."""
    ended, kept = steady(0, 200.0, overhead_s=0.5), steady(0, 200.0, overhead_s=0.5)
    phases = list(kept.phases[:-1])
    phases[-1] = phases[-1].model_copy(update={"end_s": 60.0})

    rates = chunk_rates(kept.model_copy(update={"phases": phases}), OBJECTIVE.metric)

    whole = chunk_rates(ended, OBJECTIVE.metric)
    assert {chunk: rates[chunk] for chunk in rates if chunk != ("pass", 2)} == {
        chunk: whole[chunk] for chunk in whole if chunk != ("pass", 2)
    }
    # The warm-up's 10 s and two passes of 5 s took 1.5 s more.
    assert rates["pass", 2] == pytest.approx(math.log(1000 / (5 * 21.5 / 20)))


def test_a_run_that_is_resumed_knows_what_it_knew() -> None:
    draw = random.Random(3)
    records = [made(draw, n, draw.uniform(50, 500)) for n in range(60)]
    live = rule()
    for number, record in enumerate(records):
        live.learn(record)
        again = learned(*(TrialRecord.model_validate_json(one.to_json_line()) for one in records[: number + 1]))
        assert again.stopper(ASKED) == live.stopper(ASKED)
        assert again.wants_probe == live.wants_probe


def test_memory_stays_flat() -> None:
    early = rule()
    record = probed(0, 200.0)
    for _ in range(3000):
        early.learn(record)

    assert early.agreement.count == 200
    assert len(early._ratios) == 2  # the chunks before the timed passes
