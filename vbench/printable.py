"""Foreign text, made fit to print: names and evidence come from files, folders and logs, and nothing is trusted."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
# Control characters but newline and tab; bidi embeddings, overrides and isolates, which make text read as another; and
# lone surrogates, which no encoding can write.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    """Without terminal escapes; other characters that can't or mustn't be shown become U+FFFD.

    >>> printable("\\x1b[31mred\\x1b[0m \\x00")
    'red �'
    """
    return _UNPRINTABLE.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))
