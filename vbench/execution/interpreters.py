"""The interpreter that holds an engine: what it holds, and what its engine accepts.

`identify` reads package metadata (a tenth of a second); `describe` imports the engine once and is cached by interpreter
and version, because importing vLLM takes seconds. `cached_description` is that cache alone: it starts nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import MachineError
from vbench.execution.worker_question import WORKER_ENTRY, ask_worker, last_line, run_worker

_IDENTIFY_TIMEOUT_S = 30
_DESCRIBE_TIMEOUT_S = 300
_INSTALL_HINT = {
    "vllm": "install it beside vbench (`pip install 'vbench[vllm]'` for NVIDIA GPUs; `make setup` for a CPU), "
    "or name the interpreter that has it with `python:` in the sweep file"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that was asked what it holds."""

    path: str
    python_version: str
    distribution: str
    engine_version: str
    packages: dict[str, str | None]


def find_interpreter(python: str | None, engine: str) -> Interpreter:
    """Ask the interpreter which engine it holds. Raises MachineError: no such interpreter, or no engine in it."""
    path = _resolve(python)
    try:
        said = run_worker([path, str(WORKER_ENTRY), "identify"], _IDENTIFY_TIMEOUT_S)
        if said.code != 0:
            raise MachineError(f"{path} doesn't run as a Python 3.8 or newer: {last_line(said.errors)}")
        answer = json.loads(said.output)
        if not isinstance(answer, dict) or "engines" not in answer:
            raise ValueError(f"it answered {said.output[:80]!r}")
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{path} could not be asked what it holds: {error}") from error
    held = answer["engines"].get(engine)
    if held is None:
        hint = _INSTALL_HINT.get(engine, "")
        raise MachineError(f"{path} has no {engine}: {hint}")
    return Interpreter(
        path=path,
        python_version=answer["python"],
        distribution=held["distribution"],
        engine_version=held["version"],
        packages={name: answer.get(name) for name in ("torch", "transformers")},
    )


def _resolve(python: str | None) -> str:
    if python is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        raise MachineError(f"python: {python} is not an interpreter here: give the path of one that holds the engine")
    return found


def describe_engine(interpreter: Interpreter, engine: str, *, use_cache: bool = True) -> dict[str, Any]:
    """What the engine in that interpreter accepts (`arguments`, `nested_keys`, `platform`, `version`).

    Raises MachineError when it can't be imported, with the engine's own last words.
    """
    cached = cached_description(interpreter, engine) if use_cache else None
    if cached is not None:
        return cached
    description = _describe(interpreter, engine)
    cache = _cache_file(interpreter, engine)
    if cache is not None:
        _write_cache(cache, description)
    return description


def cached_description(interpreter: Interpreter, engine: str) -> dict[str, Any] | None:
    """What `describe_engine` kept of that engine in that interpreter; None where it wasn't asked yet, or the file is
    torn. Reads one file: no interpreter is started, nothing is imported."""
    cache = _cache_file(interpreter, engine)
    if cache is None:
        return None
    try:
        cached = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cached if isinstance(cached, dict) else None


def _describe(interpreter: Interpreter, engine: str) -> dict[str, Any]:
    try:
        answer, last = ask_worker(interpreter.path, ["describe", engine], _DESCRIBE_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"{interpreter.path}: importing {engine} took over {_DESCRIBE_TIMEOUT_S} s") from error
    if answer.get("event") != "description":
        reason = answer.get("message") or last
        raise MachineError(f"{engine} can't be imported by {interpreter.path}: {reason}")
    return answer


def _cache_file(interpreter: Interpreter, engine: str) -> Path | None:
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(root):
        return None
    worker = b"".join(path.read_bytes() for path in sorted(WORKER_ENTRY.parent.glob("engines/*.py")))
    key = f"{os.path.abspath(interpreter.path)}|{engine}|{interpreter.engine_version}|{interpreter.packages}"
    digest = hashlib.sha256(key.encode() + worker).hexdigest()[:16]
    return Path(root) / "vbench" / f"describe-{engine}-{digest}.json"


def _write_cache(cache: Path, description: dict[str, Any]) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(description), encoding="utf-8")
        temporary.replace(cache)
    except OSError:
        pass  # a home that can't be written costs the next start a few seconds, nothing else
