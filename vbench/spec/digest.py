"""The digest that says whether two readings of a sweep file are the same sweep."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vbench.records.redaction import clean_anywhere
from vbench.spec.measure_types import MeasureSpec, QualitySpec
from vbench.spec.types import SweepSpec

# A run may be resumed with a larger budget, under another name, on a slower machine.
_LEFT_OUT = ("name", "description", "deadlines", "source", "text", "lines")
# Keys that came later: a sweep without them keeps the digest that it had before.
_SINCE: tuple[tuple[str, Any], ...] = (
    ("mode", "offline"), ("replicas", 1), ("sampling", {}), ("load", {}), ("goodput", {}), ("lora_modules", {}),
    ("more_objectives", ()), ("quality", QualitySpec()),
)  # fmt: skip
_MAY_HOLD_SECRETS = ("environment", "engine_args", "baseline")
_SEARCH_LEFT_OUT = (
    "trials", "timeout_s", "gpu_hours", "finalists", "final_rounds", "random_arm", "reuse_engine", "parallel_trials",
    "machine_faults",
)  # fmt: skip
_MEASURE_SINCE = ("until", "max_passes", "settle", "reset_prefix_cache", "repeat_spoiled", "reference_every")
_SEARCH_SINCE: tuple[tuple[str, Any], ...] = (("prune", None), ("prune_error_rate", 0.05), ("probe_prompts", 0))


def spec_digest(spec: SweepSpec) -> str:
    """sha256 of all that decides which configurations may be tried and how they are measured.

    Left out: the search's budgets and what comes after it (`_SEARCH_LEFT_OUT`), name, description, deadlines; and
    comments and layout. Paths beneath the sweep file's folder count by their place in it, so the digest survives a
    move. The prompts' content isn't read here: the prompt set has a digest of its own.
    """
    fields = {one.name: getattr(spec, one.name) for one in dataclasses.fields(spec) if one.name not in _LEFT_OUT}
    if spec.emulate is None:
        del fields["emulate"]  # sweeps without it keep the digest they had before there was one
    for name, default in _SINCE:
        if fields[name] == default:
            del fields[name]
    plain = _plain(fields, f"{spec.source.parent}/")
    for name in _MAY_HOLD_SECRETS:
        plain[name] = clean_anywhere(plain[name])  # a renewed token is no other sweep; a digest can be guessed from
    for name in _MEASURE_SINCE:
        if plain["measure"][name] == getattr(MeasureSpec(), name):
            del plain["measure"][name]
    for name in _SEARCH_LEFT_OUT:
        del plain["search"][name]
    for name, default in _SEARCH_SINCE:
        if plain["search"][name] == default:
            del plain["search"][name]
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any, folder: str) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {one.name: _plain(getattr(value, one.name), folder) for one in dataclasses.fields(value)}
        return fields | {"is": type(value).__name__}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, folder) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, folder) for inner in value]
    if isinstance(value, (str, Path)):
        return str(value).removeprefix(folder)
    return value
