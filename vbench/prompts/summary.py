"""What a set of prompts is like: its size, its lengths, how much its prompts have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from vbench.prompts.jsonl import kind_of
from vbench.prompts.reading import canonical, content_digest

_BINS = 8
_SHOWN_CHARACTERS = 120


def summarize(items: Sequence[Mapping[str, Any]], token_counts: Sequence[int] | None = None) -> dict[str, Any]:
    """The facts of a set, as JSON can hold them; what isn't known is None."""
    is_text = kind_of(items[0]) != "prompt_token_ids"
    texts = [text_of(item) for item in items]
    bodies = [{key: value for key, value in item.items() if key != "output_tokens"} for item in items]
    outputs = [item["output_tokens"] for item in items if "output_tokens" in item]
    return {
        "num_prompts": len(items),
        "kind": kind_of(items[0]),
        "sha256": content_digest(items),
        "characters": spread([len(text) for text in texts]) if is_text else None,
        "tokens": None if token_counts is None else spread(token_counts),
        "output_tokens": spread(outputs) if outputs else None,
        "common_prefix_share": common_prefix_share(items),
        "duplicates": len(items) - len({canonical(body) for body in bodies}),
        "first": [_shortened(text) for text in texts[:3]],
    }


def spread(numbers: Sequence[int]) -> dict[str, Any]:
    """min, median, mean, p95, max, and how many fall into each of eight equal bins."""
    ordered = sorted(numbers)
    count = len(ordered)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    width = max(1, math.ceil((ordered[-1] - ordered[0] + 1) / _BINS))
    bins = [0] * math.ceil((ordered[-1] - ordered[0] + 1) / width)
    for number in ordered:
        bins[(number - ordered[0]) // width] += 1
    return {
        "min": ordered[0],
        "median": middle,
        "mean": round(sum(ordered) / count, 1),
        "p95": ordered[math.ceil(0.95 * count) - 1],
        "max": ordered[-1],
        "histogram": [
            {
                "from": ordered[0] + index * width,
                "to": min(ordered[0] + (index + 1) * width - 1, ordered[-1]),
                "prompts": number,
            }
            for index, number in enumerate(bins)
        ],
    }


def common_prefix_share(items: Sequence[Mapping[str, Any]]) -> float:
    """Which share of all prompts' length a prefix cache could give back: what each begins with that another has too.

    Sorted, a prompt's longest common beginning is with a neighbour. The first of a group has to be computed, so each
    prompt is only held against the one before it. Characters of text, or token ids.
    """
    bodies: list[Any] = sorted(item.get("prompt_token_ids") or text_of(item) for item in items)
    shared = sum(_common(before, body) for before, body in pairwise(bodies))
    total = sum(map(len, bodies))
    return round(shared / total, 4) if total else 0.0


def text_of(item: Mapping[str, Any]) -> str:
    """The text of a prompt: of messages, all their texts; of token ids, the ids."""
    if "prompt" in item:
        return str(item["prompt"])
    if "messages" in item:
        return "\n".join(_content(message["content"]) for message in item["messages"])
    return " ".join(map(str, item["prompt_token_ids"][:_SHOWN_CHARACTERS]))


def _content(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def _common(one: Any, other: Any) -> int:
    """How much of their beginnings is the same. By halves: slices are compared quickly, and prompts may be long."""
    same, most = 0, min(len(one), len(other))
    while same < most:
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same


def _shortened(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"
