"""The surrogate: it finds the best in few trials, learns from what failed or was stopped, and asks the same again."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.records.builders import make_record
from tests.search.spaces import LARGE, SEQS, SMALL, SPECULATIVE, asking, ended, measured, never_again, search
from tests.search.stopping import chunk, trial
from vbench.outcome import Outcome
from vbench.records.record import Stopped, TrialRecord
from vbench.search.base import Asking, settings_key
from vbench.search.beliefs import Feasibility, Fits, Value
from vbench.search.optuna_search import OptunaSearch
from vbench.search.surrogate import SurrogateSearch
from vbench.spec.space import Point, enumerate_points, point_of
from vbench.spec.types import Choice, Objective, Option, Parameter, Range

THROUGHPUT = Objective(metric="output_throughput_tok_s", direction="maximize")
LATENCY = Objective(metric="p95_ttft_s", direction="minimize")


def choice(name: str, *values: Any) -> Parameter:
    options = tuple(Option(label=str(value), value=value) for value in values)
    return Parameter(name=name, domain=Choice(options=options))


ENGINE = (
    choice("max_num_seqs", 8, 16, 32, 64, 128),
    choice("quantization", "none", "awq", "fp8"),
    choice("enforce_eager", True, False),
    choice("block_size", 16, 32),
    Parameter(name="max_num_batched_tokens", domain=Range(low=1024, high=4096, step=1024)),
)
"""5 · 3 · 2 · 2 · 4 = 240 points."""


def rate(point: Point) -> float:
    """Effects that multiply, and one interaction: with awq, more sequences help less."""
    chosen = point.parameters
    seqs = math.log2(int(chosen["max_num_seqs"]) / 8)  # type: ignore[arg-type]
    log_rate = 5 + seqs * (0.1 if chosen["quantization"] == "awq" else 0.3) - 0.03 * seqs**2
    log_rate += {"none": 0.0, "awq": 0.4, "fp8": 0.15}[str(chosen["quantization"])]
    log_rate += 0.1 * (chosen["enforce_eager"] == "False") + 0.02 * (chosen["block_size"] == "32")
    return math.exp(log_rate - 0.05 * math.log2(chosen["max_num_batched_tokens"] / 2048) ** 2)  # type: ignore[operator]


def make_search(
    parameters: Sequence[Parameter] = ENGINE, seed: int = 0, objectives: Sequence[Objective] = (THROUGHPUT,)
) -> SurrogateSearch:
    return SurrogateSearch(parameters, objectives, seed)


def noisy(seed: int, noise: float = 0.01) -> Callable[[int, Point], TrialRecord]:
    draw = random.Random(seed)
    return lambda number, point: make_record(
        number, rate(point) * math.exp(draw.gauss(0, noise)), parameters=point.parameters
    )


def trials_until_best(searcher: Any, trial: Callable[[int, Point], TrialRecord], most: int = 120) -> int:
    best = max(map(rate, enumerate_points(ENGINE)))
    tried: list[Point] = []
    for number in range(most):
        point = searcher.ask(asking(number, tried))
        assert point is not None
        tried.append(point)
        if rate(point) >= 0.98 * best:
            return number + 1
        searcher.tell(trial(number, point))
    return most


def test_it_needs_a_fraction_of_the_trials_of_random_search() -> None:
    ours = [trials_until_best(make_search(seed=seed), noisy(seed)) for seed in range(20)]
    rolled = [
        trials_until_best(OptunaSearch(ENGINE, (THROUGHPUT,), "random", seed, num_trials=30), noisy(seed))
        for seed in range(20)
    ]

    assert statistics.median(ours) <= 0.5 * statistics.median(rolled)
    assert sorted(ours)[17] <= 30  # of 240


class TestAsks:
    def test_a_small_space_is_exhausted_exactly(self) -> None:
        points, _ = search(make_search(SMALL), 100)

        everything = [settings_key(point.settings) for point in enumerate_points(SMALL)]
        assert sorted(settings_key(point.settings) for point in points) == sorted(everything)

    def test_only_points_of_the_space_and_none_twice(self) -> None:
        points, _ = search(make_search(LARGE), 60)

        assert len({settings_key(point.settings) for point in points}) == 60
        assert [point_of(LARGE, point.parameters) for point in points] == points

    def test_only_what_is_allowed_to_the_last_of_it(self) -> None:
        points, _ = search(make_search(LARGE), 100, is_allowed=lambda point: point.settings["max_model_len"] >= 7680)

        assert len(points) == 2 * 4 * 4 * 2

    def test_endless_ranges(self) -> None:
        space = (
            Parameter(name="gpu_memory_utilization", domain=Range(low=0.5, high=0.95)),
            Parameter(name="max_num_seqs", domain=Range(low=1, high=1024, log=True)),
        )

        def trial(number: int, point: Point) -> TrialRecord:
            off = math.log2(point.settings["max_num_seqs"] / 200) ** 2
            return make_record(
                number, 500 * math.exp(point.settings["gpu_memory_utilization"] - 0.05 * off),
                parameters=point.parameters,
            )  # fmt: skip

        points, records = search(make_search(space), 25, trial)

        assert len(points) == 25
        assert all(isinstance(point.settings["max_num_seqs"], int) for point in points)
        best = max(records, key=lambda record: record.measurements["output_throughput_tok_s"])
        assert best.measurements["output_throughput_tok_s"] > 0.98 * 500 * math.exp(0.95)

    def test_nothing_allowed_in_an_endless_space(self) -> None:
        endless = (Parameter(name="gpu_memory_utilization", domain=Range(low=0.5, high=0.9)),)

        assert make_search(endless).ask(Asking(number=0, is_allowed=lambda _: False)) is None

    def test_the_seed_decides(self) -> None:
        first, again, other = (search(make_search(seed=seed), 8, noisy(0))[0] for seed in (1, 1, 2))

        assert first == again
        assert first != other

    def test_points_beside_running_ones_are_others(self) -> None:
        searcher = make_search()
        tried, _ = search(searcher, 8, noisy(0))
        running: list[Point] = []
        for _ in range(3):
            point = searcher.ask(Asking(number=8, is_allowed=never_again([*tried, *running]), running=tuple(running)))
            assert point is not None
            running.append(point)

        assert len({settings_key(point.settings) for point in [*tried, *running]}) == 11


def pruned(number: int, point: Point, bound: float) -> TrialRecord:
    stopped = Stopped(
        phase="pass", after_s=1.0, bound=bound, incumbent_trial=0, incumbent_value=2 * bound, error_rate=0.05
    )
    return make_record(number, None, outcome=Outcome.PRUNED, stopped=stopped, parameters=point.parameters)


def a_mixed_trial(number: int, point: Point) -> TrialRecord:
    kinds = (measured, ended(Outcome.OUT_OF_MEMORY), ended(Outcome.CRASHED), measured, ended(Outcome.OVER_BUDGET))
    return pruned(number, point, 120.0) if number % 6 == 5 else kinds[number % 6](number, point)


@pytest.mark.parametrize("space", [SMALL, LARGE])
def test_a_resumed_search_asks_what_the_uninterrupted_one_did(space: Sequence[Parameter]) -> None:
    def is_allowed(point: Point) -> bool:
        return bool(point.settings.get("max_model_len", 9999) > 3000)

    searcher = make_search(space)
    points, records = search(searcher, 24, a_mixed_trial, is_allowed)

    for cut in range(len(points)):
        resumed = make_search(space)
        for record in records[:cut]:
            resumed.tell(TrialRecord.model_validate_json(record.to_json_line()))
        assert resumed.ask(asking(cut, points[:cut], is_allowed)) == points[cut], f"cut before trial {cut}"


def test_a_resumed_search_fits_what_the_uninterrupted_one_did() -> None:
    """Hyperparameters are kept between questions; what stopped trials had completed is weighed as it was then."""
    draw = random.Random(1)

    def some(number: int, point: Point) -> TrialRecord:
        value = rate(point)
        whole = trial(number, [value] * 3, warmup=value * math.exp(-draw.uniform(0.1, 1)), parameters=point.parameters)
        if number % 3 != 2:
            return whole
        stopped = pruned(number, point, 1.1 * value)
        return stopped.model_copy(update={"passes": whole.passes[:1], "phases": []})

    points, records = search(make_search(), 45, some)
    for cut in range(14, 45, 3):
        resumed = make_search()
        for record in records[:cut]:
            resumed.tell(record)
        assert resumed.ask(asking(cut, points[:cut])) == points[cut], f"cut before trial {cut}"


class TestLearns:
    LINE = (Parameter(name="x", domain=Range(low=0, high=99)),)

    BOX = (*LINE, choice("speed", 1, 2, 3), choice("block_size", 16, 32), choice("enforce_eager", True, False))

    def share(self, trial: Any, is_counted: Callable[[Point], bool]) -> float:
        """Of what is asked after the first few, over a few seeds, the share that is counted."""
        late = [point for seed in range(4) for point in search(make_search(self.BOX, seed), 20, trial)[0][6:]]
        return sum(map(is_counted, late)) / len(late)

    @staticmethod
    def rising(number: int, point: Point) -> TrialRecord:
        """Better the larger x is, and the speed: what can't run would be best."""
        value = 100.0 + point.settings["x"] + 10 * point.settings["speed"]
        return make_record(number, value, parameters=point.parameters)

    @pytest.mark.parametrize("outcome", [Outcome.OUT_OF_MEMORY, Outcome.OVER_BUDGET, Outcome.INFEASIBLE])
    def test_it_leaves_a_region_that_cannot_run(self, outcome: Outcome) -> None:
        def trial(number: int, point: Point) -> TrialRecord:
            if point.settings["x"] < 60:
                return self.rising(number, point)
            value = 400.0 if outcome.is_measured else None
            return make_record(number, value, outcome=outcome, parameters=point.parameters)

        # What can't run lies where all is best, so its edge is looked for: but not again and again.
        assert self.share(self.rising, lambda point: point.settings["x"] >= 65) > 0.8
        assert self.share(trial, lambda point: point.settings["x"] >= 65) < 0.3

    def test_it_leaves_a_region_that_breaks_a_constraint(self) -> None:
        def trial(number: int, point: Point) -> TrialRecord:
            violation = (point.settings["x"] - 60) / 60
            violations = {"peak_memory_mib <= 1000": violation}
            return self.rising(number, point).model_copy(update={"constraint_violations": violations})

        assert self.share(trial, lambda point: point.settings["x"] > 60) < 0.35

    def test_a_stopped_trial_lowers_its_region_and_says_no_more_than_its_bound(self) -> None:
        searcher = make_search(self.LINE)
        for number, x in enumerate((5, 30, 55, 80)):
            point = point_of(self.LINE, {"x": x})
            assert point is not None
            record = pruned(number, point, 90.0) if x == 80 else measured_at(number, point, 100.0 + x / 10)
            searcher.tell(record)
        told = searcher._told.valued
        value = gaussian_value(searcher)

        assert told[-1].bound == pytest.approx(math.log(90.0))
        assert value.data.values[3] <= math.log(90.0)
        assert value.data.noise[3] > 1e-6  # it isn't taken for a measurement
        mean, _ = value.posterior.at(np.array([[80.0], [55.0]]))
        assert mean[0] < mean[1]

    def test_a_stop_far_above_what_was_expected_changes_nothing(self) -> None:
        def foreseen(bound: float | None) -> float:
            searcher = make_search(self.LINE)
            for number, x in enumerate((5, 30, 55, 75, 85, 99)):
                point = point_of(self.LINE, {"x": x})
                assert point is not None
                searcher.tell(measured_at(number, point, 100.0))
            if bound is not None:
                point = point_of(self.LINE, {"x": 80})
                assert point is not None
                searcher.tell(pruned(9, point, bound))
            return float(gaussian_value(searcher).posterior.at(np.array([[80.0]]))[0][0])

        assert foreseen(300.0) == pytest.approx(foreseen(None), abs=0.01)
        assert foreseen(70.0) < foreseen(None) - 0.05

    def test_what_a_stopped_trial_had_completed_tells_more_than_its_bound(self) -> None:
        """Warm-ups have half of the rate; of speed 3, the stopped trials' had a tenth of what others had, or none."""

        def foreseen(warmup: float | None) -> float:
            searcher = make_search(self.BOX)
            for number in range(18):
                speed = number % 3 + 1
                options = {"speed": str(speed), "block_size": "16", "enforce_eager": "True"}
                point = point_of(self.BOX, {"x": number * 5, **options})
                assert point is not None
                record = trial(number, [100.0 + number] * 3, warmup=50.0 + number / 2, parameters=point.parameters)
                if speed == 3:
                    record = pruned(number, point, 100.0)
                    passes = [] if warmup is None else [chunk("warmup", 0, warmup)]
                    record = record.model_copy(update={"passes": passes, "phases": []})
                searcher.tell(record)
            row = np.array([[42.0, 2.0, 0.0, 0.0]])
            return float(np.exp(gaussian_value(searcher).posterior.at(row)[0][0]))

        assert foreseen(5.0) < 50 < foreseen(None) < 105
        assert foreseen(80.0) < 105  # twice that is more than the bound, which holds

    def test_what_failed_around_a_point_never_rules_it_out(self) -> None:
        searcher = make_search(self.LINE)
        for number, x in enumerate((5, 30, 50, 52, 56, 60, 70, 80, 90)):
            point = point_of(self.LINE, {"x": x})
            assert point is not None
            kind = measured if x < 50 else ended(Outcome.OUT_OF_MEMORY)
            searcher.tell(kind(number, point))
        found = Feasibility(searcher._encoding, searcher._told, Fits()).at(np.array([[85.0], [15.0]]))

        assert 1e-4 < found[0] < 0.1 < 0.8 < found[1]

    def test_crashes_teach_nothing(self) -> None:
        searcher = make_search()
        search(searcher, 6, ended(Outcome.CRASHED))

        assert len(gaussian_value(searcher).data.values) == 0
        assert (
            list(Feasibility(searcher._encoding, searcher._told, Fits()).at(searcher._encoding.every_row()))
            == [1.0] * 240
        )

    def test_minimising(self) -> None:
        objective = Objective(metric="output_throughput_tok_s", direction="minimize")
        points, _ = search(make_search(objectives=(objective,)), 25, noisy(0))

        assert min(map(rate, points)) <= 1.02 * min(map(rate, enumerate_points(ENGINE)))


