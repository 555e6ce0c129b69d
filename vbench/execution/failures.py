"""From a failed trial's output to its failure class and the line that shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vbench.execution.failure_classes import CLASSES, FailureClass


@dataclass(frozen=True, slots=True)
class Match:
    """A failure class and the line that showed it."""

    failure_class: FailureClass
    evidence: str


# Printed on healthy runs too; they must not decide anything.
_HARMLESS = re.compile(r"Cannot use FA version 2|SymmMemCommunicator|on startup\. Desired GPU memory utilization is")
_PREFIX = re.compile(r"^(?:\([^)]*\)\s*)?(?:(?:ERROR|WARNING|INFO)\s+\d\d-\d\d \d\d:\d\d:\d\d\s+\[[^\]]*\]\s*)?")


def classify(text: str) -> Match | None:
    """The first class (in the order of CLASSES) that a line of the output shows; None when none does."""
    lines = [line for line in text.splitlines() if line.strip() and not _HARMLESS.search(line)]
    for failure_class in CLASSES:
        shown = [line for line in lines if failure_class.pattern.search(line)]
        if shown:
            # The last one: a traceback shows the source line of the `raise` first and the message at its end.
            return Match(failure_class, clean_line(shown[-1]))
    return None


def clean_line(line: str, limit: int = 500) -> str:
    """A log line without the logger's prefix, cut to a length that a table can bear."""
    cleaned = _PREFIX.sub("", line.strip()).strip()
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"
