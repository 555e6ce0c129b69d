"""Goodput: how many requests a second keep the latencies that the sweep calls good."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

from vbench.records.record import Pass

_SLO_COLUMNS: dict[str, Literal["ttft_s", "tpot_s", "e2e_latency_s"]] = {
    "ttft": "ttft_s", "tpot": "tpot_s", "e2el": "e2e_latency_s",
}  # fmt: skip


def _num_good(one: Pass, goodput: Mapping[str, float]) -> int | None:
    """Requests that keep every bound; None where a latency that is bound wasn't measured. A request of one token has no
    time per output token and keeps any bound on it; one of none was no answer."""
    good = [tokens > 0 for tokens in one.requests.output_tokens]
    for name, bound_ms in goodput.items():
        column = getattr(one.requests, _SLO_COLUMNS[name])
        if column is None:
            return None
        good = [
            so_far and (value is None or value * 1000 <= bound_ms) for so_far, value in zip(good, column, strict=True)
        ]
    return sum(good)


def goodput(passes: Sequence[Pass], bounds: Mapping[str, float]) -> float | None:
    """Requests per second that keep every bound (milliseconds), the median over passes; None without bounds, or where a
    latency that is bound wasn't measured."""
    if not bounds:
        return None
    counts = [_num_good(one, bounds) for one in passes]
    rates = [n / one.duration_s for n, one in zip(counts, passes, strict=True) if n is not None and one.duration_s > 0]
    return statistics.median(rates) if rates and None not in counts else None
