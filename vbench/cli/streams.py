"""What our output becomes where a terminal or a file can't hold it: in a C locale, a dash is better than a question
mark, and "at most" mustn't get lost."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper

_HANDLER = "vbench-plain"
_PLAIN = str.maketrans({
    "–": "-", "−": "-", "─": "-", "━": "=", "┃": "|", "│": "|", "≤": "<=", "≥": ">=", "×": "x", "÷": "/", "±": "+-",
    "★": "*", "·": "-", "…": "...", "←": "<-", "→": "->", "’": "'", "✓": "+", "✗": "x",
})  # fmt: skip


def make_streams_safe() -> None:
    """A sweep must not end because a terminal can't show an arrow, or because stdout was closed (`>&-`)."""
    codecs.register_error(_HANDLER, _plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 -- for as long as the process lives
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """The same in ASCII; a question mark for each character that has nothing like it there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "replace"), error.end
