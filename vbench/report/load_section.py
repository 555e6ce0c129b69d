"""To come."""

from __future__ import annotations

from vbench.report.blocks import Section
from vbench.report.subject import Subject


def load_section(subject: Subject) -> Section | None:  # noqa: ARG001
    """None where there is nothing to show."""
    return None
