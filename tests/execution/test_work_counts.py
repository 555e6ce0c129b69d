"""Answers and prompts that aren't what was asked: what is said of them, and that the real engine shows it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.execution.bench import Bench
from vbench.execution.work_counts import work_warnings
from vbench.metrics import measure
from vbench.records.record import Pass, Requests


def timed(*each: dict[str, Any]) -> list[Pass]:
    """Passes of two requests with 6 tokens in and 4 out each, unless said otherwise."""
    return [
        Pass(
            index=index, kind="timed", start_s=0.0, duration_s=1.0,
            requests=Requests(**{"input_tokens": [6, 6], "output_tokens": [4, 4], "asked_tokens": 4, **columns}),
        )
        for index, columns in enumerate(each)
    ]  # fmt: skip


def test_work_that_is_as_asked_has_none() -> None:
    passes = timed({"given_tokens": [6, None], "finish_reasons": ["length", "length"]}, {})

    assert work_warnings(passes, [4, 4]) == []
    assert work_warnings([], [4, 4]) == []


def test_answers_without_room_are_told_from_those_that_stopped() -> None:
    short = {"output_tokens": [4, 3]}
    (room,) = work_warnings(timed({**short, "finish_reasons": ["length", "length"]}, {}), [4, 4])
    (stop,) = work_warnings(timed({**short, "finish_reasons": ["length", "stop"]}, {}), [4, 4])
    both = {"output_tokens": [3, 3], "finish_reasons": ["stop", "length"]}
    (mixed,) = work_warnings(timed(both), [4, 4])

    assert room.startswith("1 of 4 requests didn't generate the 4 tokens asked for: max_model_len leaves too little")
    assert stop.startswith("1 of 4 requests didn't generate the 4 tokens asked for: they ended at a stop")
    assert ": 1 of them ended at a stop" in mixed


def test_an_answer_that_may_stop_is_never_short() -> None:
    assert work_warnings(timed({"output_tokens": [1, 2], "asked_tokens": None}), None) == []


def test_cut_prompts_are_counted() -> None:
    (warning,) = work_warnings(timed({"given_tokens": [9, 6]}, {"given_tokens": [9, None]}), None)

    assert warning.startswith("2 of 4 prompts were cut before the engine answered them")


def test_prompts_that_change_from_pass_to_pass_are_counted() -> None:
    (warning,) = work_warnings(timed({}, {"input_tokens": [6, 7]}, {"input_tokens": [6, 8]}), None)

    assert warning.startswith("1 of 2 prompts had other numbers of tokens in some timed passes than in the first")


@pytest.mark.engine
class TestRealEngine:
    LONG = ({"prompt_token_ids": list(range(100, 200))}, {"prompt_token_ids": list(range(100, 110))})

    def counts(self, bench: Bench, **request: Any) -> tuple[list[Any], list[str], list[Pass]]:
        ran = bench.run(prompts=self.LONG, warmup_passes=0, passes=1, **request)
        measured = measure(ran.passes, [])
        names = ("num_short_outputs", "num_early_stops", "num_truncated_prompts")
        asked = [request.get("output_tokens", 4)] * 2
        return [measured[name] for name in names], work_warnings(ran.passes, asked), ran.passes

    def test_cuts_answers_that_have_no_room_without_a_word(self, vllm_bench: Bench) -> None:
        counted, (warning,), (one,) = self.counts(
            vllm_bench, output_tokens=40, engine_args={"max_model_len": 128, "max_num_batched_tokens": 128}
        )

        assert counted == [1, 0, 0]
        assert one.requests.output_tokens == [28, 40]  # 128 of context less 100
        assert one.requests.finish_reasons == ["length", "length"]
        assert "max_model_len leaves too little room" in warning

    STOPS: ClassVar = {"stop_token_ids": list(range(1024))}
    """All that the tiny model knows: whatever comes first is one of them."""

    @pytest.mark.parametrize("mode", ["offline", "async"])
    def test_ends_answers_at_stop_tokens(self, vllm_bench: Bench, mode: str) -> None:
        counted, (warning,), (one,) = self.counts(vllm_bench, mode=mode, output_tokens=8, sampling=self.STOPS)

        assert counted == [2, 2, 0]
        assert one.requests.finish_reasons == ["stop", "stop"]
        assert one.requests.output_tokens == [1, 1]
        assert "they ended at a stop" in warning

    def test_as_a_server_cuts_prompts_where_it_is_asked_to(self, vllm_bench: Bench) -> None:
        sampling = {**self.STOPS, "truncate_prompt_tokens": 20}
        counted, warnings, (one,) = self.counts(vllm_bench, mode="server", output_tokens=8, sampling=sampling)

        assert counted == [2, 2, 1]
        assert one.requests.input_tokens == [20, 10]
        assert one.requests.given_tokens == [100, 10]
        assert warnings[1].startswith("1 of 2 prompts were cut before the engine answered them")
