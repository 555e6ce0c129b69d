"""Every metric by hand: the sum stands beside the assertion. What can't be computed is None, never 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pytest

from vbench.metrics import (
    METRICS,
    distribution,
    measure,
    metric_names,
    metric_of,
    pass_throughput,
    percentile,
    quality_measurements,
    value_of,
)
from vbench.records.record import Pass, Phase, Quality, Requests


def make_pass(
    duration_s: float = 2.0,
    *,
    kind: Literal["warmup", "timed"] = "timed",
    index: int = 0,
    metrics: dict[str, float] | None = None,
    **columns: Any,
) -> Pass:
    """Two requests: 10 and 30 tokens in, 4 and 6 out."""
    requests = Requests(**{"input_tokens": [10, 30], "output_tokens": [4, 6], **columns})
    return Pass(
        index=index, kind=kind, start_s=0.0, duration_s=duration_s, requests=requests, engine_metrics=metrics or {}
    )


def make_phase(name: str, start_s: float, end_s: float, peak: int | None = None) -> Phase:
    return Phase(name=name, start_s=start_s, end_s=end_s, peak_memory_bytes=peak)


def metric(name: str, passes: Sequence[Pass] = (), phases: Sequence[Phase] = ()) -> Any:
    return measure(passes, phases)[name]


class TestPercentile:
    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            (0, 1.0),
            (50, 2.5),  # position 1.5 of 0…3: halfway from 2 to 3
            (90, 3.7),  # position 2.7: 3 + 0.7·(4 − 3)
            (99, 3.97),  # position 2.97
            (100, 4.0),
        ],
    )
    def test_interpolates_between_ranks(self, q: float, expected: float) -> None:
        assert percentile([4.0, 1.0, 3.0, 2.0], q) == pytest.approx(expected)

    def test_of_one_value_is_that_value(self) -> None:
        assert percentile([7.0], 99) == 7.0

    def test_a_distribution_leaves_out_what_is_not_there(self) -> None:
        assert distribution([None, 1.0, None, 3.0]) == pytest.approx(
            {"mean": 2.0, "p50": 2.0, "p90": 2.8, "p95": 2.9, "p99": 2.98}
        )

    @pytest.mark.parametrize("values", [[], [None, None]])
    def test_a_distribution_of_nothing_is_none(self, values: list[float | None]) -> None:
        assert distribution(values) is None


class TestThroughput:
    # At 2 s, 4 s and 5 s: output 10 tokens → 5, 2.5, 2 tok/s; all 50 tokens → 25, 12.5, 10; 2 requests → 1, 0.5, 0.4.
    PASSES = (make_pass(4.0), make_pass(2.0), make_pass(5.0))

    @pytest.mark.parametrize(
        ("name", "median"),
        [
            ("output_throughput_tok_s", 2.5),
            ("total_token_throughput_tok_s", 12.5),
            ("request_throughput_req_s", 0.5),
        ],
    )
    def test_is_the_median_of_the_passes(self, name: str, median: float) -> None:
        assert metric(name, self.PASSES) == median

    def test_of_two_passes_is_between_them(self) -> None:
        assert metric("output_throughput_tok_s", self.PASSES[:2]) == 3.75  # (2.5 + 5) ÷ 2

    def test_warm_up_counts_in_nothing(self) -> None:
        warm = make_pass(0.001, kind="warmup", ttft_s=[9.0, 9.0], metrics={"num_preemptions": 9})
        timed = make_pass(4.0, ttft_s=[1.0, 1.0], metrics={"num_preemptions": 1})

        found = measure([warm, timed], [])

        assert found["output_throughput_tok_s"] == 2.5
        assert found["ttft_s"]["mean"] == 1.0
        assert found["num_preemptions"] == 1

    def test_a_pass_without_duration_has_none(self) -> None:
        assert pass_throughput(make_pass(0.0), lambda _: 5) is None
        assert metric("output_throughput_tok_s", [make_pass(0.0)]) is None
        assert metric("output_throughput_tok_s", [make_pass(0.0), make_pass(4.0)]) == 2.5


class TestLatency:
    @pytest.mark.parametrize("column", ["ttft_s", "tpot_s", "e2e_latency_s"])
    def test_is_over_all_timed_requests(self, column: str) -> None:
        columns: list[dict[str, Any]] = [{column: [1.0, 2.0]}, {column: [3.0, None]}]

        found = metric(column, [make_pass(**one) for one in columns])

        assert found["mean"] == 2.0  # (1 + 2 + 3) ÷ 3
        assert found["p50"] == 2.0
        assert found["p90"] == pytest.approx(2.8)  # position 1.8: 2 + 0.8

    @pytest.mark.parametrize("column", ["ttft_s", "tpot_s", "e2e_latency_s", "itl_s"])
    def test_an_engine_that_gives_none_has_none(self, column: str) -> None:
        assert metric(column, [make_pass()]) is None

    def test_gaps_between_tokens_are_pooled(self) -> None:
        # 0.1, 0.2 and 0.6 are three gaps of two requests: 0.9 ÷ 3.
        assert metric("itl_s", [make_pass(itl_s=[[0.1, 0.2], [0.6]])])["mean"] == pytest.approx(0.3)


class TestCounters:
    def test_hit_rate_is_over_all_prompt_tokens(self) -> None:
        passes = [
            make_pass(metrics={"prefix_cache_hits": 30, "prompt_tokens": 40}),
            make_pass(metrics={"prefix_cache_hits": 0, "prompt_tokens": 40}),
        ]

        assert metric("prefix_cache_hit_rate", passes) == 0.375  # 30 ÷ 80, not the mean of 0.75 and 0

    def test_preemptions_are_summed(self) -> None:
        assert metric("num_preemptions", [make_pass(metrics={"num_preemptions": n}) for n in (2, 0, 3)]) == 5

    def test_none_happened_is_zero_and_not_unknown(self) -> None:
        metrics = {"num_preemptions": 0.0, "prefix_cache_hits": 0.0, "prompt_tokens": 40.0}

        assert metric("num_preemptions", [make_pass(metrics=metrics)]) == 0
        assert metric("prefix_cache_hit_rate", [make_pass(metrics=metrics)]) == 0

    def test_speculation(self) -> None:
        # 10 drafts of 3 tokens, 12 of these accepted: 12 ÷ 30, and 1 + 12 ÷ 10 tokens a step.
        metrics = {
            "spec_decode_num_drafts": 10,
            "spec_decode_num_draft_tokens": 30,
            "spec_decode_num_accepted_tokens": 12,
        }
        passes = [make_pass(metrics={name: float(value) for name, value in metrics.items()})]

        assert metric("acceptance_rate", passes) == 0.4
        assert metric("mean_acceptance_length", passes) == 2.2

    @pytest.mark.parametrize(
        "name", ["prefix_cache_hit_rate", "num_preemptions", "acceptance_rate", "mean_acceptance_length"]
    )
    @pytest.mark.parametrize(
        "counters",
        [
            [{}],
            # Known in one pass only.
            [
                {"prefix_cache_hits": 1, "prompt_tokens": 2, "num_preemptions": 1, "spec_decode_num_drafts": 1,
                 "spec_decode_num_draft_tokens": 1, "spec_decode_num_accepted_tokens": 1},
                {},
            ],
        ],
    )  # fmt: skip
    def test_unknown_is_none(self, name: str, counters: list[dict[str, float]]) -> None:
        assert metric(name, [make_pass(metrics=one) for one in counters]) is None

    def test_a_share_of_nothing_is_none(self) -> None:
        metrics = {"spec_decode_num_draft_tokens": 0.0, "spec_decode_num_accepted_tokens": 0.0}

        assert metric("acceptance_rate", [make_pass(metrics=metrics)]) is None


class TestPhases:
    PHASES = (
        make_phase("start", 0.0, 0.5),
        make_phase("import", 0.5, 2.0, 300),
        make_phase("load", 2.0, 8.0, 900),
        make_phase("pass", 9.0, 12.0, 800),
    )

    def test_start_up_ends_with_a_ready_engine(self) -> None:
        assert metric("startup_s", phases=self.PHASES) == 8.0  # 0.5 + 1.5 + 6

    def test_one_that_never_loaded_has_no_start_up(self) -> None:
        assert metric("startup_s", phases=self.PHASES[:2]) is None

    def test_peak_memory_is_the_largest_of_any_phase(self) -> None:
        assert metric("peak_memory_bytes", phases=self.PHASES) == 900
        assert metric("peak_memory_bytes", phases=self.PHASES[:1]) is None


class TestGoodput:
    """Requests that keep every bound (milliseconds) ÷ the pass's seconds."""

    PASS = make_pass(2.0, ttft_s=[0.1, 0.3], tpot_s=[0.02, None], e2e_latency_s=[1.0, 2.0])

    @pytest.mark.parametrize(
        ("goodput", "expected"),
        [
            ({"ttft": 300.0}, 1.0),
            ({"ttft": 299.0}, 0.5),
            ({"ttft": 300.0, "e2el": 1000.0}, 0.5),
            ({"tpot": 20.0}, 1.0),  # a request of one token has no time per output token
            ({"tpot": 19.0}, 0.5),
            ({"ttft": 50.0}, 0.0),
            ({}, None),
        ],
    )
    def test_counts_requests_within_every_bound(self, goodput: dict[str, float], expected: float | None) -> None:
        assert measure([self.PASS], [], goodput)["request_goodput_req_s"] == expected

    def test_a_request_without_an_answer_is_not_good(self) -> None:
        one = make_pass(2.0, ttft_s=[0.1, None], output_tokens=[4, 0])

        assert measure([one], [], {"ttft": 300.0})["request_goodput_req_s"] == 0.5

    def test_is_not_known_where_a_bound_latency_was_not_measured(self) -> None:
        assert measure([self.PASS, make_pass()], [], {"ttft": 300.0})["request_goodput_req_s"] is None


