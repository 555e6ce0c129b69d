"""A model as the file names it: a folder on this machine, or an id on the hub. Looks at `config.json`, nothing else."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from vbench.spec.problems import shown
from vbench.spec.sweep_text import read_plain

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?", re.ASCII)
_MAX_CONFIG_BYTES = 16 * 1024**2


def resolve_model(text: str, folder: Path) -> str:
    """The absolute path of a model folder, or `text` itself as a hub id.

    A relative path counts from `folder` (the sweep file's), then from the current folder. Raises ValueError: what is
    wrong, and what to do.
    """
    found = _folder_or_id(text, folder, "config.json")
    if os.path.isabs(found):
        read_model_config(Path(found))
    return found


def resolve_adapter(text: str, folder: Path) -> str:
    """The same for a LoRA adapter, which has `adapter_config.json`."""
    found = _folder_or_id(text, folder, "adapter_config.json")
    if os.path.isabs(found) and not os.path.isfile(os.path.join(found, "adapter_config.json")):
        raise ValueError(f"{found} has no adapter_config.json", "an adapter is a folder as PEFT saves it")
    return found


def _folder_or_id(text: str, folder: Path, content: str) -> str:
    expanded = os.path.expanduser(text)
    places = [os.path.abspath(os.path.join(base, expanded)) for base in (folder, Path.cwd())]
    found = next((place for place in places if os.path.exists(place)), None)
    if found is not None:
        return found
    if text.startswith(("./", "../", "/", "~")) or text in (".", ".."):
        raise ValueError(f"no such folder: {places[0]}", f"give a folder with {content}, or a hub id like org/name")
    if not _HUB_ID.fullmatch(text) or len(text) > 200:
        raise ValueError(f"{shown(text)} is neither a folder here nor a hub id", "a hub id reads org/name")
    return text


def read_model_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model folder. Raises ValueError: what is wrong, and what to do."""
    if not os.path.isdir(folder):
        raise ValueError(f"{folder} is a file", "a model is a folder with config.json and its weights")
    path = folder / "config.json"
    try:
        config = json.loads(read_plain(path, _MAX_CONFIG_BYTES))
    except FileNotFoundError:
        hint = "a model is a folder as the hub has it: config.json, tokenizer, weights"
        raise ValueError(f"{folder} has no config.json", hint) from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror or error}", "check its permissions") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}", "fetch the model again") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} is not a JSON object", "fetch the model again")
    return config


def vocab_size(config: dict[str, Any]) -> int | None:
    """Size of the vocabulary by a model's config, None if it isn't said. Multimodal ones keep it in `text_config`."""
    inner = config.get("text_config")
    for holder in (config, inner if isinstance(inner, dict) else {}):
        size = holder.get("vocab_size")
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            return size
    return None
