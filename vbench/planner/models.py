"""From a model as a sweep names it to its shape: a folder, a hub id in this machine's cache, or a shipped shape.

Looks at files, never at the network.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vbench.errors import Problem, SpecError
from vbench.planner.checkpoint import total_bytes
from vbench.planner.shape import Model, NotModelled
from vbench.planner.shape_reader import read_shape
from vbench.planner.shipped import shape_of_hub_id, shipped_shape
from vbench.spec.calling import SHAPE_PREFIX
from vbench.spec.model_folder import read_model_config


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A model's shape, and where it was read."""

    model: Model
    origin: str
    """`config.json`, `hub cache`, `shape NAME` or `unknown`."""
    checkpoint_bytes: int | None = None
    """Of its safetensors files; None without any."""

    @property
    def is_own_config(self) -> bool:
        """Whether the shape is that of the very checkpoint that will be loaded."""
        return self.origin in ("config.json", "hub cache")


def find_model(name: str) -> FoundModel:
    """Raises SpecError for a folder whose config is missing or wrong; a hub id that isn't here is `NotModelled`."""
    if name.startswith(SHAPE_PREFIX):
        short = name.removeprefix(SHAPE_PREFIX)
        return FoundModel(model=shipped_shape(short), origin=f"shape {short}")
    folder = Path(name)
    if folder.is_dir():
        return _in_folder(folder, "config.json")
    cached = _cached_folder(name)
    if cached is not None:
        return _in_folder(cached, "hub cache")
    shape = shape_of_hub_id(name)
    if shape is not None:
        return FoundModel(model=shipped_shape(shape), origin=f"shape {shape}")
    return FoundModel(
        model=NotModelled(model_type=name, reason="its config.json isn't on this machine"), origin="unknown"
    )


def _in_folder(folder: Path, origin: str) -> FoundModel:
    try:
        config = read_model_config(folder)
    except ValueError as error:
        what, hint = (*error.args, "")[:2]
        raise SpecError(str(folder), [Problem(message=str(what), hint=str(hint))]) from error
    model = read_shape(config, str(folder / "config.json"))
    return FoundModel(model=model, origin=origin, checkpoint_bytes=total_bytes(folder))


def _cached_folder(hub_id: str) -> Path | None:
    """The snapshot that `main` of a hub id points to in the hub's cache, if its config is there."""
    home = os.environ.get("HF_HOME", os.path.join(os.path.expanduser("~"), ".cache", "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", os.path.join(home, "hub")))
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    snapshot = repository / "snapshots" / commit
    return snapshot if (snapshot / "config.json").is_file() else None