def measured_at(number: int, point: Point, throughput: float) -> TrialRecord:
    return make_record(number, throughput, parameters=point.parameters)


def gaussian_value(searcher: SurrogateSearch) -> Any:
    return Value(searcher._encoding, searcher._told, None, Fits())


class TestCheapTrials:
    SPACE = (choice("load.max_concurrency", 1, 2, 4, 8), choice("max_num_seqs", 8, 16, 32, 64))

    def test_what_the_running_engine_can_serve_comes_first(self) -> None:
        def engine_of(point: Point) -> object:
            return point.settings["max_num_seqs"]

        def is_served(alive: object, point: Point) -> bool:
            return engine_of(point) == alive

        def starts(knows: bool) -> int:
            searcher, tried, count = make_search(self.SPACE), list[Point](), 0
            for number in range(12):
                alive = engine_of(tried[-1]) if tried else None
                is_cheap = partial(is_served, alive) if knows else None
                point = searcher.ask(Asking(number=number, is_allowed=never_again(tried), is_cheap=is_cheap))
                assert point is not None
                count += engine_of(point) != alive
                tried.append(point)
                load = int(point.settings["load.max_concurrency"])
                searcher.tell(make_record(number, 1000.0 + 10 * load, parameters=point.parameters))  # 20 s of 23: start
            return count

        assert starts(knows=True) < starts(knows=False)


