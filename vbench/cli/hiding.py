"""One filter before all that is printed: no known secret passes it, whoever prints."""

from __future__ import annotations

import sys
from typing import TextIO

from vbench.records.redaction import clean_unseen


def hide_secrets() -> None:
    """From now on nothing that goes to stdout or stderr holds a known secret, a traceback neither."""
    for stream in (sys.stdout, sys.stderr):
        _hide_in(stream)


def _hide_in(stream: TextIO) -> None:
    plain = stream.write

    def write(text: str) -> int:
        plain(clean_unseen(text))
        return len(text)

    # The stream stays the one that it was: its encoding, its buffer and its number are asked for elsewhere.
    stream.write = write  # type: ignore[method-assign]
