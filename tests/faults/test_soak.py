"""The soak, short: a hundred real trials, many of them broken or hit, and nothing is lost or left.

`python -m tests.faults.soak` is the long one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import soak
from tests.faults.matrix import Counts, fault
from tests.faults.soak_arms import ARMS, LEFT_OUT, WAYS, Arm, kind_of, sweep_file
from tests.faults.soak_looks import LIMITS, Look, growth
from vbench.spec.loader import load_spec
from vbench.worker.engines.misbehaving_results import SPOILED
from vbench.worker.engines.misbehaviours import MISBEHAVIOURS

_TRIALS, _SPEED, _LIMIT_S = 100, 400.0, 480.0
_ONLY_FOR_A_MOMENT = {"rss_kib", "keeper_rss_kib"}


@fault(
    "vbench", "a soak: thousands of trials, broken and killed at random, for a simulated day",
    "no record is lost or doubled, no trial is blamed for another's fault, memory, descriptors, threads and files stay "
    "as they are; `python -m tests.faults.soak` reruns it",
)  # fmt: skip
def test_a_short_soak(short_folder: Path, counts: Counts) -> None:
    found = soak.run_arms(
        short_folder / "soak", ARMS, trials=_TRIALS, seed=3, speed=_SPEED, slow=False, jobs=len(ARMS),
        limit_s=_LIMIT_S, deadline_s=60.0, within_s=0.8,
    )  # fmt: skip
    shown = soak.summary(found)
    counts.tried(shown["faults_planted"] + shown["kills"] - 1)
    counts.records_lost += shown["records_lost"]
    counts.records_doubled += shown["records_doubled"]
    assert [f"{one.arm.name}: {each}" for one in found for each in one.wrong] == []
    for one in found:
        assert one.trials >= _TRIALS * one.arm.share
        _assert_nothing_piles_up(one.looks)
    assert shown["simulated_hours"] > 0.5
    assert shown["faults_planted"] > 10
    assert shown["kills_of_vbench"] > 0
    assert shown["kills"] > shown["kills_of_vbench"]


def _assert_nothing_piles_up(looks: list[Look]) -> None:
    """What is added with each trial would show even in few trials; the slope is the long soak's."""
    if len(looks) < 3:
        return
    trials = looks[-1].trials - looks[0].trials
    for name in LIMITS.keys() - _ONLY_FOR_A_MOMENT:
        held = [getattr(one, name) for one in looks]
        assert held[-1] - held[0] < max(8, trials / 2), f"{name}: {held} over {trials} trials"


def test_the_soak_has_most_of_what_the_fake_engine_can_do() -> None:
    kinds, known = {kind_of(way).partition("=")[0] for way in WAYS}, set(MISBEHAVIOURS) | set(SPOILED)
    assert kinds <= known
    assert set(LEFT_OUT) <= known - kinds
    assert len(kinds) > len(known) * 2 / 3


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_sweep_files_are_sound(arm: Arm, tmp_path: Path) -> None:
    path = tmp_path / f"{arm.name}.yaml"
    path.write_text(sweep_file(arm, trials=50, seed=1, speed=_SPEED), encoding="utf-8")
    assert load_spec(path).search.trials == 50


def _looks(rss_kib: list[int], *, fds: int = 9) -> list[Look]:
    others = dict.fromkeys(LIMITS.keys() - {"rss_kib", "fds"}, 1)
    return [Look(trials=number, rss_kib=rss, fds=fds, **others) for number, rss in enumerate(rss_kib)]


def test_growth_is_told_from_noise() -> None:
    noise = random.Random(0)
    still = [60_000 + noise.randrange(500) for _ in range(400)]
    grown = [value + 12 * number for number, value in enumerate(still)]  # 12,000 KiB in 1,000 trials
    assert growth(_looks(still))["rss_kib"].word == "flat"
    assert growth(_looks(still))["fds"].word == "flat"
    found = growth(_looks(grown))["rss_kib"]
    assert found.word == "grows"
    assert found.low < 12_000 < found.high


def test_what_is_held_for_a_trial_is_no_growth() -> None:
    held = [60_000 + 3_000 * (number % 10 == 9 or number > 395) for number in range(400)]
    assert growth(_looks(held))["rss_kib"].word == "flat"


def test_a_living_engine_is_no_growth() -> None:
    without, with_one = _looks([60_000] * 400, fds=8), _looks([60_000] * 400, fds=10)
    looks = [replace(with_one[number], keeper_children=2) if number % 3 or number > 300 else without[number]
             for number in range(400)]  # fmt: skip
    found = growth(looks)
    assert {name: each.word for name, each in found.items()} == dict.fromkeys(found, "flat")


def test_a_few_looks_say_nothing() -> None:
    assert growth(_looks([1, 2, 3])) == {}
