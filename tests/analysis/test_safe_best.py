from __future__ import annotations

from typing import Any

import pytest

from tests.analysis.test_headroom import GIB, Facts
from tests.records.builders import make_record
from vbench.analysis.safe_best import find_safe, is_safe, risks
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
FACTS = Facts(machine={"memory_bytes": 10 * GIB})


def record(trial: int, rate: float, peak_gib: float, **more: Any) -> TrialRecord:
    return make_record(trial, [rate, rate * 1.01, rate * 0.99], peak_mib=int(peak_gib * 1024), **more)


def with_measurement(one: TrialRecord, name: str, value: float) -> TrialRecord:
    return one.model_copy(update={"measurements": {**one.measurements, name: value}})


def chosen(*records: TrialRecord) -> int | None:
    found = find_safe(records, FASTEST, FACTS)
    return None if found is None else found.record.trial


def test_the_fastest_that_leaves_a_tenth() -> None:
    assert chosen(record(0, 200, 5), record(1, 300, 8.9), record(2, 400, 9.1)) == 1


def test_the_fastest_itself_where_it_does() -> None:
    assert chosen(record(0, 200, 5), record(1, 400, 8)) == 1


def test_none_where_none_does() -> None:
    assert chosen(record(0, 200, 9.5), record(1, 400, 9.6)) is None
    assert chosen() is None


def test_none_where_the_budget_is_not_known() -> None:
    one = record(0, 200, 5)
    assert find_safe([one], FASTEST, Facts()) is None
    assert risks(one, Facts()) == ("how much memory it leaves is not known",)


def test_one_that_preempted_is_not_safe() -> None:
    hurried = with_measurement(record(1, 400, 5), "num_preemptions", 3.0)
    assert chosen(record(0, 200, 5), hurried) == 0
    assert risks(hurried, FACTS) == ("it preempted 3 requests",)


@pytest.mark.parametrize(
    ("violations", "is_fine"),
    [
        ({"p95_ttft_s <= 4": -0.04}, False),
        ({"p95_ttft_s <= 4": -0.06}, True),
        ({"peak_memory_gib <= 10": 0.0}, False),
        ({"max_model_len >= 4096": 0.0}, True),  # a setting stays where it is
        ({"num_preemptions <= 0": 0.0}, True),
        ({"greedy_agreement >= 0.99": -0.0101}, True),  # it can't be further from its bound
        ({"what is this": 0.0}, True),
    ],
)
def test_bounds_of_what_varies_are_kept_with_a_distance(violations: dict[str, float], is_fine: bool) -> None:
    assert is_safe(record(0, 200, 5, constraint_violations=violations), FACTS) is is_fine


def test_outside_the_finalists_only_where_none_of_them_is() -> None:
    records = [
        record(0, 300, 9.5), record(1, 310, 9.6), record(2, 250, 4), record(3, 240, 4),
        *(record(10 + place, 305, 9.5, origin="final", repeat_of=of) for place, of in enumerate((0, 1))),
    ]  # fmt: skip
    found = find_safe(records, FASTEST, FACTS)
    assert found is not None
    assert (found.record.trial, found.is_remeasured) == (2, False)


def test_a_finalist_before_a_better_first_measurement() -> None:
    records = [
        record(0, 300, 5), record(1, 310, 9.6), record(2, 320, 4),
        record(10, 305, 5, origin="final", repeat_of=0), record(11, 305, 9.6, origin="final", repeat_of=1),
    ]  # fmt: skip
    found = find_safe(records, FASTEST, FACTS)
    assert found is not None
    assert (found.record.trial, found.is_remeasured) == (0, True)


def test_one_that_came_after_the_finals_was_not_remeasured() -> None:
    finals = [
        record(10, 305, 5, origin="final", repeat_of=0), record(11, 305, 5, origin="final", repeat_of=1),
    ]  # fmt: skip
    found = find_safe([record(0, 300, 5), record(1, 310, 5), *finals, record(12, 900, 5)], FASTEST, FACTS)
    assert found is not None
    assert (found.record.trial, found.is_remeasured) == (12, False)
