"""How often the rule that stops trials early is wrong, on thousands of made trials; and when the probe is trusted."""

from __future__ import annotations

import math
import random

import pytest

from tests.search.stopping import (
    ASKED,
    SPREAD_OUT,
    learned,
    made,
    play,
    probed,
    rule,
    share_done,
    stopper_of,
    trial,
)  # fmt: skip
from vbench.records.record import TrialRecord
from vbench.search.chunk_ratios import RankAgreement
from vbench.search.trial_stopper import Plan

# The probe


def test_a_probe_that_ranks_as_the_trials_do_is_trusted() -> None:
    early = learned(*(probed(n, rate) for n, rate in enumerate(SPREAD_OUT)))

    assert early.agreement.tau == 1.0
    assert early.trusts_probe
    assert early.wants_probe
    assert stopper_of(early).limit_s("probe", 0) is not None


def test_tau_counts_ties_as_kendall_did() -> None:
    agreement = RankAgreement()
    assert agreement.tau is None
    assert agreement.lower_bound(0.95) is None
    for first, second in ((1, 1), (1, 2), (2, 2), (3, 3)):
        agreement.add(first, second)

    # Of six pairs four agree, one ties in the first numbers and one in the second: 4 / √(5 · 5).
    assert agreement.tau == pytest.approx(0.8)

    level = RankAgreement()
    level.add(1, 1)
    level.add(1, 2)
    assert level.tau is None


def swapped(length: int, *swaps: int) -> list[TrialRecord]:
    """Trials whose probes rank as they do, but that so many neighbours changed places."""
    probes = [100.0 + number for number in range(length)]
    for place in swaps:
        probes[place], probes[place + 1] = probes[place + 1], probes[place]
    return [trial(n, [200.0 + n] * 3, warmup=100.0, probe=probe) for n, probe in enumerate(probes)]


def test_a_few_trials_that_mostly_agree_arent_enough_to_trust_a_probe() -> None:
    few, many = learned(*swapped(5, 0, 2)), learned(*swapped(40, *range(0, 40, 2)))

    assert few.agreement.tau == pytest.approx(0.6)
    assert not few.trusts_probe  # 0.6 - 1.645 · √(2 (1 - 0.36) / 5) < 0
    assert many.trusts_probe
    assert learned(*swapped(5)).trusts_probe
    assert not learned(*swapped(4)).trusts_probe


def test_a_weak_agreement_is_no_trust_however_sure() -> None:
    records = [trial(n, [200.0 + n] * 3, warmup=100.0, probe=300.0 - n if n < 24 else 400.0 + n) for n in range(60)]
    early = learned(*records)

    assert early.agreement.tau == pytest.approx(1 - 4 * (24 * 23 / 2) / (60 * 59))  # 0.69
    assert early.trusts_probe

    records = [trial(n, [200.0 + n] * 3, warmup=100.0, probe=300.0 - n if n < 30 else 400.0 + n) for n in range(60)]
    early = learned(*records)
    low = early.agreement.lower_bound(0.95)
    assert early.agreement.tau == pytest.approx(1 - 4 * (30 * 29 / 2) / (60 * 59))  # 0.51
    assert low is not None
    assert low > 0
    assert not early.trusts_probe
    assert early.wants_probe


def test_a_probe_stops_nothing_where_ranks_dont_hold() -> None:
    """Rates of the probe and of the trial that fall against each other, or have nothing to do with each other."""
    for seed in range(20):
        draw = random.Random(seed)
        early = rule()
        for number in range(60):
            rate = draw.uniform(100, 500)
            probe = 600 - rate if seed % 2 else draw.uniform(100, 500)
            record = trial(number, [rate] * 3, warmup=rate, probe=probe)
            stopper = early.stopper(ASKED)
            stopped = play(record, stopper)
            assert stopped is None or stopped.phase != "probe" or early.trusts_probe
            assert stopped is None or stopped.phase != "probe" or seed % 2 == 0
            early.learn(record)
            if seed % 2 and number >= 7:
                assert not early.wants_probe
        assert not early.trusts_probe
        assert not early.wants_probe


