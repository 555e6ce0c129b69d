"""A file of prompts in any format that is understood, and the digests by which its content is known again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.plain_file import open_plain
from vbench.prompts.jsonl import kind_of, read_prompts
from vbench.prompts.sharegpt import read_sharegpt
from vbench.prompts.text import read_texts
from vbench.spec.prompt_types import PromptFile

_START_BYTES = 64 * 1024
_CHUNK_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """What a file held: the items, in which format it was written, and what was passed over, in words."""

    items: list[dict[str, Any]]
    format: str
    notes: tuple[str, ...] = ()


def read_file(file: PromptFile, limit: int | None = None) -> FileContent:
    """Read the first `limit` prompts. Items carry `output_tokens` where their lines do.

    Raises SpecError: what is wrong with which line, or a content that isn't the one that `file.sha256` names.
    """
    found = format_of(file)
    # A digest is of everything, so everything is read.
    read_limit = None if file.sha256 is not None else limit
    notes: list[str] = []
    if found == "text":
        items = read_texts(file.path, file.separator, read_limit)
    elif file.separator is not None:
        hint = "leave it out, or say format: text"
        raise SpecError(str(file.path), [Problem(message=f"a separator is for text, this is {found}", hint=hint)])
    elif found == "sharegpt":
        items, notes = read_sharegpt(file.path, read_limit)
    else:
        items = read_prompts(file.path, read_limit, notes)
    if file.sha256 is not None:
        _check_digest(file.path, file.sha256, items)
        items = items[:limit]
    if file.chat_template:
        items = [_as_message(item, file.path) for item in items]
    return FileContent(items=items, format=found, notes=tuple(notes))


def format_of(file: PromptFile) -> str:
    """`jsonl`, `sharegpt` or `text`: as given, or by the path's ending and how the file begins."""
    if file.format != "auto":
        return file.format
    if file.separator is not None or os.path.isdir(file.path):
        return "text"
    suffix = file.path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    try:
        with open_plain(file.path) as opened:
            start = opened.read(_START_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return "jsonl"  # whose reader says that it can't be read
    if suffix == ".txt":
        return "jsonl" if _is_object(start.partition(b"\n")[0]) else "text"
    return "sharegpt" if start.startswith(b"[") and start[1:].lstrip()[:1] in (b"{", b"]") else "jsonl"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def canonical(value: object) -> str:
    """The one way to write a value as JSON, on which digests rest: sorted keys, ASCII only, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def content_digest(items: Iterable[Mapping[str, Any]]) -> str:
    """sha256 of the items as canonical JSON Lines: what `sha256sum` says of a frozen file, however it was written."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(f"{canonical(item)}\n".encode())
    return digest.hexdigest()


def _check_digest(path: Path, wanted: str, items: list[dict[str, Any]]) -> None:
    """Either digest will do: that of the prompts, which layout doesn't change, or `sha256sum` of the file itself."""
    found = content_digest(items)
    own = "" if os.path.isdir(path) else _file_digest(path)
    if not found.startswith(wanted) and not own.startswith(wanted):
        message = f"its prompts have changed: the sweep names sha256 {wanted}, they have {found}"
        hint = "restore the file, or write the new sha256 into the sweep"
        raise SpecError(str(path), [Problem(message=message, hint=hint)])


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open_plain(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _as_message(item: dict[str, Any], path: Path) -> dict[str, Any]:
    if kind_of(item) == "prompt_token_ids":
        hint = "leave out chat_template, or give the prompts as text"
        raise SpecError(str(path), [Problem(message="chat_template doesn't go with prompt_token_ids", hint=hint)])
    if "messages" in item:
        return item
    rest = {key: value for key, value in item.items() if key != "prompt"}
    return {"messages": [{"role": "user", "content": item["prompt"]}], **rest}
