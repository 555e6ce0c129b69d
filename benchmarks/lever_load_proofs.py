"""Proofs about when requests were sent and answered, from a record's columns of single requests."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.lever_proofs import Proof, Shown, timed
from vbench.records.record import Pass, TrialRecord
from vbench.worker.load import arrival_offsets

EARLY_S = 0.005  # the clock that timers wait on is coarser than the one that is read


def sent_as(load: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Proof:
    """No request left before its time, and of all plans (`others` by name) this load's is the nearest to what was."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        for one in timed(record):
            sent = _sent(one)
            plan = arrival_offsets(len(sent), dict(load)) if sent else None
            if plan is None:
                return Shown(False, "no times of sending")
            earliest = min(at - due for at, due in zip(sent, plan, strict=True))
            far = {name: _distance(sent, dict(other)) for name, other in others.items() if other != load}
            nearest = min(far, key=lambda name: far[name], default="")
            own = _distance(sent, dict(load))
            if earliest < -EARLY_S or (far and own >= far[nearest]):
                return Shown(False, f"sent up to {-earliest:.3f} s early; nearest plan {nearest}")
        return Shown(True, f"sent over {sent[-1]:.2f} s as planned, {own * 1000:.0f} ms off on average")

    return prove


def _distance(sent: list[float], load: dict[str, Any]) -> float:
    """Mean of how far from its time each request was sent, s."""
    plan = arrival_offsets(len(sent), load) or [0.0] * len(sent)
    return sum(abs(at - due) for at, due in zip(sent, plan, strict=True)) / len(sent)


def in_flight(low: int, high: int) -> Proof:
    """The most requests that were under way at once lies between the bounds."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        most = max((_most_at_once(one) for one in timed(record)), default=0)
        return Shown(low <= most <= high, f"at most {most} requests in flight")

    return prove


def _most_at_once(one: Pass) -> int:
    sent, e2e = _sent(one), one.requests.e2e_latency_s or []
    edges = [(at, 1) for at in sent]
    # One ends before the next begins where both read the same: times are rounded to a microsecond.
    edges += [(at + lasted - 1e-5, -1) for at, lasted in zip(sent, e2e, strict=False) if lasted is not None]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


def _sent(one: Pass) -> list[float]:
    """Seconds from the pass's start at which each request was sent; empty where all were handed over at once."""
    return [at for at in getattr(one.requests, "send_s", None) or [] if at is not None]


def goodput(bounds_ms: Mapping[str, float]) -> Proof:
    """The record's goodput is that of its requests, counted here anew (`ttft` and `e2el` only)."""

    def prove(record: TrialRecord, _: TrialRecord) -> Shown:
        rates = []
        for one in timed(record):
            ttft, e2e = one.requests.ttft_s, one.requests.e2e_latency_s
            if ttft is None or e2e is None:
                return Shown(False, "no latencies")
            is_good = [
                first is not None and last is not None and first * 1000 <= bounds_ms["ttft"]
                and last * 1000 <= bounds_ms["e2el"] for first, last in zip(ttft, e2e, strict=True)
            ]  # fmt: skip
            rates.append(sum(is_good) / one.duration_s)
        said = record.measurements.get("request_goodput_req_s")
        is_equal = bool(rates) and said is not None and abs(said - statistics.median(rates)) < 1e-6
        every = record.measurements.get("request_throughput_req_s") or 0
        return Shown(is_equal, f"{said or 0:.3g} good of {every:.3g} requests a second")

    return prove
