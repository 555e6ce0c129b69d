"""From a failed trial's output to its failure class and the line that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vbench.execution.failure_classes import CLASSES, FailureClass
from vbench.records.redaction import clean


@dataclass(frozen=True, slots=True)
class Match:
    """A failure class and the line that showed it."""

    failure_class: FailureClass
    evidence: str


# Printed on healthy runs too, as is whatever the engine logs below ERROR; they must not decide anything.
_HARMLESS = re.compile(
    r"Cannot use FA version 2|SymmMemCommunicator|on startup\. Desired GPU memory utilization is|"
    r"Found ulimit of \d+ and"
)
# `(EngineCore pid=7) ERROR 11-03 09:30:00 [core.py:12] `, and `ERROR 06-01 09:30:00 worker.py:12] ` of older versions.
_STAMP = r"\s+\d\d-\d\d \d\d:\d\d:\d\d\s+(?:\[[^\]]*\]|\S+:\d+\])\s*"
_PREFIX = re.compile(rf"^(?:\([^)]*\)\s*)?(?:(?:CRITICAL|ERROR|WARNING|INFO|DEBUG){_STAMP})?")
_NO_ERROR = re.compile(rf"^(?:\([^)]*\)\s*)?(?:WARNING|INFO|DEBUG){_STAMP}")
_MOST_CHARACTERS = 4000
# `Value error, <text> [type=value_error, input_value=…` of pydantic: the text is vLLM's, the rest says nothing.
_PYDANTIC = re.compile(r"^Value error, (?=.)|\s*\[type=\w+, input_value=.*$")


def classify(text: str) -> Match | None:
    """The first class (in the order of CLASSES) that a line of the output shows; None when none does."""
    shown = _shown(text)
    return None if shown is None else Match(shown[0], clean_line(shown[1]))


def _shown(text: str) -> tuple[FailureClass, str] | None:
    lines = [line for line in _lines(text) if line.strip() and not _is_harmless(line)]
    for failure_class in CLASSES:
        shown = [line for line in lines if failure_class.pattern.search(line)]
        if shown:
            # The last one: a traceback shows the source line of the `raise` first and the message at its end.
            return failure_class, shown[-1]
    return None


def _lines(text: str) -> Iterator[str]:
    """Each once, where it stands last; of a very long one its beginning and its end. A flood mustn't take minutes."""
    alike = dict.fromkeys(reversed(text.splitlines()))
    for line in reversed(alike):
        yield (
            line
            if len(line) <= _MOST_CHARACTERS
            else f"{line[: _MOST_CHARACTERS // 2]} … {line[-_MOST_CHARACTERS // 2 :]}"
        )


def _is_harmless(line: str) -> bool:
    return _HARMLESS.search(line) is not None or _NO_ERROR.match(line) is not None


def clean_line(line: str, limit: int = 500) -> str:
    """A log line without the logger's prefix, cut to a length that a table can bear."""
    line = clean(line.strip()[: 2 * _MOST_CHARACTERS])[:_MOST_CHARACTERS]  # a secret that is cut isn't known any more
    cleaned = _PYDANTIC.sub("", _PREFIX.sub("", line)).strip()
    cleaned = cleaned.encode(errors="replace").decode()  # no half surrogates
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"
