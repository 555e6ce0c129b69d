"""What an engine says about itself only in its log: weights, KV space, time to load and compile.

Line formats are vLLM's (0.5 to 0.33); bytes from GiB are as exact as the log prints them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vbench.units import GIB

_HEAD_BYTES, _TAIL_BYTES = 512 * 1024, 2 * 1024**2
# Bounded, so that no line takes long, whatever an engine prints.
_NUMBER, _COUNT = r"(\d{1,15}(?:\.\d{1,15})?)", r"(\d[\d,]{0,20})"
_FACTS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("weights_bytes", re.compile(rf"Model loading took {_NUMBER} GiB"), "gib"),
    ("weights_bytes", re.compile(rf"Loading model weights took {_NUMBER} GB"), "gib"),
    ("load_weights_s", re.compile(rf"Model loading took [\d.]{{1,31}} GiB(?: memory)? and {_NUMBER} seconds"), "float"),
    ("kv_cache_bytes", re.compile(rf"Available KV cache memory: {_NUMBER} GiB"), "gib"),
    ("kv_cache_tokens", re.compile(rf"(?:GPU|CPU) KV cache size: {_COUNT} tokens"), "int"),
    ("max_concurrency", re.compile(rf"Maximum concurrency for [\d,]{{1,21}} tokens per request: {_NUMBER}x"), "float"),
    (
        "graph_bytes",
        re.compile(rf"Graph capturing finished in [\d.]{{1,31}} secs?(?:\., |, )took {_NUMBER} GiB"),
        "gib",
    ),
    ("graph_capture_s", re.compile(rf"Graph capturing finished in {_NUMBER} secs?"), "float"),
    ("compile_s", re.compile(rf"torch\.compile took {_NUMBER} s"), "float"),
    ("init_engine_s", re.compile(rf"init engine .{{0,200}}? took {_NUMBER}"), "float"),
)
_CONVERT: dict[str, Callable[[str], Any]] = {
    "gib": lambda text: round(float(text) * GIB),
    "int": lambda text: int(text.replace(",", "")),
    "float": float,
}


def read_log(path: Path, start: int = 0, *, tail_bytes: int = _TAIL_BYTES) -> str:
    """The log's text from byte `start` on; of a flooded one its head and tail: the start-up and the last words."""
    try:
        size = path.stat().st_size - start
        with path.open("rb") as file:
            file.seek(start)
            if size <= _HEAD_BYTES + tail_bytes:
                data = file.read()
            else:
                head = file.read(_HEAD_BYTES)
                file.seek(-tail_bytes, 2)
                data = head + b"\n[... %d bytes left out ...]\n" % (size - _HEAD_BYTES - tail_bytes) + file.read()
    except OSError:
        return ""
    return data.decode(errors="replace")


def facts_in(text: str) -> dict[str, Any]:
    """What the log says, by fact name; the last mention of each wins."""
    facts: dict[str, Any] = {}
    for name, pattern, kind in _FACTS:
        found = pattern.findall(text)
        if found:
            facts[name] = _CONVERT[kind](found[-1])
    return facts


def log_tail(path: Path, num_lines: int = 20) -> list[str]:
    """The last lines of a trial's log."""
    return read_log(path).splitlines()[-num_lines:]
