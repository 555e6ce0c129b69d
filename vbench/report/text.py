"""Values and foreign text, made fit to print. Names, labels and evidence come from files and logs: nothing is trusted.

HTML escaping is the template engine's (autoescape); here are the control characters, Markdown, and number formats.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from markupsafe import Markup, escape

from vbench.analysis.statistics import Interval
from vbench.metrics import metric_of
from vbench.printable import printable as printable  # noqa: PLC0414 -- re-exported
from vbench.units import format_bytes, format_number

MISSING = "–"
NOT_MEASURED = "not measured"
FAKE_MARK = "fake engine: not a measurement"
"""Stands on everything that shows the fake engine's numbers, which come from a formula."""
EMULATED_MARK = "emulated {}: memory, not speed"
"""The same where a card was held to a smaller one, whose name goes in."""
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_MARKDOWN_AT_START = re.compile(r"[#+\-=]+(?=\s|$)|\d+(?=[.)](?:\s|$))")
_SPAN = re.compile(r"`([^`]{1,80})`")
_MARKDOWN_SPAN = re.compile(r"\\`([^`\\&]{1,80})\\`")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


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


def show_small_share(share: float) -> str:
    """A change of which a tenth of a percent is a lot, as of likelihoods.

    >>> show_small_share(0.0042), show_small_share(-0.00004)
    ('+0.42%', '±0.00%')
    """
    text = f"{share:+.2%}"
    return "±0.00%" if text in ("+0.00%", "-0.00%") else text.replace("-", "−")


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


def sentence(text: str) -> str:
    """With a capital and a full stop; a first word that may be a setting's name stays as it is.

    >>> sentence("lower it"), sentence("max_num_seqs is too high.")
    ('Lower it.', 'max_num_seqs is too high.')
    """
    first = text.partition(" ")[0]
    is_word = first.isalpha() and first.islower()
    return stopped(text[0].upper() + text[1:] if is_word else text)


def stopped(text: str) -> str:
    """With a full stop, where it doesn't end with a mark already.

    >>> stopped("lower it"), stopped("")
    ('lower it.', '')
    """
    return text if not text or text[-1] in ".!?…" else f"{text}."


def spans_in_html(text: str) -> Markup:
    """Escaped, with what stands in backticks as code.

    >>> str(spans_in_html("try `--no-plan` <b>"))
    'try <code>--no-plan</code> &lt;b&gt;'
    """
    return Markup(_SPAN.sub(r"<code>\1</code>", str(escape(printable(text)))))  # noqa: S704 -- escaped


def spans_in_markdown(text: str) -> Markup:
    """`escape_markdown`, but code stays code where its text needed no escape.

    >>> str(spans_in_markdown("try `--no-plan` *"))
    'try `--no-plan` \\\\*'
    """
    return Markup(_MARKDOWN_SPAN.sub(r"`\1`", str(escape_markdown(text))))  # noqa: S704 -- escaped


def fence_markdown(text: str, language: str = "") -> Markup:
    """A fenced block whose fence is longer than any run of backticks inside."""
    clean = printable(text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`+", clean)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{clean}\n{fence}")  # noqa: S704 -- inside a fence nothing is markup
