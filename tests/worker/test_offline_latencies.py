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
