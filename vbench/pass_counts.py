"""What of a pass's work can be counted from its samples: short answers, early stops, cut prompts, prefix-cache hits.

None where it can't be told: an engine that gives no reasons, a prompt that was handed over as text, answers that run
until they stop.
"""

from __future__ import annotations

from vbench.records.record import Pass

_STOPPED = "stop"
"""The engine's word for an answer that ended at a stop string, a stop token or the end of the text."""


def asked_of(one: Pass) -> list[int] | None:
    """Output tokens asked of each request, exactly; None where each runs until it stops."""
    asked = one.requests.asked_tokens
    return [asked] * len(one.requests.output_tokens) if isinstance(asked, int) else asked


def num_short_outputs(one: Pass) -> int | None:
    """Requests with fewer output tokens than were asked of them."""
    asked = asked_of(one)
    if asked is None:
        return None
    return sum(tokens < wanted for tokens, wanted in zip(one.requests.output_tokens, asked, strict=False))


def num_early_stops(one: Pass) -> int | None:
    """Answers of an exact length that the engine says it stopped, for whatever reason but length."""
    reasons = one.requests.finish_reasons
    if reasons is None or one.requests.asked_tokens is None:
        return None
    return sum(reason == _STOPPED for reason in reasons)


def num_truncated_prompts(one: Pass) -> int | None:
    """Prompts of which the engine counted fewer tokens than it was handed, of those where that number is known."""
    given = one.requests.given_tokens
    if given is None or all(number is None for number in given):
        return None
    pairs = zip(one.requests.input_tokens, given, strict=False)
    return sum(number is not None and tokens < number for tokens, number in pairs)


def pass_hit_rate(one: Pass) -> float | None:
    """Prompt tokens found in the prefix cache ÷ prompt tokens; None where the engine doesn't count them."""
    hits, tokens = one.engine_metrics.get("prefix_cache_hits"), one.engine_metrics.get("prompt_tokens")
    return hits / tokens if hits is not None and tokens else None
