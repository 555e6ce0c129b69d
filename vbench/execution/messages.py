"""Which lines of the result pipe are a worker's messages (vbench/worker/protocol.py), and fit to be read further.

Whatever reads a message relies on what is looked at here: its fields are there, and no number is beyond what can be
reckoned with or stored. JSON has no infinity, but `1e999` becomes one, and an integer may have thousands of digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

PROTOCOL = 1
"""What the workers of this vbench speak."""
PHASES = ("start", "import", "load", "probe", "warmup", "pass", "quality", "close")
_MOST = 2**63
_MOST_DEPTH = 32
_MOST_SMALL_BYTES = 8 * 1024**2
"""Of a message other than a pass's and an answer check's: those grow with the prompts."""


def message_of(line: bytes) -> dict[str, Any] | None:
    """The message that a line is; None where it isn't one."""
    try:
        message = json.loads(line.decode(), parse_constant=_refuse_constant)
        if b"\\ud" in line or b"\\uD" in line:  # half a character, perhaps: of a file's name that isn't UTF-8
            message = json.loads(json.dumps(message, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    event = message.get("event")
    is_known = _KNOWN.get(event) if isinstance(event, str) else None
    if is_known is None or (len(line) > _MOST_SMALL_BYTES and event not in ("pass", "quality")):
        return None
    return message if is_known(message) and is_sound(message) else None


def is_sound(value: Any, depth: int = 0) -> bool:
    """Whether each number in it is finite and below 2⁶³ in size, and nothing is nested too deep. A column of numbers is
    looked at by its sum, which takes a fifth of the time; a pass may have a million."""
    if isinstance(value, (int, float)):
        return math.isfinite(value) if isinstance(value, float) else -_MOST < value < _MOST
    if not isinstance(value, (list, dict)) or not value:
        return True
    if depth > _MOST_DEPTH:
        return False
    if isinstance(value, dict):
        return all(is_sound(one, depth + 1) for one in value.values())
    try:
        return bool(-_MOST < sum(filter(None, value)) < _MOST)  # not so for NaN either
    except OverflowError:
        return False
    except TypeError:  # texts, lists
        return all(is_sound(one, depth + 1) for one in value)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_phase(message: Mapping[str, Any]) -> bool:
    return (
        message.get("name") in PHASES
        and _is_count(message.get("index", 0))
        and _is_number(message.get("t"))
        and _is_count(message.get("of", 0))
    )


def _is_pass(message: Mapping[str, Any]) -> bool:
    requests = message.get("requests")
    return (
        isinstance(message.get("kind"), str)
        and _is_count(message.get("index"))
        and _is_number(message.get("t"))
        and _is_number(message.get("duration_s"))
        and isinstance(requests, dict)
        and all(isinstance(requests.get(name), list) for name in ("input_tokens", "output_tokens"))
        and all(type(one) is int for name in ("input_tokens", "output_tokens") for one in requests[name])
    )


def _is_engine(message: Mapping[str, Any]) -> bool:
    facts = message.get("facts")
    notes = (facts.get("notes") or []) if isinstance(facts, dict) else None
    return isinstance(notes, list) and all(isinstance(note, str) for note in notes)


def _is_tokens(message: Mapping[str, Any]) -> bool:
    return _is_count(message.get("count")) and _is_number(message.get("elapsed_s"))


def _is_anything(_: Mapping[str, Any]) -> bool:
    return True


_KNOWN: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "hello": _is_anything,
    "phase": _is_phase,
    "engine": _is_engine,
    "pass": _is_pass,
    "tokens": _is_tokens,
    "settled": _is_anything,
    "quality": _is_anything,
    "done": _is_anything,
    "error": _is_anything,
}
