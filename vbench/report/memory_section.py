"""What memory bought, and when it was held."""

from __future__ import annotations

from functools import partial

from vbench.report import plots
from vbench.report.blocks import Plot, Section
from vbench.report.plot_data import history
from vbench.report.subject import Subject
from vbench.report.text import show_trials


def memory_section(subject: Subject) -> Section | None:
    """None where no measured trial has its peak memory."""
    data = history(subject.records, subject.answer)
    trials = [mark.trial for mark in data.marks if mark.value is not None and mark.memory_gib is not None]
    if not trials:
        return None
    plot = Plot(
        name="memory",
        title=f"{data.axis.label} against peak memory",
        caption="What more memory buys. Peak memory is the largest in any phase of the trial, loading included.",
        alt=f"{data.axis.label} against peak memory for trials {show_trials(trials)}.",
        draw=partial(plots.draw_memory, data),
    )
    return Section("memory", plot.title, (plot,))
