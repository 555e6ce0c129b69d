"""The parts of the loop by themselves: what it remembers, its random arm, its pending trials, how it stands."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from tests.cli.process import BASE
from tests.records.builders import make_record
from vbench.outcome import Outcome
from vbench.progress import Standing
from vbench.records.record import Failure, TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point, enumerate_points
from vbench.spec.types import Objective, Range, SweepSpec
from vbench.sweep.finals import finalists
from vbench.sweep.history import History, key_of
from vbench.sweep.job_maker import asks_differently
from vbench.sweep.jobs import Job, read_pending, write_pending
from vbench.sweep.random_arm import Cost, RandomArm

THROUGHPUT = Objective(metric="output_throughput_tok_s", direction="maximize")
SPACE = """\
parameters:
  max_num_seqs: [1, 2, 4]
  quantization: [none, awq]
  max_model_len: {low: 512, high: 2048, step: 512}
"""


def spec_of(extra: str, tmp_path: Path) -> SweepSpec:
    return parse_spec(BASE + extra, tmp_path / "small.yaml")


def refused(trial: int) -> TrialRecord:
    failure = Failure(failure_class="planner_infeasible", evidence="too big", advice="less", phase="plan")
    return make_record(trial, None, outcome=Outcome.INFEASIBLE, failure=failure, duration_s=None)


def test_a_history_counts_and_forgets() -> None:
    history = History(THROUGHPUT, [make_record(0, 100.0, origin="baseline", duration_s=7.0)], planned=3)
    held = []
    for trial in range(1, 40):
        record = make_record(trial, 200.0 if trial == 5 else 150.0, duration_s=2.0)
        held.append(weakref.ref(record.passes[0]))
        history.add(record)
        del record
    gc.collect()
    assert sum(one() is not None for one in held) == 1  # of the best
    history.add(refused(40))
    history.add(refused(41))
    history.add(make_record(42, 900.0, origin="random", duration_s=3.0))
    history.add(refused(43))
    standing = history.standing
    assert (standing.done, standing.num_records, history.next_number) == (40, 44, 44)
    assert (standing.search_s, standing.trials_s, standing.num_timed) == (78.0, 88.0, 41)
    assert standing.outcomes == {Outcome.COMPLETED: 41, Outcome.INFEASIBLE: 3}
    assert standing.failures == {"planner_infeasible": 3}
    assert history.num_refused_in_row == 1
    assert history.best is not None
    assert history.best.trial == 42
    assert history.baseline_trial == 0


def test_with_finals_the_best_is_a_finalist_but_for_what_came_later_and_is_clear_of_them() -> None:
    originals = [make_record(0, [90.0, 110.0]), make_record(1, [100.0, 120.0]), make_record(2, [50.0, 60.0])]
    finals = [
        make_record(3, [100.0, 101.0], origin="final", repeat_of=1),
        make_record(4, [104.0, 105.0], origin="final", repeat_of=0),
    ]
    live = History(THROUGHPUT, originals, planned=3)
    assert live.best is not None
    assert live.best.trial == 1
    live.set_finalists(originals[:2])
    for record in finals:
        live.add(record)
    resumed = History(THROUGHPUT, [*originals, *finals], planned=3)
    for history in (live, resumed):
        assert history.best is not None
        assert history.best.trial == 0
        assert history.standing.done == 3
        history.add(make_record(5, [104.5, 106.0]))  # not measured again yet, and not clear of the best
        assert history.best.trial == 0
        history.add(make_record(6, [500.0, 501.0]))
        assert history.best.trial == 6


def test_a_run_is_not_cut_down_by_asking_for_fewer() -> None:
    assert History(THROUGHPUT, [make_record(0), make_record(1)], planned=1).standing.planned == 2


def test_finalists_are_the_best_and_what_overlaps_it() -> None:
    wide, close, far = make_record(0, [100.0, 140.0]), make_record(1, [90.0, 110.0]), make_record(2, [50.0, 60.0])
    final = make_record(3, [500.0, 600.0], origin="final", repeat_of=2)
    chosen = [one.trial for one in finalists([far, close, wide, final], THROUGHPUT, 3)]
    assert chosen == [0, 1]
    assert finalists([far, close, wide], THROUGHPUT, 1) == []  # a single one has no rival
    assert finalists([far, wide], THROUGHPUT, 3) == []


def drawn(arm: RandomArm, limit_s: float, seconds: float) -> list[Point]:
    """What it runs until it is done, each taking so long."""
    points: list[Point] = []
    while (point := arm.next(limit_s)) is not None:
        points.append(point)
        arm.ran(100 + len(points), seconds)
    return points


def test_the_random_arm_spends_what_the_search_did(tmp_path: Path) -> None:
    spec = spec_of(SPACE, tmp_path)
    points = drawn(RandomArm(spec, {}, lambda _: True), 10.0, 2.5)
    assert len(points) == 4
    assert drawn(RandomArm(spec, {}, lambda _: True), 10.0, 2.5) == points
    assert drawn(RandomArm(spec_of(f"{SPACE}search: {{seed: 1}}\n", tmp_path), {}, lambda _: True), 10.0, 2.5) != points


def test_what_the_search_measured_is_charged_and_not_run_again(tmp_path: Path) -> None:
    spec = spec_of(SPACE, tmp_path)
    points = drawn(RandomArm(spec, {}, lambda _: True), 10.0, 2.5)
    costs = {
        key_of(points[0].settings): Cost(7, 4.0, is_own=False),
        key_of(points[1].settings): Cost(8, None, is_own=False),  # refused: costs nothing, tells nothing
    }
    arm = RandomArm(spec, costs, lambda _: True)
    assert drawn(arm, 10.0, 3.0) == points[2:4]
    assert (arm.spent_s, arm.borrowed) == (10.0, [7])


def test_an_arm_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    spec = spec_of(SPACE, tmp_path)
    points = drawn(RandomArm(spec, {}, lambda _: True), 10.0, 2.5)
    for done in range(5):
        costs = {key_of(one.settings): Cost(index, 2.5, is_own=True) for index, one in enumerate(points[:done])}
        arm = RandomArm(spec, costs, lambda _: True)
        assert drawn(arm, 10.0, 2.5) == points[done:]
        assert (arm.spent_s, arm.borrowed) == (10.0, [])


def test_an_arm_ends_with_its_space(tmp_path: Path) -> None:
    spec = spec_of(SPACE, tmp_path)
    points = drawn(RandomArm(spec, {}, lambda point: point.parameters["max_num_seqs"] != "2"), 1e9, 1.0)
    expected = [one for one in enumerate_points(spec.parameters) if one.parameters["max_num_seqs"] != "2"]
    assert {key_of(one.settings) for one in points} == {key_of(one.settings) for one in expected}
    assert len(points) == 16


def test_ranges_are_drawn_within_their_bounds(tmp_path: Path) -> None:
    text = """\
