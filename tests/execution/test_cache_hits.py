"""Passes that profit from earlier ones through the prefix cache: flagged, by hand and on the real engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution.bench import Bench, Ran
from tests.execution.test_pipe import pass_message
from tests.execution.test_verdict import DONE, judge, make_raw
from vbench.execution.cache_hits import cache_warnings
from vbench.execution.runner import RawTrial
from vbench.outcome import Outcome
from vbench.pass_counts import pass_hit_rate


def said(index: int, hits: float | None, state: str = "kept", kind: str = "timed") -> dict[str, Any]:
    counters = {} if hits is None else {"prefix_cache_hits": hits, "prompt_tokens": 100.0}
    return pass_message(index=index, kind=kind, engine_metrics=counters, prefix_cache=state)


def engine(is_on: bool | None) -> dict[str, Any]:
    return {"event": "engine", "facts": {"enable_prefix_caching": is_on}}


def warnings(*messages: dict[str, Any], is_on: bool | None = True, **changes: Any) -> list[str]:
    raw: RawTrial = make_raw(engine(is_on), *messages, DONE)
    for name, value in changes.items():
        setattr(raw, name, value)
    return cache_warnings(raw, judge(raw)[2])


def test_a_rate_is_hits_over_prompt_tokens() -> None:
    known, unknown = judge(make_raw(said(0, 12.0), said(1, None), DONE))[2]

    assert pass_hit_rate(known) == 0.12
    assert pass_hit_rate(unknown) is None


@pytest.mark.parametrize("state", ["kept", "reset"])
def test_hits_that_come_with_later_passes_are_flagged(state: str) -> None:
    (warning,) = warnings(said(0, 12.0, state, "warmup"), said(0, 90.0, state), said(1, 97.0, state))

    assert warning.startswith(
        "pass 2 found 97% of its prompt tokens in the prefix cache, the first warm-up pass 12%: it profits from earlier"
    )
    assert warning.endswith("set enable_prefix_caching: false or measure.reset_prefix_cache: true")


def test_what_prompts_of_one_pass_share_is_not() -> None:
    assert warnings(said(0, 70.0, "reset"), said(1, 70.0, "reset"), said(2, 73.0, "reset")) == []


def test_a_first_pass_over_a_few_prompts_is_no_measure() -> None:
    probe = pass_message(kind="probe", engine_metrics={"prefix_cache_hits": 0.0, "prompt_tokens": 20.0})

    assert warnings(probe, said(0, 70.0, "reset", "warmup"), said(0, 70.0, "reset")) == []


def test_hits_with_caching_off_are_flagged() -> None:
    (warning,) = warnings(said(0, 0.0, "reset"), said(1, 3.0, "reset"), is_on=False)

    assert warning.startswith("prefix caching is off, yet 3.0% of a timed pass's prompt tokens were found")
    assert warnings(said(0, 0.0), said(1, 0.0), is_on=False) == []


def test_a_reused_engine_whose_cache_was_kept_has_no_cold_pass() -> None:
    (warning,) = warnings(said(0, 97.0, "kept", "warmup"), said(0, 97.0), how="reused")

    assert warning.startswith(
        "timed passes found up to 97% of their prompt tokens in the prefix cache, which an earlier"
    )
    assert warnings(said(0, 70.0, "reset", "warmup"), said(0, 70.0, "reset"), how="reused") == []
    assert warnings(said(0, 0.0, "kept"), how="reused") == []


@pytest.mark.parametrize(
    ("state", "is_on", "start"),
    [
        ("refused", True, "the engine refused to reset its prefix cache before 2 of 2 passes: passes may profit"),
        ("refused", False, "the engine refused to reset its prefix cache before 2 of 2 passes: nothing is cached"),
        ("unsupported", True, "this version of the engine can't reset its prefix cache: passes may profit"),
    ],
)
def test_a_reset_that_failed_is_said(state: str, is_on: bool, start: str) -> None:
    (warning,) = warnings(said(0, 0.0, state), said(1, 0.0, state), is_on=is_on)

    assert warning.startswith(start)


def test_a_version_that_cannot_reset_what_is_off_is_none_the_worse() -> None:
    assert warnings(said(0, None, "unsupported"), said(1, None, "unsupported"), is_on=False) == []


def test_prompts_that_are_the_same_are_said_once_where_they_hit() -> None:
    settled = {"event": "settled", "first": 0, "num_duplicates": 3}
    (warning,) = warnings(said(0, 70.0, "reset"), said(1, 70.0, "reset"), settled)

    assert warning.startswith("3 prompts are the same as others of the set")
    assert warnings(said(0, 0.0, "reset"), settled) == []


@pytest.mark.engine
class TestRealEngine:
    PROMPTS = tuple({"prompt_token_ids": list(range(100 + 40 * one, 170 + 40 * one))} for one in range(3))

    def run(self, bench: Bench, **request: Any) -> Ran:
        args = {"enable_prefix_caching": request.pop("is_on", True)}
        ran = bench.run(prompts=self.PROMPTS, engine_args=args, warmup_passes=0, passes=2, **request)
        assert ran.outcome is Outcome.COMPLETED, ran.log
        return ran

    def test_a_cache_that_is_kept_is_flagged_and_one_that_is_reset_or_off_is_not(self, vllm_bench: Bench) -> None:
        kept = self.run(vllm_bench, reset_prefix_cache=False)
        reset, off = self.run(vllm_bench), self.run(vllm_bench, is_on=False)

        assert [pass_hit_rate(one) for one in kept.passes] == [0.0, pytest.approx(64 / 70)]
        (warning,) = cache_warnings(kept.raw, kept.passes)
        assert warning.startswith("pass 2 found 91% of its prompt tokens in the prefix cache, the first pass 0%")
        for ran in (reset, off):
            assert [pass_hit_rate(one) for one in ran.passes] == [0.0, 0.0]
            assert cache_warnings(ran.raw, ran.passes) == []
        assert len({one.output_sha256 for ran in (kept, reset, off) for one in ran.passes}) == 1
        assert {one["prefix_cache"] for one in kept.raw.of("pass")} == {"kept"}
        assert {one["prefix_cache"] for one in reset.raw.of("pass")} == {"reset"}
