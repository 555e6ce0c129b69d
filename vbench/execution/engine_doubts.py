"""What an engine was asked for and doesn't do, though it raised nothing: warnings for the record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# vLLM only warns of it (platforms/interface.py, `validate_environ`).
_UNKNOWN_VARIABLE = re.compile(r"Unknown vLLM environment variable detected: (\w+)")


def engine_doubts(config: Mapping[str, Any], facts: Mapping[str, Any], log_text: str) -> list[str]:
    """Sentences; empty where what was asked is what the engine reports."""
    doubts = []
    asked, in_use = config.get("attention_backend"), facts.get("attention_backends_in_use")
    in_use = [str(one) for one in in_use] if isinstance(in_use, list) else []
    if isinstance(asked, str) and in_use and not any(asked in one or one in asked for one in in_use):
        doubts.append(f"attention_backend {asked} had no effect: the engine uses {', '.join(in_use)}")
    named = set(config.get("environment", {}))
    unknown = dict.fromkeys(_UNKNOWN_VARIABLE.findall(log_text))
    # What the shell has beside them isn't the sweep's.
    effect = "it had no effect; check its name"
    return doubts + [f"this vLLM knows no variable {one}: {effect}" for one in unknown if one in named]
