"""Bytes and seconds inside; this module is the only one that turns them into something people read, and back."""

from __future__ import annotations

import re

MIB = 1024**2
GIB = 1024**3
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration_s(text: str | int | float) -> float:
    """Seconds of `90`, `"90s"`, `"1h30m"`, `"500ms"`; raises ValueError when it isn't a positive duration.

    >>> parse_duration_s("1h30m")
    5400.0
    """
    if isinstance(text, bool):
        raise ValueError(f"{text!r} is not a duration")
    if isinstance(text, (int, float)):
        seconds = float(text)
    else:
        stripped = text.strip().replace(" ", "")
        parts = list(_DURATION.finditer(stripped))
        if not parts or "".join(part.group(0) for part in parts) != stripped:
            raise ValueError(f"{text!r} is not a duration: write 90s, 10m, 6h or 1h30m")
        seconds = sum(float(part.group(1)) * _SECONDS[part.group(2)] for part in parts)
    if not 0 < seconds < 1e9:
        raise ValueError(f"{text!r} is not a positive duration")
    return seconds


def format_duration(seconds: float | None) -> str:
    """
    >>> format_duration(75), format_duration(3.21), format_duration(7265), format_duration(None)
    ('1m 15s', '3.2s', '2h 01m', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def format_bytes(num_bytes: float | None) -> str:
    """
    >>> format_bytes(512 * 1024**2), format_bytes(3 * 1024**3), format_bytes(None)
    ('512 MiB', '3.00 GiB', '–')
    """
    if num_bytes is None:
        return "–"
    if abs(num_bytes) < GIB:
        return f"{num_bytes / MIB:,.0f} MiB"
    return f"{num_bytes / GIB:,.2f} GiB"


def format_number(value: float | None, digits: int = 3) -> str:
    """Three significant digits, thousands separated; `–` for what wasn't measured.

    >>> format_number(1234.5), format_number(0.01234), format_number(12.34), format_number(None)
    ('1,234', '0.0123', '12.3', '–')
    """
    if value is None:
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"
