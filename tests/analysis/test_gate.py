from __future__ import annotations

from typing import Literal

import pytest

from vbench.analysis.gate import gate
from vbench.analysis.paired import Ratio

THROUGHPUT, LATENCY = "output_throughput_tok_s", "p95_ttft_s"


def make_ratio(
    low: float, high: float, method: Literal["signed_rank", "t", "range", "single"] = "t", detectable: float = 0.02
) -> Ratio:
    return Ratio(ratio=(low + high) / 2, low=low, high=high, num_pairs=8, method=method, detectable=detectable)


@pytest.mark.parametrize(
    ("metric", "low", "high", "decision"),
    [
        (THROUGHPUT, 0.95, 0.969, "slower"),
        (THROUGHPUT, 0.95, 0.98, "unsure"),
        (THROUGHPUT, 0.95, 1.05, "unsure"),
        (THROUGHPUT, 0.975, 0.99, "not_slower"),
        (THROUGHPUT, 1.02, 1.04, "not_slower"),
        (THROUGHPUT, 1.05, 1.20, "not_slower"),
        (LATENCY, 1.04, 1.06, "slower"),
        (LATENCY, 1.02, 1.06, "unsure"),
        (LATENCY, 1.01, 1.02, "not_slower"),
        (LATENCY, 0.90, 0.95, "not_slower"),
    ],
)
def test_a_loss_is_shown_excluded_or_neither_by_the_interval(
    metric: str, low: float, high: float, decision: str
) -> None:
    found = gate(make_ratio(low, high), metric, 0.03)
    assert found.decision == decision
    assert found.fails(is_strict=False) == (decision == "slower")
    assert found.fails(is_strict=True) == (decision != "not_slower")


def test_without_a_confidence_interval_nothing_is_decided() -> None:
    for ratio in (None, make_ratio(0.5, 0.5, "single"), make_ratio(0.5, 0.6, "range")):
        found = gate(ratio, THROUGHPUT, 0.03)
        assert (found.decision, found.detectable) == ("unsure", None)


def test_what_would_have_been_shown_counts_from_the_loss_that_is_allowed() -> None:
    # 0.97 of A, and of that 2 % less
    assert gate(make_ratio(0.9, 1.1), THROUGHPUT, 0.03).detectable == pytest.approx(0.97 * 0.02)
