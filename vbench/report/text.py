"""Values and foreign text, made fit to print. Names, labels and evidence come from files and logs: nothing is trusted.

HTML escaping is the template engine's (autoescape); here are the control characters, Markdown, and number formats.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from markupsafe import Markup

from vbench.analysis.statistics import Interval
from vbench.metrics import metric_of
from vbench.units import format_bytes, format_number

MISSING = "–"
NOT_MEASURED = "not measured"
FAKE_MARK = "fake engine: not a measurement"
"""Stands on everything that shows the fake engine's numbers, which come from a formula."""
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")
# Control characters but newline and tab; bidi embeddings, overrides and isolates, which make text read as another; and
# lone surrogates, which no encoding can write.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_MARKDOWN_AT_START = re.compile(r"[#+\-=]+(?=\s|$)|\d+(?=[.)](?:\s|$))")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def printable(text: str) -> str:
    """Without terminal escapes; other characters that can't or mustn't be shown become U+FFFD.

    >>> printable("\\x1b[31mred\\x1b[0m \\x00")
    'red �'
    """
    return _UNPRINTABLE.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))


def shorten(text: str, limit: int) -> str:
    """On one line and at most `limit` characters, the middle left out.

    >>> shorten("speculative_config", 9)
    'spec…nfig'
    """
    line = " ".join(printable(text).split())
    if len(line) <= limit:
        return line
    head = limit // 2
    return f"{line[:head]}…{line[len(line) - (limit - head - 1) :]}"


def show_value(value: Any) -> str:
    """A setting as text, the way a sweep file spells it: `true`, `none`, JSON for what is nested."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return printable(value)
    return printable(json.dumps(value, ensure_ascii=False, default=str))


def show_metric(name: str, value: float | None) -> str:
    """A metric's value with its unit: `1,234 tok/s`, `3.00 GiB`; `–` where it wasn't measured.

    >>> show_metric("output_throughput_tok_s", 1234.0), show_metric("p95_ttft_s", 0.25)
    ('1,234 tok/s', '0.25 s')
    """
    unit = metric_of(name).unit
    if value is None:
        return MISSING
    if unit == "B":
        return format_bytes(value)
    return f"{format_number(value)} {unit}".strip()


def show_bounds(name: str, interval: Interval | None) -> str:
    """`1,201 – 1,260`; `–` where there is no spread to state."""
    if interval is None or interval.kind == "single":
        return MISSING
    unit = metric_of(name).unit
    if unit == "B":
        return f"{format_bytes(interval.low)} – {format_bytes(interval.high)}"
    largest = max(abs(interval.low), abs(interval.high))
    decimals = 0 if largest == 0 else max(0, 3 - math.floor(math.log10(largest)))  # four digits, as many in both
    return f"{interval.low:,.{decimals}f} – {interval.high:,.{decimals}f}"


def show_ratio(ratio: float) -> str:
    """
    >>> show_ratio(1.4239)
    '×1.42'
    """
    return f"×{ratio:.2f}" if ratio < 100 else f"×{format_number(ratio)}"


def show_share(share: float) -> str:
    """A change as a share, with its sign: `+2.5%`, `−3.1%`.

    >>> show_share(-0.031), show_share(0.0)
    ('−3.1%', '±0.0%')
    """
    text = f"{share:+.1%}"
    return "±0.0%" if text in ("+0.0%", "-0.0%") else text.replace("-", "−")


def metric_label(name: str) -> str:
    """For people: `Output throughput`, `p95 Time to first token`."""
    declared = metric_of(name)
    return declared.label if declared.name == name else f"{name.partition('_')[0]} {declared.label}"


def show_trials(trials: tuple[int, ...] | list[int], limit: int = 12) -> str:
    """
    >>> show_trials([3, 4, 5], limit=2)
    '3, 4 and 1 more'
    """
    shown = ", ".join(str(trial) for trial in trials[:limit])
    return shown if len(trials) <= limit else f"{shown} and {len(trials) - limit} more"


def escape_markdown(value: object) -> Markup:
    """Text for anywhere in a Markdown line, table cells included: it renders as itself, never as markup.

    >>> str(escape_markdown("a|b `c` <i> max_model_len"))
    'a\\\\|b \\\\`c\\\\` &lt;i&gt; max_model_len'
    """
    if isinstance(value, Markup):
        return value
    line = " ".join(printable(str(value)).split())
    line = re.sub("[&<>]", lambda found: _HTML[found[0]], line)
    line = _MARKDOWN.sub(lambda found: "\\" + found[0], line)
    at_start = _MARKDOWN_AT_START.match(line)
    if at_start:
        marker = at_start[0]
        # "1." needs its dot escaped, "# " its hash: a backslash before a digit would be printed.
        line = f"{marker}\\{line[len(marker) :]}" if marker.isdigit() else "\\" + line
    return Markup(line)  # noqa: S704 -- escaped above, for Markdown


def fence_markdown(text: str, language: str = "") -> Markup:
    """A fenced block whose fence is longer than any run of backticks inside."""
    clean = printable(text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", clean)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{clean}\n{fence}")  # noqa: S704 -- inside a fence nothing is markup