class TestEarlierRuns:
    def test_they_say_what_is_better_but_not_how_much_is_reached(self) -> None:
        fresh = statistics.median(trials_until_best(make_search(seed=seed), noisy(seed)) for seed in range(5))
        warm = []
        for seed in range(5):
            searcher = make_search(seed=seed)
            _, earlier = search(make_search(seed=seed + 90), 25, noisy(seed + 90))
            slower = [
                make_record(one.trial, one.measurements["output_throughput_tok_s"] / 7, parameters=one.parameters)
                for one in earlier
            ]
            searcher.tell_prior(slower)
            warm.append(trials_until_best(searcher, noisy(seed)))

        assert statistics.median(warm) <= max(2, fresh / 2)


def test_several_objectives_are_spread_along_the_front() -> None:
    line = (Parameter(name="x", domain=Range(low=0, high=99)),)

    def trial(number: int, point: Point) -> TrialRecord:
        x = point.settings["x"]  # throughput up to 80, latency better the smaller; above 80 both get worse
        record = make_record(number, 100.0 + min(x, 160 - x), parameters=point.parameters)
        ttft = dict.fromkeys(("mean", "p50", "p90", "p95", "p99"), 0.1 + x / 50)
        return record.model_copy(update={"measurements": {**record.measurements, "ttft_s": ttft}})

    late = search(make_search(line, objectives=(THROUGHPUT, LATENCY)), 30, trial)[0][8:]
    xs = [point.settings["x"] for point in late]

    assert sum(x > 90 for x in xs) <= 3  # up to there both objectives are all but as good as at 80
    assert min(xs) < 20
    assert max(xs) > 60


