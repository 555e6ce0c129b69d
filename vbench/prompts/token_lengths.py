"""How many tokens each prompt has for a model: counted by its own tokenizer, in the engine's interpreter, and kept.

The tokenizer runs in a worker: vbench itself imports no engine and no tokenizer. Counts are cached by the prompts'
digest and what the tokenizer is, so a set is counted once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vbench.errors import MachineError
from vbench.execution.worker_question import ask_worker
from vbench.prompts.reading import canonical, content_digest

_TIMEOUT_S = 600
_COUNTING = "1"
"""Another number when counting itself changes: what was kept before is then counted anew."""
_TOKENIZER_FILES = ("token", "vocab", "merges", "special_tokens", "chat_template", "added_tokens", "spiece", "tekken")


def token_lengths(items: Sequence[Mapping[str, Any]], model: str, python: str | None = None) -> list[int]:
    """Tokens of each item as the engine would count them, the chat template's included.

    `model` is a folder with a tokenizer, or a hub id whose files are in this machine's cache. Raises MachineError.
    """
    if items and "prompt_token_ids" in items[0]:
        return [len(item["prompt_token_ids"]) for item in items]
    cache = _cache_file(items, model)
    cached = None if cache is None else _cached(cache, len(items))
    if cached is not None:
        return cached
    counts = _count(items, model, python)
    if cache is not None:
        _keep(cache, counts)
    return counts


def _count(items: Sequence[Mapping[str, Any]], model: str, python: str | None) -> list[int]:
    path = _interpreter(python)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.jsonl"
        file.write_text("".join(f"{canonical(item)}\n" for item in items), encoding="ascii")
        try:
            answer, last = ask_worker(path, ["count-tokens"], _TIMEOUT_S, {"tokenizer": model, "file": str(file)})
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"{path}: counting the tokens took over {_TIMEOUT_S} s") from error
        except OSError as error:
            raise MachineError(f"{path} can't be started: {error.strerror}") from error
    counts = answer.get("counts")
    if not _are_counts(counts, len(items)):
        reason = " ".join(str(answer.get("message") or last).split())
        raise MachineError(f"tokens can't be counted with the tokenizer of {model} in {path}: {reason[:300]}")
    return list(counts or ())


def _interpreter(python: str | None) -> str:
    if python is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        raise MachineError(f"{python} is not an interpreter here: give the path of one that holds the engine")
    return found


def _are_counts(value: object, number: int) -> bool:
    return isinstance(value, list) and len(value) == number and all(type(one) is int for one in value)


def _cache_file(items: Sequence[Mapping[str, Any]], model: str) -> Path | None:
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    identity = tokenizer_identity(model)
    if not os.path.isabs(root) or identity is None:
        return None
    # Output lengths don't change how long a prompt is.
    bare = [{key: value for key, value in item.items() if key != "output_tokens"} for item in items]
    key = f"{_COUNTING}|{content_digest(bare)}|{identity}"
    return Path(root) / "vbench" / f"tokens-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def tokenizer_identity(model: str) -> str | None:
    """What tells one tokenizer from another: a digest of its files, or the commit of a hub id; None if unknown."""
    if not os.path.isdir(model):
        return _hub_commit(model)
    digest = hashlib.sha256()
    names = sorted(name for name in os.listdir(model) if _is_tokenizer_file(name))
    for name in names:
        try:
            content = (Path(model) / name).read_bytes()
        except OSError:
            return None
        digest.update(f"{name}|{len(content)}|".encode() + content)
    return f"files:{digest.hexdigest()}" if names else None


def _is_tokenizer_file(name: str) -> bool:
    # config.json says which class of tokenizer a folder has, where tokenizer_config.json doesn't.
    return name == "config.json" or name.endswith(".model") or name.startswith(_TOKENIZER_FILES)


def _hub_commit(model: str) -> str | None:
    home = os.environ.get("HF_HOME") or os.path.join(os.path.expanduser("~"), ".cache", "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    try:
        ref = Path(hub, f"models--{model.replace('/', '--')}", "refs", "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return f"hub:{model}@{ref}"


def _cached(cache: Path, number: int) -> list[int] | None:
    with suppress(OSError, ValueError):
        counts = json.loads(cache.read_text(encoding="ascii"))
        if _are_counts(counts, number):
            return list(counts)
    return None


def _keep(cache: Path, counts: list[int]) -> None:
    with suppress(OSError):  # a home that can't be written costs counting again, nothing else
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(counts), encoding="ascii")
        temporary.replace(cache)
