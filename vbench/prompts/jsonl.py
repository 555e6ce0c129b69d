"""Prompts from JSON Lines, read as a stream; every faulty line is named."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from vbench.errors import Problem, SpecError
from vbench.plain_file import open_plain

MAX_PROBLEMS = 20
MAX_LINE_BYTES = 64 * 1024**2
_MAX_TOKEN_ID = 2**31
_MAX_DEPTH = 50
_SKIPPED_BYTES = 1024**2
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_prompts(path: Path, limit: int | None = None, notes: list[str] | None = None) -> list[dict[str, Any]]:
    """The prompts of the first `limit` lines that aren't blank, each with its `output_tokens` where the line says them.
    Other keys beside the prompt (an id, an answer) are left out; `notes` grows by what is odd about them.

    Raises SpecError with every faulty line, up to 20 of them.
    """
    items: list[dict[str, Any]] = []
    problems: list[Problem] = []
    ids = _Ids()
    try:
        with open_plain(path) as file:
            _read(file, limit, items, problems, ids)
    except OSError as error:
        problems.append(Problem(message=f"can't be read: {error.strerror}"))
    if not items and not problems:
        hint = 'one JSON object a line: {"prompt": "…"}'
        problems.append(Problem(message="an empty prompt set: there is nothing to measure", hint=hint))
    if problems:
        raise SpecError(str(path), problems)
    if notes is not None:
        notes += ids.notes()
    return items


class _Ids:
    """Ids that lines give their prompts. They are not used, but two alike hint at a file that was joined twice."""

    def __init__(self) -> None:
        self._lines: dict[object, int] = {}
        self._num_again = 0
        self._first = ""

    def add(self, line: Mapping[str, Any], number: int) -> None:
        """The object of a line."""
        own = line.get("id")
        if not isinstance(own, (str, int)) or self._lines.setdefault(own, number) == number:
            return
        self._num_again += 1
        self._first = self._first or f"line {number} has the id of line {self._lines[own]}"

    def notes(self) -> list[str]:
        """What there is to say of them."""
        if not self._num_again:
            return []
        more = f", and {self._num_again - 1:,} more such lines" if self._num_again > 1 else ""
        return [f"{self._first}{more}: each is a prompt of its own; are some there by mistake?"]


def _read(file: BinaryIO, limit: int | None, items: list[dict[str, Any]], problems: list[Problem], ids: _Ids) -> None:
    number, kind = 0, ""
    while (limit is None or len(items) < limit) and (raw := file.readline(MAX_LINE_BYTES)):
        number += 1
        try:
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                _skip_line(file)
                raise ValueError(f"longer than {MAX_LINE_BYTES // 1024**2} MiB: is this JSON Lines?")
            line = _parsed(raw)
            item = None if line is None else _item(line)
            if line is not None:
                ids.add(line, number)
            kind = kind or (kind_of(items[0]) if items else "")
            if item is not None and kind and kind not in item:
                raise ValueError(f"{kind_of(item)} among lines of {kind}: one kind a file")
        except ValueError as error:
            problems.append(Problem(message=str(error), line=number))
            if len(problems) == MAX_PROBLEMS:
                problems.append(Problem(message=f"reading stopped after {MAX_PROBLEMS} faulty lines"))
                return
        else:
            items += [item] if item is not None else []


def _skip_line(file: BinaryIO) -> None:
    """The rest of a line that is too long, so that those after it are counted right."""
    while (part := file.readline(_SKIPPED_BYTES)) and not part.endswith(b"\n"):
        pass


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """The object of one line, None for a blank one. Raises ValueError saying what is wrong."""
    text = decoded(raw).strip()
    if not text:
        return None
    try:
        line = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None
    except _Refused:
        raise
    except ValueError as error:
        raise ValueError(f"not JSON: {str(error).partition(';')[0]}") from None  # NaN, a number of 5,000 digits
    if not isinstance(line, dict):
        raise ValueError('expected an object such as {"prompt": "…"}')
    return line


def _item(line: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt of one line's object. Raises ValueError saying what is wrong."""
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


class _Refused(ValueError):
    """JSON as such, but not to be taken for what was meant."""


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused(f"the number {text[:40]} is beyond what a number can hold")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is there twice JSON's readers take the last one, without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        double, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise _Refused(f"the key {double[:40]!r} is there twice: which is it?")
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_doubles)


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
        elif isinstance(one, str) and not one.isascii() and _SURROGATE.search(one):
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
