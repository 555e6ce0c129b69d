"""Optuna's samplers: what is asked, what is learned from what was told; a resumed study is the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import optuna
import pytest
from optuna.trial import TrialState

from tests.records.builders import make_record
from tests.search.spaces import LARGE, SEQS, SMALL, SPECULATIVE, UTILIZATION, asking, ended, measured, search
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.search.base import Asking, settings_key
from vbench.search.optuna_search import OptunaSearch
from vbench.search.optuna_space import distribution_of
from vbench.spec.space import Point, enumerate_points, point_of
from vbench.spec.types import Domain, Objective, Parameter, Range, SearchMethod

METHODS: tuple[SearchMethod, ...] = ("random", "tpe", "qmc", "cmaes", "nsga2", "nsga3")
THROUGHPUT = Objective(metric="output_throughput_tok_s", direction="maximize")
BOTH = pytest.mark.parametrize("method", METHODS)


def make_search(
    parameters: Sequence[Parameter] = LARGE,
    method: SearchMethod = "tpe",
    *,
    seed: int = 0,
    objective: Objective = THROUGHPUT,
    num_trials: int = 20,
) -> OptunaSearch:
    return OptunaSearch(parameters, (objective,), method, seed, num_trials=num_trials)


def chosen(points: Sequence[Point]) -> list[dict[str, Any]]:
    return [dict(point.parameters) for point in points]


@BOTH
class TestAsks:
    def test_only_points_of_the_space_and_none_twice(self, method: SearchMethod) -> None:
        points, _ = search(make_search(method=method), 40)

        assert len({settings_key(point.settings) for point in points}) == 40
        assert [point_of(LARGE, point.parameters) for point in points] == points

    def test_only_what_is_allowed(self, method: SearchMethod) -> None:
        def has_room(point: Point) -> bool:
            return bool(point.settings["max_model_len"] >= 7168)

        points, _ = search(make_search(method=method), 15, is_allowed=has_room)

        assert len(points) == 15
        assert all(map(has_room, points))

    def test_a_small_space_is_exhausted_exactly(self, method: SearchMethod) -> None:
        space = (UTILIZATION, SPECULATIVE)  # 4 · (1 + 3) points
        points, _ = search(make_search(space, method), 100)

        everything = [settings_key(point.settings) for point in enumerate_points(space)]
        assert sorted(settings_key(point.settings) for point in points) == sorted(everything)

    def test_an_endless_space_without_anything_allowed_gives_up(self, method: SearchMethod) -> None:
        endless = (Parameter(name="gpu_memory_utilization", domain=Range(low=0.5, high=0.9)),)

        assert make_search(endless, method).ask(Asking(number=0, is_allowed=lambda _: False)) is None

    def test_the_seed_decides(self, method: SearchMethod) -> None:
        first, again, other = (chosen(search(make_search(method=method, seed=s), 8)[0]) for s in (1, 1, 2))

        assert first == again
        assert first != other

    def test_steps_are_round_numbers(self, method: SearchMethod) -> None:
        points, _ = search(make_search((UTILIZATION, SEQS), method), 8)

        assert {point.settings["gpu_memory_utilization"] for point in points} == {0.8, 0.85, 0.9, 0.95}

    def test_log_ranges_are_drawn_by_magnitude(self, method: SearchMethod) -> None:
        space = (
            Parameter(name="whole", domain=Range(low=1, high=1024, log=True)),
            Parameter(name="real", domain=Range(low=0.001, high=1.0, log=True)),
        )
        points, _ = search(make_search(space, method), 30, ended(Outcome.CRASHED))  # nothing is learned from these

        whole = [point.settings["whole"] for point in points]
        assert all(isinstance(value, int) and 1 <= value <= 1024 for value in whole)
        assert all(0.001 <= point.settings["real"] <= 1.0 for point in points)
        # Half of the magnitudes lie below 32; on a linear scale a thirtieth of the numbers does.
        assert sum(value <= 32 for value in whole) >= 8


@BOTH
@pytest.mark.parametrize("trial", [measured, ended(Outcome.OUT_OF_MEMORY), ended(Outcome.CRASHED)])
def test_a_resumed_study_asks_what_the_uninterrupted_one_did(method: SearchMethod, trial: Any) -> None:
    points, records = search(make_search(method=method), 14, trial)

    for cut in range(len(points)):
        resumed = make_search(method=method)
        for record in records[:cut]:
            resumed.tell(TrialRecord.model_validate_json(record.to_json_line()))
        assert resumed.ask(asking(cut, points[:cut])) == points[cut], f"cut before trial {cut}"


def test_asking_again_gives_the_same_point() -> None:
    # A session killed between the question and the answer asks the same question again.
    searcher = make_search()
    _, records = search(searcher, 12)
    points = [searcher.ask(Asking(number=12, is_allowed=lambda _: True)) for _ in range(3)]

    assert points[0] == points[1] == points[2]
    assert len(searcher.trials) == len(records)


class TestTold:
    POINT: dict[str, Any] = {  # noqa: RUF012
        "max_num_seqs": "64",
        "speculative_config": "ngram",
        "speculative_config.ngram.num_speculative_tokens": 3,
    }

    def told(self, record: TrialRecord, objective: Objective = THROUGHPUT) -> optuna.trial.FrozenTrial:
        searcher = make_search(SMALL, objective=objective)
        searcher.tell(record)
        (trial,) = searcher.trials
        return trial

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (Outcome.COMPLETED, TrialState.COMPLETE),
            (Outcome.OVER_BUDGET, TrialState.COMPLETE),
            (Outcome.INFEASIBLE, TrialState.PRUNED),
            (Outcome.UNSUPPORTED, TrialState.PRUNED),
            (Outcome.OUT_OF_MEMORY, TrialState.PRUNED),
            (Outcome.TIMED_OUT, TrialState.FAIL),
            (Outcome.CRASHED, TrialState.FAIL),
            (Outcome.INTERRUPTED, TrialState.FAIL),
        ],
    )
    def test_each_outcome_has_its_state(self, outcome: Outcome, state: TrialState) -> None:
        trial = self.told(make_record(0, 250.0, outcome=outcome, parameters=self.POINT))

        assert trial.state == state
        assert trial.params == self.POINT
        assert trial.value == (250.0 if outcome.is_measured else None)

    def test_the_table_has_every_outcome(self) -> None:
        for outcome in Outcome:
            self.told(make_record(0, 250.0, outcome=outcome, parameters=self.POINT))

    def test_over_budget_is_a_broken_constraint(self) -> None:
        trial = self.told(make_record(0, outcome=Outcome.OVER_BUDGET, parameters=self.POINT))

        assert trial.constraints == {"memory budget": 1.0}

    def test_constraints_are_told_as_they_were_recorded(self) -> None:
        violations = {"p95_ttft_s <= 5": -0.5, "peak_memory_mib <= 15360": 0.25}
        trial = self.told(make_record(0, parameters=self.POINT, constraint_violations=violations))

        assert trial.constraints == violations

    def test_without_the_objectives_metric_there_is_nothing_to_learn(self) -> None:
        objective = Objective(metric="acceptance_rate", direction="maximize")
        trial = self.told(make_record(0, parameters=self.POINT), objective)

        assert (trial.state, trial.value) == (TrialState.FAIL, None)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"max_num_seqs": "64"},  # a baseline that leaves the rest to the engine
            {**POINT, "max_num_seqs": "96"},
            {**POINT, "speculative_config.ngram.num_speculative_tokens": 9},
            {},
        ],
    )
    def test_what_is_no_point_of_the_space_teaches_nothing(self, parameters: dict[str, Any]) -> None:
        searcher = make_search(SMALL)
        searcher.tell(make_record(0, parameters=parameters))

        assert searcher.trials == []

    def test_draws_are_not_among_what_was_told(self) -> None:
        searcher = make_search()
        _, records = search(searcher, 6)

        assert [trial.value for trial in searcher.trials] == [
            record.measurements["output_throughput_tok_s"] for record in records
        ]


class TestTpeLearns:
    LINE = (Parameter(name="x", domain=Range(low=0, high=99)),)
    SEEDS = range(6)
    TRIALS = 25

    def share(self, trial: Any, is_counted: Any, objective: Objective = THROUGHPUT) -> float:
        """Of the points that the model chose (after the random ones at the start), the share that is counted."""
        counted = total = 0
        for seed in self.SEEDS:
            searcher = make_search(self.LINE, seed=seed, num_trials=self.TRIALS, objective=objective)
            points, _ = search(searcher, self.TRIALS, trial)
            late = points[self.TRIALS // 3 :]
            counted += sum(map(is_counted, late))
            total += len(late)
        return counted / total

    def test_it_leaves_a_region_out_of_memory_rather_than_one_that_crashes(self) -> None:
        def dead_below_50(outcome: Outcome) -> Any:
            def trial(number: int, point: Point) -> TrialRecord:
                is_dead = point.settings["x"] < 50
                return (ended(outcome) if is_dead else measured)(number, point)

            return trial

        def is_dead(point: Point) -> bool:
            return bool(point.settings["x"] < 50)

        out_of_memory = self.share(dead_below_50(Outcome.OUT_OF_MEMORY), is_dead)
        crashed = self.share(dead_below_50(Outcome.CRASHED), is_dead)

        assert out_of_memory < crashed - 0.1
        assert out_of_memory < 0.4

    @pytest.mark.parametrize("direction", ["maximize", "minimize"])
    def test_it_goes_where_the_objective_is_better(self, direction: Literal["maximize", "minimize"]) -> None:
        def trial(number: int, point: Point) -> TrialRecord:
            return make_record(number, 100.0 + point.settings["x"], parameters=point.parameters)

        objective = Objective(metric="output_throughput_tok_s", direction=direction)
        upper = self.share(trial, lambda point: point.settings["x"] >= 50, objective)

        assert upper > 0.65 if direction == "maximize" else upper < 0.35

    def test_it_leaves_a_region_that_breaks_a_constraint(self) -> None:
        def trial(number: int, point: Point) -> TrialRecord:
            violations = {"peak_memory_mib <= 1000": (point.settings["x"] - 50) / 50}
            return measured(number, point).model_copy(update={"constraint_violations": violations})

        assert self.share(trial, lambda point: point.settings["x"] > 50) < 0.4

    def test_it_leaves_a_region_over_the_budget(self) -> None:
        def trial(number: int, point: Point) -> TrialRecord:
            is_over = point.settings["x"] > 50
            return (ended(Outcome.OVER_BUDGET) if is_over else measured)(number, point)

        assert self.share(trial, lambda point: point.settings["x"] > 50) < 0.4


@pytest.mark.parametrize(
    ("domain", "distribution"),
    [
        (Range(low=2, high=9), optuna.distributions.IntDistribution(2, 9)),
        (Range(low=2, high=9, step=3), optuna.distributions.IntDistribution(2, 8, step=3)),
        (Range(low=1, high=64, log=True), optuna.distributions.IntDistribution(1, 64, log=True)),
        (Range(low=0.8, high=0.95, step=0.05), optuna.distributions.FloatDistribution(0.8, 0.95, step=0.05)),
        (Range(low=0.8, high=0.97, step=0.05), optuna.distributions.FloatDistribution(0.8, 0.95, step=0.05)),
        (Range(low=0.5, high=0.9), optuna.distributions.FloatDistribution(0.5, 0.9)),
        (Range(low=0.001, high=1.0, log=True), optuna.distributions.FloatDistribution(0.001, 1.0, log=True)),
        (SPECULATIVE.domain, optuna.distributions.CategoricalDistribution(["none", "ngram"])),
    ],
)
def test_a_domain_is_optunas_distribution(domain: Domain, distribution: optuna.distributions.BaseDistribution) -> None:
    assert distribution_of(domain) == distribution
