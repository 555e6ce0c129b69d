"""TTFT and E2E of vLLM offline: what the wall clock says of them, and where it can't be believed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vbench.worker.engines.base import PassResult
from vbench.worker.engines.vllm_offline import _add_latencies


def stats(first_s: float) -> SimpleNamespace:
    """Of a request whose first token came so late, by the wall clock, and its last one 2 s after that."""
    return SimpleNamespace(first_token_latency=first_s, first_token_ts=50.0, last_token_ts=52.0)


def test_they_are_what_vllm_says() -> None:
    result = PassResult([6], [[1] * 5])
    _add_latencies(result, [stats(0.5)], [5], took_s=4.0)

    assert (result.ttft_s, result.e2e_latency_s, result.tpot_s) == ([0.5], [2.5], [0.5])


@pytest.mark.parametrize("first_s", [-3600.0, 3600.0])
def test_a_clock_that_was_set_meanwhile_leaves_them_unknown(first_s: float) -> None:
    result = PassResult([6, 6], [[1] * 5, [1] * 5])
    _add_latencies(result, [stats(0.5), stats(first_s)], [5, 5], took_s=4.0)

    assert (result.ttft_s, result.e2e_latency_s) == (None, None)
    assert result.tpot_s == [0.5, 0.5]


@pytest.mark.parametrize(("first_s", "took_s"), [(3.5, 4.0), (1004.0, 1000.0)])
def test_a_step_that_a_first_token_alone_does_not_show(first_s: float, took_s: float) -> None:
    """Longer than the pass in all: the trial would be refused for it, and isn't to blame (`soundness`)."""
    result = PassResult([6, 6], [[1] * 5, [1] * 5])
    _add_latencies(result, [stats(0.5), stats(first_s)], [5, 5], took_s=took_s)

    assert (result.ttft_s, result.e2e_latency_s) == (None, None)
    assert result.tpot_s == [0.5, 0.5]


def test_of_the_older_engine_all_latencies_are_on_that_clock() -> None:
    old = SimpleNamespace(arrival_time=100.0, first_token_time=100.5, finished_time=3702.0)
    result = PassResult([6], [[1] * 5])
    _add_latencies(result, [old], [5], took_s=4.0)

    assert (result.ttft_s, result.e2e_latency_s, result.tpot_s) == (None, None, None)
