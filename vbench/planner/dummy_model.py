"""A model by its shape alone as a folder that an engine can load with dummy weights (`load_format: dummy`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.planner.shipped import dummy_config, shipped_shape
from vbench.spec.calling import SHAPE_PREFIX


def is_shape(model: str) -> bool:
    """Whether a model is a shipped shape, written `{shape: NAME}` in a sweep file."""
    return model.startswith(SHAPE_PREFIX)


def check_shape(model: str, source: str, line: int | None) -> None:
    """Raises SpecError at the sweep file's line for a shape that isn't shipped."""
    try:
        shipped_shape(model.removeprefix(SHAPE_PREFIX))
    except SpecError as error:
        (problem,) = error.problems
        told = Problem(message=problem.message, key="model.shape", line=line, hint=problem.hint)
        raise SpecError(source, [told]) from error


def model_folder(model: str, quantization: Any, run_folder: Path) -> str:
    """What the engine loads for a model: itself, or for a shape a folder with its `config.json`, made in the run's.

    A quantization without a `quantization_config` of its own here gets the plain shape: online methods (fp8) quantize
    it, and of others the engine says what it misses.
    """
    if not is_shape(model):
        return model
    name = model.removeprefix(SHAPE_PREFIX)
    method = None if quantization in (None, "", "none") else str(quantization)
    try:
        config = dummy_config(name, method)
    except SpecError:
        config = dummy_config(name)
    folder = run_folder.resolve() / "models" / (name if method is None else f"{name}-{method}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return str(folder)
