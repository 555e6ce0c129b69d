"""Which timed passes count, as the worker said at their end (`vbench/worker/pacing.py` decides it), and what to say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vbench.records.record import Pass


def settled(passes: Sequence[Pass], said: Sequence[Mapping[str, Any]]) -> tuple[list[Pass], str | None]:
    """The passes, those that came before the throughput had settled as `unsettled`; and what is wrong with what the
    worker said of it, None where nothing is. Timed ones all count where it said nothing: a trial that ended early."""
    if not said:
        return list(passes), None
    first = said[-1].get("first")
    num_timed = sum(one.kind == "timed" for one in passes)
    if not isinstance(first, int) or not 0 <= first <= max(0, num_timed - 1):
        return list(passes), f"said that timed passes count from pass {first!r} on, of {num_timed}"
    return [
        one.model_copy(update={"kind": "unsettled"}) if one.kind == "timed" and one.index < first else one
        for one in passes
    ], None


def settling_warnings(said: Sequence[Mapping[str, Any]], timed: Sequence[Pass]) -> list[str]:
    """Where the passes that count still show a trend, are fewer than asked for, or know the value less well."""
    if not said or not timed:
        return []
    message, count = said[-1], len(timed)
    is_out_of_time = message.get("is_out_of_time") is True
    warnings = []
    if message.get("is_settled") is False:
        warnings.append(
            f"throughput never settled: the last {_passes(count)} count and still show a trend; add warm-up passes "
            "(measure.warmup_passes), or look for clocks that change"
        )
    asked, first, until = (_number(message.get(name)) for name in ("passes", "first", "until"))
    if is_out_of_time and first and asked is not None and count < asked:
        warnings.append(
            f"{_passes(count)} of {asked:.0f} asked for count: {_passes(int(first))} before them hadn't settled, and "
            "measure.max_seconds left no time to make up for them; raise it, or add warm-up passes"
        )
    if until is not None:
        warnings += _too_wide(_number(message.get("half_width")), until, count, is_out_of_time)
    return warnings


def _too_wide(half_width: float | None, until: float, count: int, is_out_of_time: bool) -> list[str]:
    if half_width is not None and half_width <= until:
        return []
    why, key = ("the time ended", "max_seconds") if is_out_of_time else ("no more were allowed", "max_passes")
    reached = "isn't known" if half_width is None else f"is ±{half_width:.2%}"
    return [
        f"the 95 % interval {reached} after {_passes(count)}, where {until:.2%} was asked for, and {why}: raise "
        f"measure.{key}, measure more prompts a pass, or find what makes passes differ"
    ]


def _passes(count: int) -> str:
    return "1 timed pass" if count == 1 else f"{count} timed passes"


def _number(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, (int, float)) else None
