"""The full effective configuration of a trial, from the sweep's fixed arguments and a point's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vbench.spec.space import Point, walk
from vbench.spec.types import SweepSpec


def effective_config(spec: SweepSpec, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`engine`, `model` and every engine argument that will be passed.

    Prefix caching is off unless the sweep sets it: traversing a fixed prompt set again and again would otherwise
    measure the cache (up to 2.3 times the throughput).
    """
    config = {"engine": spec.engine, "model": spec.model, **spec.engine_args, **settings}
    config.setdefault("enable_prefix_caching", False)
    return config


def engine_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration goes to the engine's constructor, besides the model."""
    return {name: value for name, value in config.items() if name not in ("engine", "model")}


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
