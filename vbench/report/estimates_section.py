"""The memory planner's estimates beside what engines said."""

from __future__ import annotations

from vbench.analysis.estimates import check_estimates
from vbench.report.blocks import Grid, Prose, Section
from vbench.report.subject import Subject
from vbench.report.tables import estimates_table

_NOTE = (
    "What the memory planner expected before each trial, beside what the engine said. Weights are one GPU's. Trials of "
    "the same kind narrow its margin."
)


def estimates_section(subject: Subject) -> Section | None:
    """None where nothing was planned, or nothing reported."""
    table = estimates_table(check_estimates(subject.records))
    if not table.rows:
        return None
    title = "Estimate against measurement"
    return Section("estimates", title, (Prose(_NOTE, "muted"), Grid(table, title)))
