"""The objective of every trial in order, with the best so far."""

from __future__ import annotations

import math
from functools import partial

from vbench.report import plots
from vbench.report.blocks import Plot, Section
from vbench.report.plot_bins import NUM_BINS, thin_history
from vbench.report.plot_data import MAX_INTERVALS, MAX_MARKS, History
from vbench.report.subject import Subject


def history_section(subject: Subject) -> Section | None:
    """None where nothing was measured."""
    if not subject.records:
        return None
    data = subject.history
    if all(mark.value is None and mark.bound is None for mark in data.marks):
        return None
    plot = history_plot(data)
    return Section("history", plot.title, (plot,))


def history_plot(data: History) -> Plot:
    """The plot and its words."""
    measured = [mark for mark in data.marks if mark.value is not None]
    best = next((f" The best is trial {mark.trial}." for mark in data.marks if mark.is_best), "")
    stopped = sum(mark.bound is not None for mark in data.marks)
    failed = len(data.marks) - len(measured) - stopped
    alt = f"{data.axis.label} of {len(measured)} measured trials, in order; {failed} others were not measured.{best}"
    if stopped:
        alt += f" {stopped} were stopped early and are shown as bounds."
    caption = (
        "Each dot is a trial, its line the interval over its passes. Hollow: measured, but over the memory budget or "
        "beyond a constraint. Crosses: trials that gave no measurement, by how they ended."
    )
    if stopped:
        caption += f" {bounds_caption(data)}"
    if any(mark.is_final for mark in data.marks):
        caption += " Diamonds: finalists, measured again; these values count, not their first ones."
    if len(data.marks) > MAX_MARKS:
        caption = _binned_caption(len(data.marks))
    elif len(data.marks) > MAX_INTERVALS:
        caption = caption.replace(", its line the interval over its passes", "", 1)
    draw = partial(plots.draw_history, thin_history(data))
    return Plot(name="history", title=f"{data.axis.label} by trial", caption=caption, alt=alt, draw=draw)


def _binned_caption(num_trials: int) -> str:
    width = math.ceil(num_trials / NUM_BINS)
    return (
        f"{num_trials:,} trials are too many for a dot each: they are put into bins of {width:,}. The band holds eight "
        "in ten of those that were measured, the line is their median. Below, the share of each bin that "
        "ended otherwise. The best trial and finals are drawn by themselves."
    )


def bounds_caption(data: History) -> str:
    """What the open arrowheads are."""
    side = "below" if data.is_more_better else "above"
    return f"Open arrowheads: trials that were stopped early, whose value was estimated to lie {side}."
