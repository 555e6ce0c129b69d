"""What a worker is asked for one trial: the request that crosses to vbench/worker/trial.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vbench.prompts.prompt_set import PromptSet
from vbench.spec.calling import load_problem, whole_load
from vbench.spec.config import engine_arguments
from vbench.spec.types import SweepSpec


def trial_request(
    spec: SweepSpec, config: Mapping[str, Any], prompt_set: PromptSet, prompts_file: Path, model: str,
    environment: Mapping[str, str], *, keep_engine: bool = False, probe: bool = True,
    quality: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The request for a configuration as the engine here is to be given it; `model` is what it loads. With
    `keep_engine` the worker waits for another trial of its engine instead of closing it; without `probe` it makes none,
    whatever the sweep says. `quality`: what `quality_check.quality_request` says, where the answers are checked."""
    measure = spec.measure
    load = {} if _mode(config) == "offline" else whole_load(config.get("load") or {})
    return {
        "engine": spec.engine,
        "mode": _mode(config),
        "replicas": config.get("replicas", 1),
        "model": model,
        "engine_args": engine_arguments(config),
        "environment": dict(environment),
        "sampling": dict(config.get("sampling") or {}),
        "load": load,
        "lora_modules": dict(config.get("lora_modules") or {}),
        "prompts_file": str(prompts_file.resolve()),
        "output_tokens": prompt_set.output_tokens,
        "max_tokens": prompt_set.max_tokens,
        "probe_prompts": spec.search.probe_prompts if probe else 0,
        "warmup_passes": measure.warmup_passes,
        "passes": measure.passes,
        "max_seconds": measure.max_seconds,
        "until": measure.until,
        "max_passes": measure.max_passes,
        "settle": measure.settle,
        "reset_prefix_cache": measure.reset_prefix_cache,
        "keep_engine": keep_engine,
        "quality": quality,
    }


def request_notes(config: Mapping[str, Any]) -> list[str]:
    """What of the configuration has no effect in the way that the engine is called."""
    load = config.get("load") or {}
    if _mode(config) == "offline":
        return ["load has no effect offline: all prompts are given at once"] if load else []
    problem = load_problem(load)
    return [] if problem is None else [f"load: {problem[0]}"]


def _mode(config: Mapping[str, Any]) -> str:
    return str(config.get("mode", "offline"))