def test_what_a_question_costs_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = np.linalg.inv

    def watched(matrix: Any) -> Any:
        sizes.append(len(matrix))
        return real(matrix)

    monkeypatch.setattr(np.linalg, "inv", watched)
    space = (*LARGE, choice("block_size", 16, 32), SPEED)
    searcher = make_search(space)
    draw = random.Random(0)
    for number, point in enumerate(draw.sample(list(enumerate_points(space)), 900)):
        searcher.tell(measured(number, point))
    counts = []
    for number in (900, 901):
        scored = 0

        def is_allowed(_: Point) -> bool:
            nonlocal scored
            scored += 1
            return True

        assert searcher.ask(Asking(number=number, is_allowed=is_allowed)) is not None
        counts.append(scored)

    assert max(sizes) <= 120
    assert counts == [1, 1]


SPEED = choice("speed", *range(4))


def test_conditional_settings_are_searched_where_they_apply() -> None:
    space = (SEQS, SPECULATIVE, SPEED)

    def trial(number: int, point: Point) -> TrialRecord:
        tokens = point.parameters.get("speculative_config.ngram.num_speculative_tokens", 0)
        return make_record(number, 100.0 + 20 * int(tokens), parameters=point.parameters)  # type: ignore[arg-type]

    points, _ = search(make_search(space), 12, trial)

    found = [point.parameters.get("speculative_config.ngram.num_speculative_tokens") for point in points]
    assert found.count(4) >= 5  # of 8 that there are
