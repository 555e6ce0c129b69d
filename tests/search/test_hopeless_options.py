"""An option that never runs isn't tried with every other setting."""

from __future__ import annotations

import pytest

from tests.records.builders import make_record
from tests.search.spaces import asking, ended, measured
from tests.search.test_surrogate import ENGINE, make_search, rate
from vbench.outcome import Outcome
from vbench.search.beliefs import Feasibility, Fits
from vbench.spec.space import Point, enumerate_points


@pytest.mark.parametrize("seed", range(3))
def test_an_option_that_never_runs_is_given_up(seed: int) -> None:
    searcher = make_search(seed=seed)
    tried: list[Point] = []
    failed = 0
    for number in range(30):
        point = searcher.ask(asking(number, tried))
        assert point is not None
        tried.append(point)
        if point.parameters["quantization"] == "awq":
            searcher.tell(ended(Outcome.OUT_OF_MEMORY)(number, point))
            failed += 1
        else:
            searcher.tell(make_record(number, rate(point), parameters=point.parameters))

    assert 1 <= failed <= 5


@pytest.mark.parametrize("ran", [True, False])
def test_an_option_that_ran_once_is_only_doubted(ran: bool) -> None:
    searcher = make_search()
    points = [one for one in enumerate_points(ENGINE) if one.parameters["quantization"] == "awq"][::9]
    others = [one for one in enumerate_points(ENGINE) if one.parameters["quantization"] == "none"][::9]
    for number, point in enumerate(others):  # so that nothing else always fails
        searcher.tell(measured(number, point))
    for number, point in enumerate(points):
        outcome = Outcome.COMPLETED if ran and number == 0 else Outcome.OUT_OF_MEMORY
        searcher.tell(ended(outcome)(20 + number, point))
    row = searcher._encoding.row(points[1])
    (runs,) = Feasibility(searcher._encoding, searcher._told, Fits()).at(row[None, :])

    assert bool(runs > 1e-4) is ran