class TestWork:
    """Over two passes: 4 and 6 tokens came, 10 and 30 prompt tokens were counted."""

    def counts(self, **columns: Any) -> list[Any]:
        measured = measure(
            [make_pass(**columns), make_pass(index=1, **columns), make_pass(kind="warmup", **columns)], []
        )
        return [measured[name] for name in ("num_short_outputs", "num_early_stops", "num_truncated_prompts")]

    def test_what_is_as_asked(self) -> None:
        columns = {"asked_tokens": [4, 6], "finish_reasons": ["length", "length"], "given_tokens": [10, 30]}

        assert self.counts(**columns) == [0, 0, 0]

    def test_is_counted_over_timed_passes(self) -> None:
        columns = {"asked_tokens": 6, "finish_reasons": ["stop", "length"], "given_tokens": [12, 30]}

        assert self.counts(**columns) == [2, 2, 2]

    def test_a_prompt_that_was_text_is_left_out(self) -> None:
        assert self.counts(given_tokens=[None, 31])[2] == 2
        assert self.counts(given_tokens=[None, None])[2] is None

    def test_is_not_known_where_nothing_exact_was_asked(self) -> None:
        assert self.counts(finish_reasons=["stop", "stop"]) == [None, None, None]

    def test_is_not_known_where_a_pass_does_not_tell(self) -> None:
        assert measure([make_pass(asked_tokens=6), make_pass()], [])["num_short_outputs"] is None


