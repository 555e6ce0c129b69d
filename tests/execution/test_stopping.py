"""Trials that a stopper ends, through the real runner and the fake engine, whose passes then take real time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import is_alive, pid_of, wait_until
from tests.execution.test_trials import Trials, trials
from vbench.execution.most_tokens import most_tokens
from vbench.execution.stopping import Stopper
from vbench.execution.watch import Watch
from vbench.outcome import Outcome
from vbench.records.record import Stopped, TrialRecord
from vbench.search.early_stop import EarlyStop, Plan
from vbench.spec.space import Point
from vbench.spec.types import MeasureSpec, Objective

FOR_EVER = 10_000.0
"""A `sleep_scale` at which a pass lasts minutes: what ends, was ended."""
LASTING = 10.0
"""One at which it lasts half a second."""


class Limits:
    """A stopper with these limits, which notes what it is asked and told."""

    def __init__(self, limits: Mapping[tuple[str, int], float]) -> None:
        self.limits = limits
        self.asked: list[tuple[str, int]] = []
        self.told: list[tuple[str, int]] = []

    def limit_s(self, phase: str, index: int) -> float | None:
        if phase in ("probe", "warmup", "pass"):
            self.asked.append((phase, index))
        return self.limits.get((phase, index))

    def passed(self, message: dict[str, Any]) -> None:
        assert message["duration_s"] > 0
        assert message["requests"]["output_tokens"] == [4, 4, 4][: 1 if message["kind"] == "probe" else 3]
        self.told.append((message["kind"], message["index"]))

    def stopped(self, phase: str, index: int, after_s: float) -> Stopped:
        return Stopped(
            phase=phase, index=index, after_s=after_s, bound=1.0, incumbent_trial=0, incumbent_value=2.0, error_rate=0.1
        )


def run(t: Trials, number: int, stopper: Stopper | None, events: list[dict[str, Any]], **settings: Any) -> TrialRecord:
    point = Point(parameters=dict(settings), settings=settings)
    return t.runner.run(number, point, "search", events.append, stopper)


def test_a_trial_is_stopped_in_the_middle_of_a_pass(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    with trials(tmp_path, "objective: {maximize: output_throughput_tok_s}\n") as t:
        stopped = run(t, 0, Limits({("warmup", 0): 0.2}), events, sleep_scale=FOR_EVER)

        assert not is_alive(pid_of(events[0]))
        assert t.run_folder.log(0).exists()
        after = run(t, 1, Limits({}), [])

    assert (stopped.outcome, stopped.failure) == (Outcome.PRUNED, None)
    assert stopped.stopped is not None
    assert (stopped.stopped.phase, stopped.stopped.index, stopped.stopped.bound) == ("warmup", 0, 1.0)
    assert stopped.stopped.after_s >= 0.2
    assert stopped.passes == []
    assert stopped.measurements["output_throughput_tok_s"] is None
    assert stopped.phases[-1].name == "warmup"
    assert stopped.warnings == []
    assert TrialRecord.model_validate_json(stopped.to_json_line()) == stopped
    assert (after.outcome, after.stopped, len(after.passes)) == (Outcome.COMPLETED, None, 3)


def test_what_was_measured_before_the_stop_is_kept_and_no_more(tmp_path: Path) -> None:
    stopper = Limits({("pass", 1): 0.0})
    with trials(tmp_path, "constraints: [output_throughput_tok_s >= 1]\n") as t:
        record = run(t, 0, stopper, [], sleep_scale=LASTING)
        whole = run(t, 1, None, [])

    assert record.outcome is Outcome.PRUNED
    assert [(one.kind, one.index) for one in record.passes] == [("warmup", 0), ("timed", 0)]
    # The fake engine's passes take the same on its own clock: one is worth as much as two.
    assert record.measurements["output_throughput_tok_s"] == pytest.approx(
        whole.measurements["output_throughput_tok_s"]
    )
    assert record.constraint_violations == {}
    assert stopper.told == [("warmup", 0), ("timed", 0)]


def test_a_probe_can_be_what_ends_a_trial(tmp_path: Path) -> None:
    stopper = Limits({})
    with trials(tmp_path, "search: {probe_prompts: 1}\n") as t:
        stopped = run(t, 0, Limits({("probe", 0): 0.2}), [], sleep_scale=FOR_EVER)
        whole = run(t, 1, stopper, [])

    assert stopped.outcome is Outcome.PRUNED
    assert stopped.stopped is not None
    assert (stopped.stopped.phase, stopped.passes) == ("probe", [])
    assert [one.kind for one in whole.passes] == ["probe", "warmup", "timed", "timed"]
    assert stopper.asked[0] == stopper.told[0] == ("probe", 0)


def test_a_stopper_without_limits_changes_nothing(tmp_path: Path) -> None:
    stopper = Limits({})
    with trials(tmp_path) as t:
        without, watched = run(t, 0, None, []), run(t, 1, stopper, [])

    assert watched.outcome is Outcome.COMPLETED
    assert watched.stopped is None
    assert [one.requests for one in watched.passes] == [one.requests for one in without.passes]
    assert [one.output_sha256 for one in watched.passes] == [one.output_sha256 for one in without.passes]
    assert stopper.asked == [("warmup", 0), ("pass", 0), ("pass", 1)]
    assert stopper.told == [("warmup", 0), ("timed", 0), ("timed", 1)]


def test_limits_that_are_kept_stop_nothing(tmp_path: Path) -> None:
    phases = [("warmup", 0), ("pass", 0), ("pass", 1)]
    with trials(tmp_path) as t:
        record = run(t, 0, Limits(dict.fromkeys(phases, 600.0)), [])

    assert (record.outcome, record.stopped) == (Outcome.COMPLETED, None)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The runner is held up under a limit until the process has ended and the limit has passed: what was said, was said
    in time. The trial's events go into what this returns."""
    events: list[dict[str, Any]] = []
    turn = Watch._turn

    def hold_up(watch: Watch, timeout_s: float) -> None:
        if timeout_s > 0 and watch.may_stop is not None:
            pid = pid_of([event for event in events if event["event"] == "hello"][-1])
            assert wait_until(lambda: not is_alive(pid))
            time.sleep(max(0.0, watch.may_stop[0] - time.monotonic()))
        else:
            turn(watch, timeout_s)

    monkeypatch.setattr(Watch, "_turn", hold_up)
    return events