parameters:
  max_model_len: {low: 512, high: 8192, log: true}
  gpu_memory_utilization: {low: 0.5, high: 0.9}
  load_seconds: {low: 0.001, high: 1.0, log: true}
  noise: {low: 0.0, high: 0.3, step: 0.1}
"""
    spec = spec_of(text, tmp_path)
    points = drawn(RandomArm(spec, {}, lambda _: True), 200.0, 1.0)
    for parameter in spec.parameters:
        values = [point.settings[parameter.name] for point in points]
        assert isinstance(parameter.domain, Range)
        assert all(parameter.domain.contains(value) for value in values)
    lengths = [point.settings["max_model_len"] for point in points]
    assert sum(length < 2048 for length in lengths) == pytest.approx(100, abs=30)  # the half of its logarithms
    assert all(isinstance(length, int) for length in lengths)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("max_num_seqs: [1, 2]", False),
        ("sampling.temperature: [0.0, 1.0]", True),
        ("load.max_concurrency: {low: 1, high: 4}", True),
        ("quantization: [none, {hot: {quantization: awq, sampling.temperature: [0.0, 1.0]}}]", True),
    ],
)  # fmt: skip
def test_an_engine_may_be_shared_where_something_is_asked_of_it(
    parameters: str, expected: bool, tmp_path: Path
) -> None:
    assert asks_differently(spec_of(f"parameters:\n  {parameters}\n", tmp_path)) is expected


def test_pending_trials_are_read_back_also_those_of_before_there_could_be_several(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert read_pending(run) == []
    jobs = [
        Job(number=number, point=Point(parameters={"max_num_seqs": "2"}, settings={}), origin="search")
        for number in (4, 3)
    ]
    write_pending(run, jobs)
    assert [(one["trial"], one["origin"], one["parameters"]) for one in read_pending(run)] == [
        (3, "search", {"max_num_seqs": "2"}),
        (4, "search", {"max_num_seqs": "2"}),
    ]
    write_pending(run, [])
    assert read_pending(run) == []
    run.pending_json.write_text('{"trial": 3, "parameters": {"a": 1}}')
    assert read_pending(run) == [{"trial": 3, "parameters": {"a": 1}}]
    for text in ('{"trials": [5, {"trial": "x"}, {"trial": 1}]}', '{"trials": 3}', "[]", "{"):
        run.pending_json.write_text(text)
        assert read_pending(run) == []


def test_time_left_is_of_all_that_comes_and_no_more_than_a_budget_allows() -> None:
    standing = Standing(planned=10, done=4, finals_expected=6)
    assert standing.seconds_left() is None
    standing.trials_s, standing.num_timed = 10.0, 5
    assert standing.seconds_left() == 6 * 2.0 + 6 * 2.0
    assert standing.seconds_left(running_s=1.5) == 22.5
    assert standing.seconds_left(running_s=9.0) == 22.0
    standing.has_random_arm, standing.search_s = True, 8.0
    assert standing.seconds_left() == 24.0 + 8.0 + 12.0
    standing.limit_s = lambda: 5.0
    assert standing.seconds_left() == 5.0
    standing.limit_s = lambda: None
    standing.done, standing.phase, standing.random_s = 10, "random", 3.0
    assert standing.seconds_left() == 5.0 + 12.0
    standing.phase, standing.finals_planned, standing.finals_done, standing.finals_expected = "finals", 4, 1, 0
    assert standing.seconds_left() == 6.0


@pytest.mark.parametrize(("done", "references"), [(0, 2), (15, 2), (16, 1), (30, 1), (31, 0), (32, 0), (33, 0)])
def test_time_left_counts_the_references_that_are_to_come(done: int, references: int) -> None:
    # Of 33 trials: one after the 15th and one after the 30th, as long as a trial each, by themselves.
    standing = Standing(planned=33, done=done, reference_every=15, trials_s=10.0, num_timed=5, at_once=2)
    assert standing.seconds_left() == (33 - done) / 2 * 2.0 + references * 2.0
    standing.phase = "finals"
    assert standing.seconds_left() == 0.0


def test_a_place_says_the_phase_and_what_is_done_of_it() -> None:
    standing = Standing(planned=30, done=12, finals_planned=6, finals_done=6, search_s=10.0, random_s=2.5)
    assert (standing.place, standing.next_place(), standing.share_done) == ("search 12/30", "search 13/30", 0.4)
    standing.phase = "random"
    assert (standing.place, standing.next_place(), standing.share_done) == ("random arm", "random arm", 0.25)
    standing.phase = "finals"
    assert (standing.place, standing.next_place(), standing.share_done) == ("finals 6/6", "finals 6/6", 1.0)
