"""Prompts from JSON Lines, read as a stream; every faulty line is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from vbench.errors import Problem, SpecError

MAX_PROBLEMS = 20
MAX_LINE_BYTES = 64 * 1024**2
_MAX_TOKEN_ID = 2**31
_MAX_DEPTH = 50


def read_prompts(path: Path, limit: int | None = None) -> list[dict[str, Any]]:
    """The prompts of the first `limit` lines that aren't blank, each with its `output_tokens` where the line says them.
    Other keys beside the prompt (an id, an answer) are left out.

    Raises SpecError with every faulty line, up to 20 of them.
    """
    items: list[dict[str, Any]] = []
    problems: list[Problem] = []
    try:
        with path.open("rb") as file:
            _read(file, limit, items, problems)
    except OSError as error:
        problems.append(Problem(message=f"can't be read: {error.strerror}"))
    if not items and not problems:
        hint = 'one JSON object a line: {"prompt": "…"}'
        problems.append(Problem(message="an empty prompt set: there is nothing to measure", hint=hint))
    if problems:
        raise SpecError(str(path), problems)
    return items


def _read(file: BinaryIO, limit: int | None, items: list[dict[str, Any]], problems: list[Problem]) -> None:
    number = 0
    while (limit is None or len(items) < limit) and (raw := file.readline(MAX_LINE_BYTES)):
        number += 1
        try:
            item = _item(raw)
            if item is not None and items and kind_of(item) != kind_of(items[0]):
                raise ValueError(f"{kind_of(item)} among lines of {kind_of(items[0])}: one kind a file")
        except ValueError as error:
            problems.append(Problem(message=str(error), line=number))
            if len(problems) == MAX_PROBLEMS:
                problems.append(Problem(message=f"reading stopped after {MAX_PROBLEMS} faulty lines"))
                return
        else:
            items += [item] if item is not None else []


def _item(raw: bytes) -> dict[str, Any] | None:
    """The prompt of one line, None for a blank one. Raises ValueError saying what is wrong."""
    if len(raw) == MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES // 1024**2} MiB: is this JSON Lines?")
    text = decoded(raw).strip()
    if not text:
        return None
    try:
        line = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {str(error).partition(';')[0]}") from None  # NaN, a number of 5,000 digits
    if not isinstance(line, dict):
        raise ValueError('expected an object such as {"prompt": "…"}')
    kinds = [kind for kind in _CHECKS if kind in line]
    if len(kinds) != 1:
        found = f"has {' and '.join(kinds)}: which is it?" if kinds else f"lacks a prompt ({', '.join(_CHECKS)})"
        raise ValueError(found)
    item = checked(kinds[0], line[kinds[0]])
    if "output_tokens" in line:
        own = line["output_tokens"]
        if type(own) is not int or not 1 <= own < _MAX_TOKEN_ID:
            raise ValueError("output_tokens must be a whole number, 1 or more")
        item["output_tokens"] = own
    return item


def kind_of(item: Mapping[str, Any]) -> str:
    """`prompt`, `prompt_token_ids` or `messages`."""
    return next(kind for kind in _CHECKS if kind in item)


def checked(kind: str, value: object) -> dict[str, Any]:
    """The item of a prompt. Raises ValueError saying what is wrong with it."""
    _CHECKS[kind](value)
    if kind != "prompt_token_ids":
        _check_text(value)
    return {kind: value}


def decoded(raw: bytes) -> str:
    """UTF-8 text without its byte order mark. Raises ValueError."""
    if b"\0" in raw:
        raise ValueError("a NUL byte: this is not a text file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _check_text(value: object) -> None:
    """No NUL and no half of a surrogate pair in any text: tokenizers stumble over both."""
    inside: list[tuple[object, int]] = [(value, 0)]
    while inside:
        one, depth = inside.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} levels deep")
        if isinstance(one, dict):
            inside += [(part, depth + 1) for pair in one.items() for part in pair]
        elif isinstance(one, list):
            inside += [(part, depth + 1) for part in one]
        elif isinstance(one, str) and "\0" in one:
            raise ValueError("a NUL character in the prompt")
        elif isinstance(one, str) and any("\ud800" <= character <= "\udfff" for character in one):
            raise ValueError("half a character (a lone surrogate) in the prompt")


def _check_prompt(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError("prompt must be text")
    if not value.strip():
        raise ValueError("an empty prompt")


def _check_token_ids(value: object) -> None:
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one < _MAX_TOKEN_ID for one in value):
        raise ValueError("prompt_token_ids must be a list of whole numbers, 0 or more")
    if not value:
        raise ValueError("an empty prompt")


def _check_messages(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError('messages must be a list of {"role": …, "content": …}')
    if not value:
        raise ValueError("an empty prompt")
    for one in value:
        if not isinstance(one.get("role"), str) or not isinstance(one.get("content"), (str, list)):
            raise ValueError("each message needs a role and a content")


_CHECKS: dict[str, Callable[[object], None]] = {
    "prompt": _check_prompt,
    "prompt_token_ids": _check_token_ids,
    "messages": _check_messages,
}