@pytest.mark.parametrize("where", [("warmup", 0), ("pass", 1)])
def test_a_limit_that_passes_as_the_pass_ends_stops_nothing(
    where: tuple[str, int], tmp_path: Path, late: list[dict[str, Any]]
) -> None:
    with trials(tmp_path) as t:
        record = run(t, 0, Limits({where: 0.3}), late)

    assert (record.outcome, record.stopped) == (Outcome.COMPLETED, None)
    assert len(record.passes) == 3


@pytest.mark.parametrize("fail", ["oom@pass", "exception@pass"])
def test_a_failure_just_before_the_limit_is_a_failure(fail: str, tmp_path: Path, late: list[dict[str, Any]]) -> None:
    with trials(tmp_path) as t:
        record = run(t, 0, Limits({("warmup", 0): 0.3}), late, fail=fail)

    assert record.outcome in (Outcome.OUT_OF_MEMORY, Outcome.CRASHED)
    assert record.failure is not None
    assert record.stopped is None


def test_the_rule_stops_a_trial_that_is_slower(tmp_path: Path) -> None:
    """Waves of three prompts each, one at a time, take 2.7 times as long as all three at once."""
    early = EarlyStop(
        Objective(metric="output_throughput_tok_s", direction="maximize"), Plan(prompts=3, passes=4, warmup_passes=0)
    )
    with trials(tmp_path) as t:
        t.runner.spec = replace(t.runner.spec, measure=MeasureSpec(warmup_passes=0, passes=4))
        tokens = most_tokens(t.runner.prompt_set, {})
        first = run(t, 0, early.stopper(tokens), [], sleep_scale=5.0, max_num_seqs=3)
        early.learn(first)
        slow = run(t, 1, early.stopper(tokens), [], sleep_scale=5.0, max_num_seqs=1)
        early.learn(slow)
        equal = run(t, 2, early.stopper(tokens), [], sleep_scale=5.0, max_num_seqs=3)

    assert (first.outcome, slow.outcome, equal.outcome) == (Outcome.COMPLETED, Outcome.PRUNED, Outcome.COMPLETED)
    assert slow.stopped is not None
    assert (slow.stopped.phase, slow.stopped.index, slow.stopped.incumbent_trial) == ("pass", 0, 0)
    best = first.measurements["output_throughput_tok_s"]
    assert slow.stopped.incumbent_value == best
    # Its true value, by the fake engine's formula, is 0.37 of that; the bound holds, and is no better than the best.
    assert best / 2.8 < slow.stopped.bound <= best


def test_a_probe_is_left_out_where_it_is_not_wanted(tmp_path: Path) -> None:
    point = Point(parameters={}, settings={})
    with trials(tmp_path, "search: {probe_prompts: 1}\n") as t:
        record = t.runner.run(0, point, "search", lambda _: None, Limits({("probe", 0): 0.0}), probe=False)

    assert (record.outcome, [one.kind for one in record.passes]) == (Outcome.COMPLETED, ["warmup", "timed", "timed"])


class Told(Limits):
    """Notes every phase that it is asked of."""

    def limit_s(self, phase: str, index: int) -> float | None:
        self.asked.append((phase, index))
        return None


def test_a_stopper_hears_of_every_engine_that_is_started_for_its_trial(tmp_path: Path) -> None:
    first, again = Told({}), Told({})
    with trials(tmp_path) as t:
        run(t, 0, first, [])
        run(t, 1, again, [], fail="segfault@pass")

    assert first.asked == [("load", 0), ("warmup", 0), ("pass", 0), ("pass", 1)]
    assert again.asked == [("load", 0), ("warmup", 0)] * 2  # forked, then cold


def test_a_reused_engine_is_not_one(tmp_path: Path) -> None:
    stopper = Told({})
    point = Point(parameters={}, settings={})
    with trials(tmp_path) as t:
        t.runner.run(0, point, "search", lambda _: None, None, keep=True)
        t.runner.run(1, point, "search", lambda _: None, stopper, keep=True)

    assert stopper.asked == [("warmup", 0), ("pass", 0), ("pass", 1)]
