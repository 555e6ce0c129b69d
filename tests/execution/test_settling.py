"""Which timed passes count, by what the worker says, and what is said where they don't tell what was asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution.bench import Bench
from tests.execution.test_pipe import pass_message
from tests.execution.test_verdict import DONE, judge, make_raw, why
from vbench.execution import verdict
from vbench.execution.settling import settling_warnings
from vbench.outcome import Outcome
from vbench.records.record import Pass


def settled(first: object, **changes: Any) -> dict[str, Any]:
    return {
        "event": "settled", "first": first, "is_settled": True, "half_width": 0.01, "is_out_of_time": False,
        "until": None, "passes": 3, **changes,
    }  # fmt: skip


def kinds(passes: list[Pass]) -> list[tuple[str, int]]:
    return [(one.kind, one.index) for one in passes]


PASSES = [pass_message(kind="warmup"), *(pass_message(index=index) for index in range(3))]


class TestRelabelling:
    def test_passes_before_the_first_that_counts_are_unsettled(self) -> None:
        outcome, _, passes = judge(make_raw(*PASSES, settled(1), DONE))

        assert outcome is Outcome.COMPLETED
        assert kinds(passes) == [("warmup", 0), ("unsettled", 0), ("timed", 1), ("timed", 2)]

    @pytest.mark.parametrize("said", [[], [settled(0)]])
    def test_all_count_else(self, said: list[dict[str, Any]]) -> None:
        assert kinds(judge(make_raw(*PASSES, *said, DONE))[2])[1:] == [("timed", 0), ("timed", 1), ("timed", 2)]

    @pytest.mark.parametrize("first", [3, -1, "1", None])
    def test_one_that_leaves_none_is_no_result(self, first: object) -> None:
        assert why(make_raw(*PASSES, settled(first), DONE)) == (
            Outcome.CRASHED, "bad_result", f"said that timed passes count from pass {first!r} on, of 3",
        )  # fmt: skip


class TestWarnings:
    def of(self, first: int = 0, num_timed: int = 3, **changes: Any) -> list[str]:
        timed = judge(make_raw(*PASSES[: num_timed + 1], DONE))[2][1:]
        return settling_warnings([settled(first, **changes)], timed)

    def test_a_quiet_trial_has_none(self) -> None:
        assert self.of() == self.of(first=1) == settling_warnings([], []) == []

    def test_a_trend_that_stayed(self) -> None:
        (warning,) = self.of(is_settled=False)

        assert warning.startswith("throughput never settled: the last 3 timed passes count and still show a trend")

    def test_too_few_that_count(self) -> None:
        (warning,) = self.of(first=2, num_timed=1, is_out_of_time=True)

        assert warning.startswith("1 timed pass of 3 asked for count: 2 timed passes before them hadn't settled")

    def test_an_interval_that_stayed_wide(self) -> None:
        (warning,) = self.of(until=0.005)
        assert warning.startswith("the 95 % interval is ±1.00% after 3 timed passes, where 0.50% was asked for, and no")
        assert "raise measure.max_passes" in warning

        (warning,) = self.of(until=0.005, half_width=None, is_out_of_time=True)
        assert warning.startswith("the 95 % interval isn't known after 3 timed passes")
        assert "raise measure.max_seconds" in warning


class TestTrial:
    """Through a worker, with the fake engine: its first two passes take longer."""

    def test_a_slow_first_pass_is_made_up_for(self, fake_bench: Bench) -> None:
        args = {"cold_passes": 2, "cold_factor": 1.3}
        ran = fake_bench.run(engine_args=args, warmup_passes=1, passes=3, settle=True)

        assert kinds(ran.passes) == [("warmup", 0), ("unsettled", 0), ("timed", 1), ("timed", 2), ("timed", 3)]
        assert verdict.warnings_of(ran.raw, ran.passes, [4, 4, 4]) == []

    def test_stays_timed_where_it_is_not_to_be_told_apart(self, fake_bench: Bench) -> None:
        args = {"cold_passes": 2, "cold_factor": 1.3}
        ran = fake_bench.run(engine_args=args, warmup_passes=1, passes=3)

        assert kinds(ran.passes)[1:] == [("timed", 0), ("timed", 1), ("timed", 2)]

    def test_passes_go_on_until_the_interval_is_narrow(self, fake_bench: Bench) -> None:
        ran = fake_bench.run(engine_args={"noise": 0.06}, warmup_passes=0, passes=1, until=0.03, max_passes=40)
        (said,) = ran.raw.of("settled")

        assert 5 < len(ran.passes) < 40
        assert said["half_width"] <= 0.03
        assert {(one["of"], one["is_most"]) for one in ran.raw.of("phase") if one["name"] == "pass"} == {(40, True)}
        assert not any("95 % interval" in one for one in verdict.warnings_of(ran.raw, ran.passes, [4, 4, 4]))

    def test_an_engine_can_be_made_slower_by_a_known_share(self, fake_bench: Bench) -> None:
        (plain,) = fake_bench.run(warmup_passes=0, passes=1).passes
        (slowed,) = fake_bench.run(warmup_passes=0, passes=1, slow_share=0.03).passes
        (two,) = fake_bench.run(warmup_passes=0, passes=1, slow_share=0.03, replicas=2).passes
        (both,) = fake_bench.run(warmup_passes=0, passes=1, replicas=2).passes

        assert slowed.duration_s / plain.duration_s == pytest.approx(1.03)
        assert two.duration_s / both.duration_s == pytest.approx(1.03)

    @pytest.mark.engine
    def test_a_real_one_too(self, vllm_bench: Bench) -> None:
        (slowed,) = vllm_bench.run(warmup_passes=0, passes=1, slow_share=4.0).passes

        # Four fifths of what is timed is idling: no answer took as long as a third of it.
        assert max(one or 0.0 for one in slowed.requests.e2e_latency_s or ()) < slowed.duration_s / 3
