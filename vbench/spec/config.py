"""The full effective configuration of a trial, from the sweep's fixed arguments and a point's settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vbench.spec.calling import OWN_WORDS, RUN_TIME_SECTIONS, SECTIONS, SHAPE_PREFIX
from vbench.spec.space import Point, walk
from vbench.spec.types import SweepSpec


def effective_config(spec: SweepSpec, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`engine`, `model`, every engine argument that will be passed, and how the engine is called and asked.

    Of vbench's own words (`calling.OWN_WORDS`) only those that the sweep sets are there; a section's keys that are
    settings (`load.max_concurrency`) are put into it. Prefix caching is off unless the sweep sets it: traversing a
    fixed prompt set again and again would otherwise measure the cache (up to 2.3 times the throughput).
    """
    config: dict[str, Any] = {"engine": spec.engine, "model": spec.model}
    if spec.mode != "offline":
        config["mode"] = spec.mode
    if spec.replicas != 1:
        config["replicas"] = spec.replicas
    sections, others = divided(spec, settings)
    config.update({**spec.engine_args, **others})
    config.setdefault("enable_prefix_caching", False)
    if str(config["model"]).startswith(SHAPE_PREFIX):
        config.setdefault("load_format", "dummy")
        config.setdefault("skip_tokenizer_init", True)
    given = {**sections, "lora_modules": config.get("lora_modules") or spec.lora_modules, "goodput": spec.goodput}
    return {**config, **{name: dict(value) for name, value in given.items() if value}}


def engine_key(spec: SweepSpec, settings: Mapping[str, Any]) -> str:
    """What two trials have in common when one running engine can serve both: all but what is asked of it."""
    config = {name: value for name, value in effective_config(spec, settings).items() if name not in RUN_TIME_SECTIONS}
    return json.dumps(config, sort_keys=True, ensure_ascii=True, default=str)


def divided(spec: SweepSpec, settings: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The sweep's sections (`calling.SECTIONS`) with a point's settings of their keys put in, and its other settings.

    Environment variables are text, also those that a range gives; one that is null isn't set.
    """
    sections = {name: dict(getattr(spec, name)) for name in SECTIONS}
    others: dict[str, Any] = {}
    for name, value in settings.items():
        section, dot, key = name.partition(".")
        if not dot or section not in sections:
            others[name] = value
        elif section != "environment":
            sections[section][key] = value
        elif value is None:
            sections[section].pop(key, None)
        else:
            sections[section][key] = str(value)
    return sections, others


def engine_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration goes to the engine's constructor, besides the model."""
    return {name: value for name, value in config.items() if name not in OWN_WORDS}


def displayed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as recorded: local paths beneath the current folder are written relative to it."""
    return {name: _displayed(value) for name, value in config.items()}


def displayed_path(path: str) -> str:
    """A path relative to the current folder where it lies beneath it, else unchanged."""
    here = Path(os.getcwd())
    return os.path.relpath(path, here) if os.path.isabs(path) and Path(path).is_relative_to(here) else path


def _displayed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _displayed(inner) for key, inner in value.items()}
    return displayed_path(value) if isinstance(value, str) and os.path.isabs(value) else value


def baseline_point(spec: SweepSpec) -> Point | None:
    """The baseline as a point: parameters that it doesn't name are left to the engine. None without a baseline."""
    baseline = spec.baseline
    if baseline is None:
        return None
    named = [parameter for parameter in spec.parameters if parameter.name in baseline]
    point = walk(named, lambda name, _: baseline[name])
    others = {name: value for name, value in baseline.items() if name not in point.parameters}
    return Point(parameters=point.parameters, settings={**point.settings, **others})
