"""Prompts from ShareGPT's JSON: a list of conversations, of which the first question each becomes a prompt.

As `vllm bench serve --dataset-name sharegpt` does, conversations of fewer than two turns are passed over.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.plain_file import open_plain
from vbench.prompts.jsonl import MAX_LINE_BYTES, MAX_PROBLEMS, checked, decoded

MAX_FILE_BYTES = 2 * 1024**3
_HINT = 'expected [{"conversations": [{"from": "human", "value": "…"}, …]}, …]'
_HUMAN = ("human", "user")
_SPACE = " \t\r\n"


def read_sharegpt(path: Path, limit: int | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The prompts of the first `limit` conversations that have one, and what was passed over, in words.

    Raises SpecError with every faulty conversation and its line, up to 20 of them.
    """
    try:
        with open_plain(path) as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"larger than {MAX_FILE_BYTES // 1024**3} GiB")
        reader = _Reader(decoded(content))
        reader.read(limit)
    except OSError as error:
        raise SpecError(str(path), [Problem(message=f"can't be read: {error.strerror}")]) from None
    except ValueError as error:
        raise SpecError(str(path), [Problem(message=str(error), hint=_HINT)]) from None
    if not reader.items and not reader.problems:
        told = "; ".join(reader.notes())
        message = f"an empty prompt set: no conversation has a prompt{f' ({told})' if told else ''}"
        reader.problems.append(Problem(message=message, hint=_HINT))
    if reader.problems:
        raise SpecError(str(path), reader.problems)
    return reader.items, reader.notes()


class _Reader:
    """One file's text, read a conversation at a time: so a fault has a line, and a limit stops early."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.items: list[dict[str, Any]] = []
        self.problems: list[Problem] = []
        self.passed_over: Counter[str] = Counter()

    def notes(self) -> list[str]:
        """What was passed over, such as `2 conversations passed over: fewer than 2 turns`."""
        return [
            f"{number} conversation{'s' * (number > 1)} passed over: {why}" for why, number in self.passed_over.items()
        ]

    def read(self, limit: int | None) -> None:
        """All conversations, or until `limit` prompts; raises ValueError where the text is no list."""
        self._skip()
        if not self.text.startswith("[", self.at):
            raise ValueError("not a JSON list")
        decoder = json.JSONDecoder()
        self._move(self.at + 1)
        self._skip()
        while not self.text.startswith("]", self.at) and (limit is None or len(self.items) < limit):
            if len(self.problems) == MAX_PROBLEMS:
                self.problems.append(Problem(message=f"reading stopped after {MAX_PROBLEMS} faulty conversations"))
                return
            try:
                value, end = decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                self.problems.append(Problem(message=f"not JSON: {error.msg}", line=error.lineno, hint=_HINT))
                return  # where the next conversation begins can't be known
            except RecursionError:
                raise ValueError(f"line {self.line}: nested too deeply") from None
            self._take(value, end - self.at)
            self._move(end)
            self._skip()
            if self.text.startswith(",", self.at):
                self._move(self.at + 1)
                self._skip()
            elif not self.text.startswith("]", self.at):
                self.problems.append(Problem(message="not JSON: expected , or ]", line=self.line, hint=_HINT))
                return

    def _take(self, value: object, size: int) -> None:
        try:
            if size > MAX_LINE_BYTES:
                raise ValueError(f"a conversation longer than {MAX_LINE_BYTES // 1024**2} MiB")
            found = _first_question(value)
            if isinstance(found, str):
                self.passed_over[found] += 1
            else:
                self.items.append(found)
        except ValueError as error:
            self.problems.append(Problem(message=str(error), line=self.line, hint=_HINT))

    def _skip(self) -> None:
        end = self.at
        while end < len(self.text) and self.text[end] in _SPACE:
            end += 1
        self._move(end)

    def _move(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end


def _first_question(value: object) -> dict[str, Any] | str:
    """The item, or why the conversation has none. Raises ValueError where it isn't a conversation at all."""
    turns = value.get("conversations", value.get("conversation")) if isinstance(value, dict) else None
    if not isinstance(turns, list):
        raise ValueError("lacks conversations")
    if not all(isinstance(turn, dict) and isinstance(turn.get("value"), str) for turn in turns):
        raise ValueError("each turn needs from and value, both text")
    if len(turns) < 2:
        return "fewer than 2 turns"
    asked = [turn["value"] for turn in turns if str(turn.get("from")).lower() in _HUMAN]
    if not asked:
        return "no turn of a human"
    if not asked[0].strip():
        return "an empty question"
    return checked("prompt", asked[0])
