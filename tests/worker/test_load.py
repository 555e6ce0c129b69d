"""When requests are sent, and how a pass of single requests is driven and timed."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from vbench.worker.engines.base import PassResult, Work
from vbench.worker.load import RequestError, Send, arrival_offsets, drive


def offsets(count: int, **load: Any) -> list[float]:
    found = arrival_offsets(count, load)
    assert found is not None
    return found


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in pairwise([0.0, *times])]


class TestArrivals:
    @pytest.mark.parametrize("load", [{}, {"max_concurrency": 4}, {"request_rate": None}, {"request_rate": math.inf}])
    def test_without_a_rate_all_are_sent_at_once(self, load: dict[str, Any]) -> None:
        assert arrival_offsets(3, load) is None

    def test_no_requests_have_no_times(self) -> None:
        assert offsets(0, request_rate=4) == []

    def test_constant_gaps_are_the_rates_inverse(self) -> None:
        assert offsets(4, request_rate=4, arrival="constant") == [0.25, 0.5, 0.75, 1.0]

    def test_bursts_come_at_the_rate_of_their_requests(self) -> None:
        # 3 requests a burst at 6 a second: a burst every half second, the first at once.
        assert offsets(7, request_rate=6, arrival="burst", burst_size=3) == [0, 0, 0, 0.5, 0.5, 0.5, 1.0]

    def test_poisson_gaps_are_exponential_and_stretched_to_the_rate(self) -> None:
        draw = random.Random(5).random
        drawn = [-math.log(1 - draw()) for _ in range(4)]
        ends = [sum(drawn[: index + 1]) for index in range(4)]
        # 4 requests at 8 a second: the last is sent at 0.5 s.
        assert offsets(4, request_rate=8, seed=5) == pytest.approx([end * 0.5 / ends[-1] for end in ends], abs=1e-9)

    @pytest.mark.parametrize("load", [{}, {"arrival": "gamma", "burstiness": 0.3}, {"burstiness": 5}])
    @pytest.mark.parametrize("seed", [0, 1, 99])
    def test_the_last_is_sent_when_the_rate_says(self, load: dict[str, Any], seed: int) -> None:
        times = offsets(60, request_rate=12, seed=seed, **load)

        assert times[-1] == pytest.approx(60 / 12, abs=1e-9)
        assert times == sorted(times)

    @pytest.mark.parametrize(("burstiness", "spread"), [(0.25, 2.0), (1, 1.0), (4, 0.5), (100, 0.1)])
    def test_gamma_gaps_spread_as_their_shape_says(self, burstiness: float, spread: float) -> None:
        # The standard deviation of a gamma variate over its mean is 1 ÷ √shape.
        found = gaps(offsets(20_000, request_rate=50, burstiness=burstiness))

        assert statistics.fmean(found) == pytest.approx(1 / 50)
        assert statistics.stdev(found) * 50 == pytest.approx(spread, rel=0.05)

    def test_endless_burstiness_is_constant(self) -> None:
        assert offsets(2, request_rate=4, arrival="gamma", burstiness=math.inf) == [0.25, 0.5]

    def test_equal_seeds_send_alike_and_others_otherwise(self) -> None:
        assert offsets(20, request_rate=5) == offsets(20, request_rate=5, seed=0)
        assert offsets(20, request_rate=5) != offsets(20, request_rate=5, seed=1)

    def test_a_linear_ramp(self) -> None:
        # Rates 1, 2, 3: gaps 1, 1/2, 1/3, not stretched.
        load = {"ramp_up_strategy": "linear", "ramp_up_start_rps": 1, "ramp_up_end_rps": 3}
        assert offsets(3, arrival="constant", **load) == pytest.approx([1, 1.5, 11 / 6], abs=1e-9)

    def test_an_exponential_ramp(self) -> None:
        # Rates 1, 2, 4.
        load = {"ramp_up_strategy": "exponential", "ramp_up_start_rps": 1, "ramp_up_end_rps": 4}
        assert offsets(3, arrival="constant", **load) == [1, 1.5, 1.75]

    def test_a_random_ramp_keeps_its_mean(self) -> None:
        load = {"ramp_up_strategy": "linear", "ramp_up_start_rps": 10, "ramp_up_end_rps": 100}
        rates = [10 + 90 * index / 9_999 for index in range(10_000)]

        assert offsets(10_000, **load)[-1] == pytest.approx(sum(1 / rate for rate in rates), rel=0.05)

    @pytest.mark.parametrize(
        ("load", "word"),
        [
            ({"request_rate": 0}, "request_rate"),
            ({"request_rate": 1, "arrival": "uniform"}, "uniform"),
            ({"request_rate": 1, "arrival": "burst"}, "burst_size"),
            ({"request_rate": 1, "burstiness": -1}, "burstiness"),
            ({"ramp_up_strategy": "linear", "ramp_up_start_rps": 1}, "ramp_up_end_rps"),
            ({"ramp_up_strategy": "steps", "ramp_up_start_rps": 1, "ramp_up_end_rps": 2}, "steps"),
        ],
    )
    def test_what_makes_no_sense_is_named(self, load: dict[str, Any], word: str) -> None:
        with pytest.raises(ValueError, match=word):
            arrival_offsets(2, load)


def driven(send: Send, prompts: list[Any], **request: Any) -> PassResult:
    return asyncio.run(drive(prompts, Work(request), send))


def present(column: list[float | None] | None) -> list[float]:
    assert column is not None
    assert None not in column
    return [value for value in column if value is not None]


class TestDrive:
    def test_counts_tokens_not_chunks_and_times_them(self) -> None:
        async def send(index: int, prompt: str) -> AsyncIterator[list[int]]:
            await asyncio.sleep(0.05)
            yield []  # a role, a usage: not a token
            yield [index]
            await asyncio.sleep(0.05)
            yield [7, 8, 9]

        result = driven(send, ["a", "b"])

        assert result.token_ids == [[0, 7, 8, 9], [1, 7, 8, 9]]
        assert result.itl_s is not None
        for ttft, tpot, e2e, itl in zip(
            present(result.ttft_s), present(result.tpot_s), present(result.e2e_latency_s), result.itl_s, strict=True
        ):
            assert 0.045 < ttft < e2e
            assert itl == [pytest.approx(e2e - ttft)]
            assert tpot == pytest.approx((e2e - ttft) / 3)

    def test_what_has_no_tokens_has_no_latencies(self) -> None:
        async def send(index: int, prompt: str) -> AsyncIterator[list[int]]:
            for token in range(index):
                yield [token]

        result = driven(send, ["none", "one"])

        assert result.token_ids == [[], [0]]
        assert result.ttft_s is not None
        assert result.ttft_s[0] is None
        assert result.ttft_s[1] is not None
        assert result.tpot_s == [None, None]

    def test_no_more_are_in_flight_than_allowed_and_waiting_counts_for_none(self) -> None:
        now_and_most = [0, 0]

        async def send(index: int, prompt: str) -> AsyncIterator[list[int]]:
            now_and_most[0] += 1
            now_and_most[1] = max(now_and_most)
            await asyncio.sleep(0.03)
            yield [index]
            now_and_most[0] -= 1

        start = time.monotonic()
        result = driven(send, list("abcdef"), max_concurrency=2)
        wall_s = time.monotonic() - start

        assert now_and_most == [0, 2]
        sent = result.send_s
        assert sent is not None
        assert sent == sorted(sent)
        assert sent[-1] >= 0.055  # the third pair
        for at, e2e in zip(sent, present(result.e2e_latency_s), strict=True):
            assert e2e >= 0.025
            assert at + e2e <= wall_s  # had it the wait for a place in it, it would end after the pass

    def test_each_is_sent_at_its_time(self) -> None:
        async def send(index: int, prompt: str) -> AsyncIterator[list[int]]:
            yield [index]

        result = driven(send, list("abc"), arrivals_s=[0.0, 0.05, 0.1])

        assert result.send_s is not None
        for sent, planned in zip(result.send_s, [0.0, 0.05, 0.1], strict=True):
            assert sent >= planned - 1e-3

    @pytest.mark.parametrize("arrivals_s", [None, [0.0, 0.0, 0.0, 60.0]])
    def test_a_failure_cancels_the_others_and_names_its_request(self, arrivals_s: list[float] | None) -> None:
        cancelled: list[int] = []

        async def send(index: int, prompt: str) -> AsyncIterator[list[int]]:
            if index == 1:
                await asyncio.sleep(0.01)
                raise KeyError("too long")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(index)
                raise
            yield [index]

        with pytest.raises(RequestError, match=r"request 1: 'too long'") as raised:
            driven(send, list("abcd"), arrivals_s=arrivals_s)

        assert isinstance(raised.value.__cause__, KeyError)
        assert (raised.value.index, raised.value.original_type) == (1, "KeyError")
        assert sorted(cancelled) == ([0, 2, 3] if arrivals_s is None else [0, 2])

    def test_no_prompts(self) -> None:
        async def send(index: int, prompt: str) -> AsyncIterator[list[int]]:
            yield [index]

        assert driven(send, []).token_ids == []
