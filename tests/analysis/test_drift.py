"""Drift of the machine, by a reference that is measured again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.records.builders import make_failure, make_record
from vbench.analysis.drift import Point, References, drift, drift_of, drift_sentence, warning_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord


def make_point(hours: float, values: Sequence[float], trial: int = 0) -> Point:
    return Point(trial=trial, engine_h=hours, values=tuple(values))


def around(value: float) -> tuple[float, ...]:
    """Three passes, 1 % apart."""
    return value * 0.995, value, value * 1.005


def run(*references: float) -> list[TrialRecord]:
    """A baseline of 250 tok/s, and after every second trial that lasts an hour with the rest the reference."""
    records = [make_record(0, around(250.0), origin="baseline", duration_s=600.0)]
    for value in references:
        number = len(records)
        records += [make_record(number + one, 400.0, duration_s=1500.0) for one in range(2)]
        again = make_record(number + 2, around(value), origin="reference", repeat_of=0, duration_s=600.0)
        records.append(again)
    return records


def test_none_without_a_second_measurement() -> None:
    assert drift(run()) is None
    assert drift([]) is None
    assert drift_sentence(None) is None


def test_a_machine_that_held_still() -> None:
    found = drift(run(251.0, 249.0))

    assert found is not None
    assert [one.point.trial for one in found.changes] == [3, 6]
    assert [one.is_clear for one in found.changes] == [False, False]
    assert drift_sentence(found) is None


def test_a_machine_that_became_slower() -> None:
    found = drift(run(247.0, 235.0))

    assert found is not None
    assert found.most is not None
    assert found.most.point.trial == 6
    assert found.most.ratio == pytest.approx(0.94)
    sentence = drift_sentence(found)
    assert sentence is not None
    assert sentence.startswith("the machine became 6.0% slower between trial 0 and trial 6 (-6.9% to -5.1% by their")
    assert "finals are interleaved" in sentence


def test_a_machine_that_became_faster() -> None:
    assert "became 10.0% faster" in str(drift_sentence(drift(run(275.0))))


def test_a_change_within_its_own_noise_is_none() -> None:
    first = make_point(0.0, (240.0, 250.0, 260.0))
    found = drift_of([first, make_point(1.0, (225.0, 235.0, 245.0), trial=9)])

    assert found is not None
    assert found.changes[0].ratio == pytest.approx(0.94)
    assert found.most is None


def test_a_change_below_what_starts_differ_by_is_none() -> None:
    found = drift_of([make_point(0.0, (250.0, 250.1)), make_point(1.0, (246.0, 246.1), trial=9)])

    assert found is not None
    assert found.changes[0].high < 1
    assert found.most is None


def test_single_passes_show_nothing() -> None:
    found = drift_of([make_point(0.0, [250.0]), make_point(1.0, [200.0], trial=9)])

    assert found is not None
    assert found.most is None


def test_the_trend_is_the_slope_per_hour_of_engine_time() -> None:
    found = drift_of([make_point(float(hour), [250.0 * 0.97**hour] * 2, trial=hour) for hour in range(5)])

    assert found is not None
    assert found.trend is not None
    assert found.trend.per_hour == pytest.approx(-0.03)
    assert found.trend.low == pytest.approx(-0.03)
    assert "it goes on at -3.0% an hour" in str(drift_sentence(found))


def test_a_trend_has_the_interval_of_its_points() -> None:
    """Logs 0, 0.02, 0.01 at hours 0, 1, 2: slope 0.005, residual variance 1.5e-4, t of one degree of freedom 12.706."""
    values = (1.0, 1.0202013400267558, 1.010050167084168)
    found = drift_of([make_point(float(hour), [value] * 2) for hour, value in enumerate(values)])

    assert found is not None
    assert found.trend is not None
    assert found.trend.per_hour == pytest.approx(0.0050125, rel=1e-4)
    assert found.trend.high == pytest.approx(2.718281828 ** (0.005 + 12.7062 * (1.5e-4 / 2) ** 0.5) - 1, rel=1e-4)


def test_two_points_have_no_trend() -> None:
    found = drift(run(235.0))

    assert found is not None
    assert found.trend is None


class TestReferences:
    def test_the_baseline_is_the_reference(self) -> None:
        references = References()
        for record in run()[:1]:
            references.add(record)

        assert references.target is not None
        assert (references.target.trial, references.target.passes, references.num_since) == (0, [], 1)
        assert [one.engine_h for one in references.points] == [0.0]

    def test_without_a_sound_one_it_is_the_first_that_completed(self) -> None:
        references = References()
        failed = make_record(0, None, outcome=Outcome.CRASHED, failure=make_failure(), origin="baseline")
        for record in (failed, make_record(1, None, outcome=Outcome.PRUNED), make_record(2), make_record(3, 900.0)):
            references.add(record)

        assert references.target is not None
        assert (references.target.trial, references.num_since) == (2, 4)

    def test_refused_trials_dont_count(self) -> None:
        references = References()
        references.add(make_record(0))
        references.add(make_record(1, None, outcome=Outcome.INFEASIBLE, duration_s=None))

        assert references.num_since == 1

    def test_a_reference_begins_the_count_anew(self) -> None:
        references = References()
        for record in run(240.0):
            references.add(record)

        assert references.num_since == 0
        assert references.points[1].engine_h == pytest.approx(1.0)
        assert references.target is not None
        assert references.target.trial == 0

    def test_finals_and_the_random_arm_dont_count(self) -> None:
        references = References()
        references.add(make_record(0, origin="baseline"))
        for origin in ("final", "random", "interference", "compare"):
            references.add(make_record(1, origin=origin, repeat_of=0))

        assert references.num_since == 1
        assert len(references.points) == 1


def test_the_warning_of_a_reference() -> None:
    found = drift(run(235.0))

    assert found is not None
    assert warning_of(found.first, found.changes[0]) == (
        "the reference, trial 0, measured again is 6.0% slower (-6.9% to -5.1% by the passes): the machine isn't what "
        "it was; trials far apart don't compare, finals do"
    )