def test_a_probe_isnt_given_up_before_eight_trials() -> None:
    against = [trial(n, [rate] * 3, warmup=rate, probe=600 - rate) for n, rate in enumerate(SPREAD_OUT)]

    assert learned(*against[:7]).wants_probe
    assert not learned(*against).wants_probe
    assert not rule(plan=Plan(prompts=10, passes=3)).wants_probe
    assert not rule(plan=Plan(prompts=10, passes=3, probe_prompts=10)).wants_probe  # the worker makes none either


# The error rate


def stops(error_rate: float, seed: int, *, equal_every: int) -> dict[str, tuple[int, int]]:
    """How many trials of 60 runs were as good as the incumbent then, and how many of these were stopped: by what they
    would have `measured`, and by their `true` rate. Every so many trials equal the incumbent's true rate, which is the
    hardest case. What was stopped isn't learned from, as in life."""
    draw = random.Random(seed)
    found = {"true": [0, 0], "measured": [0, 0]}
    for _ in range(60):
        early = rule(error_rate=error_rate)
        true: dict[int, float] = {}
        for number in range(40):
            best = early.best
            is_equal = best is not None and number % equal_every == equal_every - 1
            true[number] = true[best.trial] if best and is_equal else 400 * math.exp(draw.gauss(-0.5, 0.4))
            record = made(draw, number, true[number])
            stopped = play(record, early.stopper(ASKED))
            if best is not None:
                value = record.measurements["output_throughput_tok_s"]
                for name, is_as_good in (("true", true[number] >= true[best.trial]), ("measured", value >= best.value)):
                    found[name][0] += is_as_good
                    found[name][1] += is_as_good and stopped is not None
            if stopped is None:
                early.learn(record)
    return {name: (total, ended) for name, (total, ended) in found.items()}


def most(error_rate: float, count: int) -> float:
    """The share that is still believable at that error rate."""
    return error_rate + 3 * math.sqrt(error_rate * (1 - error_rate) / count)


@pytest.mark.parametrize("error_rate", [0.05, 0.2])
def test_trials_that_would_measure_as_well_are_seldom_stopped(error_rate: float) -> None:
    count, ended = stops(error_rate, 1, equal_every=2)["measured"]

    assert count > 300
    assert ended / count <= most(error_rate, count)


@pytest.mark.parametrize("error_rate", [0.05, 0.2])
def test_trials_that_truly_are_as_good_are_seldom_stopped(error_rate: float) -> None:
    count, ended = stops(error_rate, 2, equal_every=8)["true"]

    assert count > 300
    assert ended > 0  # the rule is put to the test at all
    assert ended / count <= most(error_rate, count)


def test_a_trial_at_half_the_speed_is_stopped_early() -> None:
    draw = random.Random(5)
    early = rule()
    for number in range(12):
        early.learn(made(draw, number, draw.uniform(300, 400)))
    slow = [made(draw, number, 200.0) for number in range(100, 1100)]

    ends = [(play(record, early.stopper(ASKED)), record) for record in slow]

    stopped = [(one, record) for one, record in ends if one is not None]
    assert len(stopped) >= 0.999 * len(slow)
    shares = sorted(share_done(one, record) for one, record in stopped)
    assert shares[len(shares) // 2] < 1 / 3
    assert shares[int(0.99 * len(shares))] < 1 / 2
    assert all(0 < one.bound <= one.incumbent_value * (1 + 1e-9) for one, _ in stopped)


def test_a_better_trial_runs_to_its_end() -> None:
    draw = random.Random(6)
    early = rule()
    for number in range(12):
        early.learn(made(draw, number, draw.uniform(200, 300)))

    assert [play(made(draw, n, 400.0), early.stopper(ASKED)) for n in range(100, 1100)] == [None] * 1000
