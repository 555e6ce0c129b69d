"""Writing a prompt set down for good: canonical JSON Lines, and beside it what it is and where it came from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vbench.errors import StoreError, UsageError
from vbench.prompts.jsonl import kind_of
from vbench.prompts.reading import canonical, content_digest


def meta_path(path: Path) -> Path:
    """`arc.meta.json` beside `arc.jsonl`."""
    return path.with_name(f"{path.stem}.meta.json")


def freeze(items: Sequence[Mapping[str, Any]], path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the items to `path` and `facts` beside it; returns what was written there.

    Both are complete or not there at all. Raises UsageError for a path that can't be meant, StoreError for the disk.
    """
    if path.suffix != ".jsonl":
        raise UsageError(f"-o {path}: a frozen set is JSON Lines: name a .jsonl file")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"-o {path}: {'is a folder' if path.is_dir() else f'there is no folder {path.parent}'}")
    meta = {
        "sha256": content_digest(items),
        "num_prompts": len(items),
        "kind": kind_of(items[0]),
        **facts,
    }
    _write(path, "".join(f"{canonical(item)}\n" for item in items))
    _write(meta_path(path), json.dumps(meta, indent=2, ensure_ascii=True) + "\n")
    return meta


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="ascii", newline="\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{path} can't be written: {error.strerror}") from error
