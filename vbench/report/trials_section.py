"""Every trial in one table."""

from __future__ import annotations

from vbench.report.blocks import Grid, Prose, Section
from vbench.report.subject import Subject
from vbench.report.tables import trials_table

_NOTE = (
    "The interval is from the smallest to the largest timed pass; from 5 passes on, a 95% bootstrap interval of their "
    "median. – is what wasn’t measured. The same in full precision: trials.csv."
)
_FINALS = " Finalists stand here with their first measurements; their finals are trials of their own."


def trials_section(subject: Subject) -> Section | None:
    """None where nothing was tried."""
    records = subject.records
    if not records:
        return None
    table = trials_table(records, subject.answer, [effect.name for effect in subject.effects])
    note = _NOTE + (_FINALS if any(record.origin == "final" for record in records) else "")
    return Section("trials", "All trials", (Grid(table, "All trials", is_interactive=True), Prose(note, "muted")))
