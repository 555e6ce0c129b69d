"""Each of Optuna's samplers is what it is called, not random in disguise; and says what it can't do."""

from __future__ import annotations

import importlib.util
import math
import statistics
from collections.abc import Sequence
from typing import Any

import pytest

from tests.records.builders import make_record
from tests.search.spaces import LARGE, SMALL, UTILIZATION, asking, measured, search
from vbench.errors import UsageError
from vbench.records.record import TrialRecord
from vbench.search.base import Asking
from vbench.search.optuna_search import OptunaSearch
from vbench.spec.space import Point
from vbench.spec.types import Objective, Parameter, Range, SearchMethod

THROUGHPUT = Objective(metric="output_throughput_tok_s", direction="maximize")
LATENCY = Objective(metric="p95_ttft_s", direction="minimize")
SQUARE = (
    Parameter(name="x", domain=Range(low=0.0, high=1.0)),
    Parameter(name="y", domain=Range(low=0.0, high=1.0)),
)


def make_search(
    method: SearchMethod, parameters: Sequence[Parameter] = SQUARE, *, seed: int = 0, num_trials: int = 60,
    objectives: Sequence[Objective] = (THROUGHPUT,), is_parallel: bool = False,
) -> OptunaSearch:  # fmt: skip
    return OptunaSearch(parameters, objectives, method, seed, num_trials=num_trials, is_parallel=is_parallel)


def distance(point: Point) -> float:
    """From where the bowl is deepest."""
    return math.hypot(point.settings["x"] - 0.8, point.settings["y"] - 0.3)


def bowl(number: int, point: Point) -> TrialRecord:
    return make_record(number, 1000.0 * (2 - distance(point)), parameters=point.parameters)


