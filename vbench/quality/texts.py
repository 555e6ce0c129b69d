"""The texts whose likelihood is measured: those that vbench ships, or a file's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.errors import Problem, SpecError

SHIPPED = Path(__file__).with_name("texts.jsonl")
MAX_TEXTS = 1000
MAX_FILE_BYTES = 16 * 1024**2
MAX_TOKENS = 512
"""A longer text is cut to so many tokens: logits take memory for each token of a text, and this many fit beside any
model."""
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSet:
    """Fixed texts. `sha256` is over them in order, wherever they are kept."""

    texts: tuple[str, ...]
    sha256: str


def load_texts(path: Path | None, most: int) -> TextSet:
    """The first `most` texts of a file, or of the shipped set. Raises SpecError with the lines that are wrong."""
    texts = tuple(read_texts(path or SHIPPED)[:most])
    return TextSet(texts=texts, sha256=hashlib.sha256(text_lines(texts)).hexdigest())


def read_texts(path: Path) -> list[str]:
    """The texts of a file, blank lines and empty texts left out.

    `.jsonl` and `.json`: an object a line, `{"text": "…"}`, other keys ignored; any other name: a text a line.
    Raises SpecError with the faulty lines.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise SpecError(str(path), [Problem(message=f"larger than {MAX_FILE_BYTES >> 20} MiB: are these texts?")])
        lines = content.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise SpecError(str(path), [Problem(message=f"can't be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        at = content.count(b"\n", 0, error.start) + 1
        raise SpecError(str(path), [Problem(message="not UTF-8 text", line=at, hint="save it as UTF-8")]) from error
    is_json = path.suffix in (".jsonl", ".json")
    texts: list[str] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        try:
            text = _text(line) if is_json and line.strip() else line.strip()
        except ValueError as error:
            problems.append(Problem(message=str(error), line=number, hint='an object a line: {"text": "…"}'))
        else:
            texts += [text] if text.strip() else []
    if not problems and not texts:
        problems.append(Problem(message="holds no text", hint="one text a line, or JSON lines with `text`"))
    if problems:
        raise SpecError(str(path), problems[:_SHOWN_PROBLEMS])
    return texts[:MAX_TEXTS]


def _text(line: str) -> str:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise ValueError("lacks a `text`")
    return str(item["text"])


def text_lines(texts: Sequence[str]) -> bytes:
    """Texts as JSON lines, ASCII only."""
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
