"""Prompts from plain text: a folder of `.txt` files with one prompt each, or one file, whole or cut at a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.plain_file import open_plain
from vbench.prompts.jsonl import MAX_LINE_BYTES, MAX_PROBLEMS, checked, decoded


def read_texts(path: Path, separator: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """The first `limit` prompts. A folder's files come by name; a line break at a prompt's end isn't part of it.

    Raises SpecError with every file or prompt that is wrong, up to 20 of them.
    """
    items: list[dict[str, Any]] = []
    problems: list[Problem] = []
    try:
        files = _files(path)
    except OSError as error:
        raise SpecError(str(path), [Problem(message=f"can't be read: {error.strerror}")]) from None
    for one in files:
        if (limit is not None and len(items) >= limit) or len(problems) >= MAX_PROBLEMS:
            break
        where = one.name if one != path else ""
        try:
            for line, text in _pieces(_content(one), separator):
                _take(text, line, where, items, problems)
        except ValueError as error:
            problems.append(Problem(message=str(error), key=where))
        except OSError as error:
            problems.append(Problem(message=f"can't be read: {error.strerror}", key=where))
    if not items and not problems:
        hint = "a folder holds one prompt a .txt file" if path.is_dir() else "write the prompt's text into it"
        problems.append(Problem(message="an empty prompt set: there is nothing to measure", hint=hint))
    if problems:
        raise SpecError(str(path), problems)
    return items[:limit]


def _take(text: str, line: int, where: str, items: list[dict[str, Any]], problems: list[Problem]) -> None:
    try:
        items.append(checked("prompt", text))
    except ValueError as error:
        problems.append(Problem(message=str(error), line=line if not where else None, key=where))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.iterdir() if one.suffix.lower() == ".txt" and not one.name.startswith("."))


def _content(path: Path) -> str:
    with open_plain(path) as file:
        raw = file.read(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES // 1024**2} MiB: write long sets as JSON Lines")
    return decoded(raw).replace("\r\n", "\n")


def _pieces(text: str, separator: str | None) -> list[tuple[int, str]]:
    """Each prompt with the line it begins on. What follows the last separator may be blank."""
    if separator is None:
        return [(1, text.removesuffix("\n"))]
    pieces: list[tuple[int, list[str]]] = [(1, [])]
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() == separator:
            pieces.append((number + 1, []))
        else:
            pieces[-1][1].append(line)
    if not any(line.strip() for line in pieces[-1][1]):
        pieces.pop()
    return [(line, "\n".join(lines).strip("\n")) for line, lines in pieces]