def late_distance(method: SearchMethod, num_trials: int) -> float:
    """How far from the best place a method asks at the end, in the middle of three seeds."""
    found = []
    for seed in range(3):
        points, _ = search(make_search(method, seed=seed, num_trials=num_trials), num_trials, bowl)
        found.append(statistics.fmean(map(distance, points[-num_trials // 4 :])))
    return statistics.median(found)


def test_qmc_leaves_no_cell_of_a_square_empty() -> None:
    points, _ = search(make_search("qmc"), 64)

    cells = {(int(point.settings["x"] * 8), int(point.settings["y"] * 8)) for point in points}
    assert len(cells) == 64  # a scrambled Sobol sequence: one in each; of random points 23 cells would get none


def test_qmc_covers_what_applies_only_to_some_trials_too() -> None:
    points, _ = search(make_search("qmc", LARGE), 64)

    tokens = [point.parameters.get("speculative_config.ngram.num_speculative_tokens") for point in points]
    assert 28 <= tokens.count(None) <= 36
    assert all(8 <= tokens.count(value) <= 14 for value in (2, 3, 4))


def test_cmaes_closes_in_on_the_best_place() -> None:
    assert late_distance("random", 60) > 0.4
    assert late_distance("cmaes", 60) < 0.2


@pytest.mark.parametrize("method", ["nsga2", "nsga3"])
def test_children_are_made_of_the_better_parents(method: SearchMethod) -> None:
    points, _ = search(make_search(method, num_trials=40), 40, bowl)  # generations of 8
    by_distance = sorted(points[:16], key=distance)
    inherited = [
        name
        for child in points[16:24]
        for name in ("x", "y")
        if child.settings[name] in parents_of(by_distance[:8], name)
    ]

    assert len(inherited) >= 5  # of 16; the rest are mutations. A number drawn at random equals none


def parents_of(points: Sequence[Point], name: str) -> list[float]:
    return [point.settings[name] for point in points]


@pytest.mark.parametrize("method", ["cmaes", "nsga2", "nsga3"])
def test_told_trials_bear_their_generation(method: SearchMethod) -> None:
    searcher = make_search(method, num_trials=30)
    search(searcher, 30, bowl)

    generations = [
        value for trial in searcher.trials for key, value in trial.system_attrs.items() if key.endswith("generation")
    ]
    assert generations == sorted(generations)
    assert max(generations) >= 3


needs_gp = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("scipy") is None, reason="gp needs both"
)


@needs_gp
def test_gp_finds_the_place_and_a_resumed_one_asks_the_same() -> None:
    searcher = make_search("gp", num_trials=12)
    points, records = search(searcher, 10, bowl)
    resumed = make_search("gp", num_trials=12)
    for record in records[:9]:
        resumed.tell(record)

    assert min(map(distance, points)) < 0.1
    assert resumed.ask(asking(9, points[:9])) == points[9]


@pytest.mark.parametrize("method", ["random", "qmc", "tpe", "nsga2", "nsga3"])
def test_several_objectives(method: SearchMethod) -> None:
    searcher = make_search(method, objectives=(THROUGHPUT, LATENCY), num_trials=24)

    def trial(number: int, point: Point) -> TrialRecord:
        record = bowl(number, point)
        ttft = {"mean": 1.0, "p50": 1.0, "p90": 1.0, "p95": 0.1 + point.settings["x"], "p99": 2.0}
        return record.model_copy(update={"measurements": {**record.measurements, "ttft_s": ttft}})

    points, _ = search(searcher, 24, trial)

    assert len(points) == 24
    if method not in ("random", "qmc"):
        assert searcher.trials[3].values == [
            pytest.approx(1000.0 * (2 - distance(points[3]))),
            pytest.approx(0.1 + points[3].settings["x"]),
        ]


@pytest.mark.parametrize("method", ["tpe"])
def test_trials_that_run_count_for_the_constant_liar(method: SearchMethod) -> None:
    searcher = make_search(method, is_parallel=True, num_trials=30)
    points, _ = search(searcher, 20, bowl)
    alone = searcher.ask(asking(20, points))
    assert alone is not None
    beside = searcher.ask(Asking(number=20, is_allowed=lambda _: True, running=[alone]))

    assert beside is not None
    assert beside != alone
    assert searcher.ask(asking(20, points)) == alone  # the question left nothing behind


@pytest.mark.parametrize(("method", "kept"), [("random", 0), ("qmc", 0), ("tpe", 20), ("nsga2", 20)])
def test_a_study_holds_what_was_told_and_not_what_was_drawn(method: SearchMethod, kept: int) -> None:
    searcher = make_search(method, (*SMALL, UTILIZATION), num_trials=20)
    search(searcher, 20)
    for number in range(20, 22):
        searcher.ask(Asking(number=number, is_allowed=lambda _: False))

    assert len(searcher._study.trials) == kept + 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "package"), [("gp", "scipy"), ("qmc", "scipy"), ("cmaes", "cmaes"), ("botorch", "botorch")]
    )
    def test_a_package_that_is_not_there_is_named(
        self, method: SearchMethod, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find_spec = importlib.util.find_spec

        def without(name: str, *rest: Any) -> Any:
            return None if name == package else find_spec(name, *rest)

        monkeypatch.setattr(importlib.util, "find_spec", without)
        with pytest.raises(UsageError, match=rf"method {method} needs .*{package}.*: pip install 'vbench\["):
            make_search(method)

    def test_cmaes_takes_one_objective(self) -> None:
        with pytest.raises(UsageError, match="one objective: use nsga2"):
            make_search("cmaes", objectives=(THROUGHPUT, LATENCY))

    def test_cmaes_takes_ranges(self) -> None:
        with pytest.raises(UsageError, match="every parameter here is a choice"):
            make_search("cmaes", SMALL)

    def test_a_told_point_is_learned_once(self) -> None:
        searcher = make_search("tpe")
        searcher.tell(measured(0, Point(parameters={"x": 0.5, "y": 0.5}, settings={"x": 0.5, "y": 0.5})))

        assert len(searcher.trials) == 1
