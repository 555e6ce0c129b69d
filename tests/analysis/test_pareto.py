from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.builders import make_failure, make_record
from tests.report.search_builders import make_final, make_stopped
from vbench.analysis.pareto import pareto_front, rankable_by_all
from vbench.analysis.ranking import objective_value
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
SMALLEST = Objective(metric="peak_memory_bytes", direction="minimize")
BOTH = (FASTEST, SMALLEST)


def trials(records: list[TrialRecord]) -> list[int]:
    return [record.trial for record in records]


def test_the_front_is_what_no_other_beats_in_all() -> None:
    records = [
        make_record(0, 100.0, peak_mib=500),
        make_record(1, 300.0, peak_mib=900),
        make_record(2, 200.0, peak_mib=900),  # beaten by 1
        make_record(3, 200.0, peak_mib=700),
        make_record(4, 100.0, peak_mib=501),  # beaten by 0
    ]
    assert trials(pareto_front(records, BOTH)) == [1, 3, 0]
    assert trials(pareto_front(records, (SMALLEST, FASTEST))) == [0, 3, 1]
    assert trials(pareto_front(records, (FASTEST,))) == [1]
    assert pareto_front([], BOTH) == []


def test_equals_are_on_the_front_together() -> None:
    records = [make_record(trial, 100.0, peak_mib=500) for trial in range(3)]
    assert trials(pareto_front(records, BOTH)) == [0, 1, 2]


def test_only_what_may_be_ranked_by_every_objective_is_on_the_front() -> None:
    records = [
        make_record(0, 100.0, peak_mib=900),
        make_record(1, 500.0, peak_mib=None),
        make_record(2, 500.0, peak_mib=100, outcome=Outcome.OVER_BUDGET),
        make_record(3, 500.0, peak_mib=100, constraint_violations={"x <= 1": 0.1}),
        make_record(4, None, outcome=Outcome.CRASHED, failure=make_failure()),
        make_stopped(5, bound=600.0),
    ]
    assert trials(pareto_front(records, BOTH)) == [0]
    assert trials(rankable_by_all(records, BOTH)) == [0]


def test_finals_replace_values_and_do_not_limit_the_front_to_finalists() -> None:
    records = [
        make_record(0, 500.0, peak_mib=900),
        make_record(1, 100.0, peak_mib=500),
        make_record(2, 490.0, peak_mib=950),
        make_final(3, 0, 400.0),
        make_final(4, 2, 390.0),
    ]
    front = pareto_front(records, BOTH)
    assert trials(front) == [0, 1]
    assert value_of(front[0].measurements, FASTEST.metric) == 400.0


def test_without_an_objective_there_is_no_front() -> None:
    with pytest.raises(ValueError, match="needs an objective"):
        pareto_front([], ())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=12))
def test_the_front_is_what_comparing_every_pair_gives(values: list[tuple[int, int]]) -> None:
    records = [make_record(trial, float(rate), peak_mib=memory) for trial, (rate, memory) in enumerate(values)]
    beaten = {
        one
        for (one, (rate, memory)), (rate_2, memory_2) in itertools.product(enumerate(values), values)
        if rate_2 >= rate and memory_2 <= memory and (rate_2, memory_2) != (rate, memory)
    }
    front = pareto_front(records, BOTH)
    assert set(trials(front)) == set(range(len(values))) - beaten
    assert [objective_value(one, FASTEST) for one in front] == sorted(
        (objective_value(one, FASTEST) or 0.0 for one in front), reverse=True
    )
