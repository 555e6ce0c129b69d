"""What our output becomes where a terminal or a file can't hold it: in a C locale, a dash is better than a question
mark, and "at most" mustn't get lost. And where it isn't there any more."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

_HANDLER = "vbench-plain"
_PLAIN = str.maketrans({
    "–": "-", "−": "-", "─": "-", "━": "=", "┃": "|", "│": "|", "≤": "<=", "≥": ">=", "×": "x", "÷": "/", "±": "+-",
    "★": "*", "·": "-", "…": "...", "←": "<-", "→": "->", "’": "'", "✓": "+", "✗": "x",
})  # fmt: skip


def make_streams_safe(*, is_utf8_ours: bool = False) -> None:
    """A sweep must not end because a terminal can't show an arrow, or has gone, or because stdout was closed (`>&-`).

    `is_utf8_ours`: UTF-8 is what we chose for names, not what the locale says of the output.
    """
    hold_standard_descriptors()
    codecs.register_error(_HANDLER, _plainly)
    encoding = locale.getencoding() if is_utf8_ours and "PYTHONIOENCODING" not in os.environ else None
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 -- for as long as the process lives
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=_HANDLER)
            if stream.isatty():
                setattr(sys, name, _on_terminal(stream))


def hold_standard_descriptors() -> None:
    """Open those of stdin, stdout and stderr that were closed, to nowhere: else the next file that is opened, of
    records perhaps, gets such a number, and what is meant for a terminal is written into it."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


class _Terminal(io.FileIO):
    """A terminal that may be closed while a sweep goes on without it (`disown`, `trap '' HUP`)."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return memoryview(data).nbytes


def _on_terminal(stream: TextIOWrapper) -> TextIOWrapper:
    raw = _Terminal(stream.fileno(), "wb", closefd=False)
    stream.flush()
    return TextIOWrapper(io.BufferedWriter(raw), encoding=stream.encoding, errors=_HANDLER, line_buffering=True)


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """The same in ASCII; a question mark for each character that has nothing like it there."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "replace"), error.end
