"""Whether what a worker told is sound: a pass that can't have happened is no result."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from vbench.execution.messages import PROTOCOL
from vbench.execution.runner import RawTrial
from vbench.execution.settling import settled
from vbench.records.record import Pass

_SLACK_S = 1.0
"""Clocks are the same one; what is told needs time to be told."""
_SHORTEST_S = 1e-9
"""No pass takes less; a rate by less may be beyond all numbers."""
_LATENCIES = ("ttft_s", "tpot_s", "e2e_latency_s", "itl_s", "send_s")


def passes_of(raw: RawTrial, num_prompts: int, *, is_timed_here: bool) -> tuple[list[Pass], str | None]:
    """The passes in the record's form, and the first thing that is wrong with one. `is_timed_here`: by the clock that
    the trial itself is timed with; a fake engine has one of its own."""
    passes: list[Pass] = []
    seen: set[tuple[str, int]] = set()
    for message in raw.of("pass"):
        try:
            one = _pass(message, raw.started_t)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            return passes, f"a pass is malformed: {type(error).__name__}: {error}"
        problem = _unsound(one, num_prompts if one.kind != "probe" else len(one.requests.output_tokens))
        problem = problem or _out_of_time(one, raw, is_timed_here=is_timed_here)
        if (one.kind, one.index) in seen:
            problem = f"the {one.kind} pass {one.index} was told twice"
        if problem is not None:
            return passes, problem
        seen.add((one.kind, one.index))
        passes.append(one)
    return settled(passes, raw.of("settled"))


def end_problem(raw: RawTrial) -> str | None:
    """What is wrong with how the worker spoke, beside its passes."""
    for message in raw.of("hello"):
        if message.get("protocol") != PROTOCOL:
            spoken = str(message.get("protocol"))[:20]
            return f"the worker speaks protocol {spoken}, and vbench {PROTOCOL}: was vbench changed while it ran?"
    dones = len(raw.of("done"))
    if dones > 1:
        return f"said `done` {dones} times"
    if dones and raw.messages[-1]["event"] != "done":
        return f"said `{raw.messages[-1]['event']}` after `done`"
    return f"a line on the result pipe isn't ours: {raw.garbage[0]!r}" if raw.garbage else None


def _pass(message: Mapping[str, Any], started_t: float) -> Pass:
    return Pass(
        index=message["index"],
        kind=message["kind"],
        start_s=round(message["t"] - started_t, 6),
        duration_s=message["duration_s"],
        requests=message["requests"],
        output_sha256=message.get("output_sha256"),
        engine_metrics=message.get("engine_metrics", {}),
    )


def _unsound(one: Pass, num_prompts: int) -> str | None:
    requests = one.requests
    if not math.isfinite(one.duration_s) or one.duration_s < _SHORTEST_S:
        return f"pass {one.index} claims a duration of {one.duration_s} s"
    columns = dict(requests)  # with those that the record's form doesn't name
    if any(isinstance(column, list) and len(column) != num_prompts for column in columns.values()):
        return f"pass {one.index} doesn't answer each of the {num_prompts} prompts once"
    if any(tokens < 0 for tokens in (*requests.input_tokens, *requests.output_tokens)):
        return f"pass {one.index} claims a negative number of tokens"
    latencies = _latencies(one)
    if not all(map(math.isfinite, (*latencies, *one.engine_metrics.values()))):
        return f"pass {one.index} has a number that isn't finite"
    if latencies and min(latencies) < 0:
        return f"pass {one.index} claims a latency of {min(latencies)} s"
    return None


def _latencies(one: Pass) -> list[float]:
    columns = dict(one.requests)
    return [value for name in _LATENCIES for value in _values(columns.get(name))]


def _values(column: Any) -> Iterator[float]:
    for value in column if isinstance(column, list) else ():
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


def _out_of_time(one: Pass, raw: RawTrial, *, is_timed_here: bool) -> str | None:
    whole_s = raw.ended_t - raw.started_t
    if not -_SLACK_S <= one.start_s <= whole_s + _SLACK_S:
        return f"pass {one.index} claims to have begun {one.start_s:.1f} s into a trial of {whole_s:.1f} s"
    if not is_timed_here:
        return None
    if one.start_s + one.duration_s > whole_s + _SLACK_S:
        return f"pass {one.index} claims a duration of {one.duration_s:.1f} s, in a trial of {whole_s:.1f} s"
    longest_s = max(_latencies(one), default=0.0)
    if longest_s > one.duration_s + _SLACK_S:
        return f"pass {one.index} claims a latency of {longest_s:.1f} s, and took {one.duration_s:.1f} s"
    return None
