"""Where each trial's time went."""

from __future__ import annotations

from functools import partial

from vbench.analysis.timing import time_split
from vbench.report import plots
from vbench.report.blocks import Plot, Section
from vbench.report.subject import Subject


def time_section(subject: Subject) -> Section | None:
    """None where no trial took any time."""
    splits = tuple(split for split in map(time_split, subject.records) if split.total_s > 0)
    if not splits:
        return None
    plot = Plot(
        name="time",
        title="Where the time went",
        caption=(
            "Start-up is process start, imports and loading. Other is writing, closing and waiting for free memory, "
            "the check of the answers, and first attempts that were disturbed."
        ),
        alt=f"Stacked bars of the time of {len(splits)} trials: start-up, warm-up, timed passes, other.",
        draw=partial(plots.draw_time, splits, subject.answer.is_fake),
    )
    return Section("time", plot.title, (plot,))
