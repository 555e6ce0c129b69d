"""Unquoted words of a sweep file to plain values, as YAML 1.2 has them."""

from __future__ import annotations

import math
import re

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)", re.ASCII)
_OTHER_BASE = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+", re.ASCII)
# One way only to read each text: what could be split in two places would take the square of its length.
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.?(inf|infinity|nan)", re.IGNORECASE)
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar. Raises ValueError for numbers that aren't finite or start with 0."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number (quote it to mean the text)")
    if _LEADING_ZERO.fullmatch(text):
        meant = _beginning(text.lstrip("+-0_") or "0")
        raise ValueError(f"{_beginning(text)} starts with 0: octal, or a mistake? Write {meant}, or quote it")
    if _INT.fullmatch(text) or _OTHER_BASE.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{_beginning(text)} is too large for a number")
        return number
    return text


def _whole(text: str) -> int:
    # Longer ones than 64 bits are no engine's argument, and int() refuses texts of more than 4,300 digits.
    number = int(text, 0) if len(text) <= 70 else None
    if number is None or abs(number) >= 2**63:
        raise ValueError(f"{_beginning(text)} is too large for a whole number")
    return number


def _beginning(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:20]}…"


def is_clean(text: str) -> bool:
    """No NUL, no half of a surrogate pair: neither survives a JSON record or an environment."""
    return "\0" not in text and (text.isascii() or not _SURROGATE.search(text))