def test_nothing_measured_is_none_throughout() -> None:
    assert measure([], []) == dict.fromkeys(one.name for one in METRICS)


class TestQuality:
    def test_the_likelihood_is_per_token_of_all_texts(self) -> None:
        quality = Quality(texts_sha256="a", nll=[30.0, 10.0], tokens=[8, 2], greedy=[], duration_s=1.0)

        assert measure([], [], None, quality)["nll_per_token"] == 4.0
        assert quality_measurements(quality) == {"nll_per_token": 4.0, "nll_increase": None, "greedy_agreement": None}

    def test_without_a_token_there_is_none(self) -> None:
        quality = Quality(texts_sha256="a", nll=[0.0], tokens=[0], greedy=[], duration_s=1.0)

        assert measure([], [], None, quality)["nll_per_token"] is None


class TestNames:
    def test_distributions_are_named_by_their_parts(self) -> None:
        names = metric_names()

        assert "ttft_s" not in names
        assert {"mean_ttft_s", "p50_ttft_s", "p90_ttft_s", "p95_ttft_s", "p99_ttft_s"} <= set(names)
        assert "output_throughput_tok_s" in names
        # 16 plain ones, and 4 distributions of 5 parts.
        assert len(names) == len(set(names)) == 16 + 4 * 5

    @pytest.mark.parametrize("name", metric_names())
    def test_each_name_leads_to_a_declaration_and_a_value(self, name: str) -> None:
        everything = measure(
            [
                make_pass(
                    asked_tokens=6, finish_reasons=["length", "stop"], given_tokens=[10, 30],
                    ttft_s=[1.0, 1.0], tpot_s=[1.0, 1.0], e2e_latency_s=[1.0, 1.0], itl_s=[[1.0], [1.0]],
                    metrics=dict.fromkeys(
                        ["prefix_cache_hits", "prompt_tokens", "num_preemptions", "spec_decode_num_drafts",
                         "spec_decode_num_draft_tokens", "spec_decode_num_accepted_tokens"], 1.0,
                    ),
                )
            ],
            [make_phase("load", 0.0, 1.0, 1)],
            {"ttft": 1000.0},
            Quality(
                texts_sha256="a", nll=[30.0, 10.0], tokens=[8, 2], greedy=[], duration_s=1.0, nll_increase=0.5,
                greedy_agreement=0.75,
            ),
        )  # fmt: skip

        assert name.endswith(metric_of(name).name)
        assert isinstance(value_of(everything, name), float)
        assert value_of(measure([], []), name) is None

    @pytest.mark.parametrize("name", ["", "ttft_s", "p95", "p42_ttft_s", "p95_output_throughput_tok_s", "speed"])
    def test_another_name_has_no_value(self, name: str) -> None:
        assert value_of(measure([make_pass(ttft_s=[1.0, 1.0])], []), name) is None

    def test_another_name_has_no_declaration(self) -> None:
        with pytest.raises(KeyError):
            metric_of("speed")

    @pytest.mark.parametrize("one", METRICS, ids=lambda one: one.name)
    def test_a_declaration_says_everything(self, one: Any) -> None:
        assert one.label
        assert one.formula
        assert one.direction in ("maximize", "minimize")
        # The unit stands in the name wherever there is one.
        suffix = {"tok/s": "_tok_s", "req/s": "_req_s", "s": "_s", "B": "_bytes"}.get(one.unit, "")
        assert one.name.endswith(suffix)
