"""Plots of time: where each trial's went, and what start-up was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.analysis.startup import PARTS, Startup
from vbench.analysis.timing import TimeBin, TimeSplit
from vbench.report.plot_parts import WIDTH_IN, legend, link_to, numbers
from vbench.report.plot_theme import Theme
from vbench.units import format_duration

_IN_MINUTES_FROM_S = 300


def draw_time(bins: Sequence[TimeBin], theme: Theme) -> Figure:
    """A stacked bar a trial, or the mean of a bin of them: start-up, warm-up, timed passes and the rest."""
    figure = Figure(figsize=(WIDTH_IN, 2.9), layout="constrained")
    axes = figure.subplots()
    longest = max(one.mean.total_s for one in bins)
    divisor, unit = (60.0, "min") if longest >= _IN_MINUTES_FROM_S else (1.0, "s")
    are_means = any(one.count > 1 for one in bins)
    places = [(one.first + one.last) / 2 for one in bins]
    widths = [max(0.72, 0.9 * (one.last - one.first)) for one in bins]
    before = "probe, warm-up" if any(one.mean.probe_s for one in bins) else "warm-up"
    parts: tuple[tuple[str, Callable[[TimeSplit], float]], ...] = (
        ("start-up", lambda split: split.startup_s),
        (before, lambda split: split.probe_s + split.warmup_s),
        ("timed passes", lambda split: split.timed_s),
        ("other", lambda split: split.closing_s + split.other_s),
    )
    base = [0.0] * len(bins)
    for (label, seconds_of), colour in zip(parts, theme.parts, strict=True):
        heights = [seconds_of(one.mean) / divisor for one in bins]
        bars = axes.bar(places, heights, width=widths, bottom=base, color=colour, label=label)
        for bar, one in zip(bars, bins, strict=True):
            if one.count == 1:
                bar.set_url(link_to(one.first, f"trial {one.first}: {label} {format_duration(seconds_of(one.mean))}"))
        base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{'mean time' if are_means else 'time'} ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(numbers())
    axes.set_xlim(bins[0].first - 0.7, bins[-1].last + 0.7)
    legend(figure, axes, theme)
    return figure


def draw_startups(rows: Sequence[tuple[str, Startup]], theme: Theme) -> Figure:
    """A lying bar a trial, by its label, from the top: the parts of its start-up in their order."""
    figure = Figure(figsize=(WIDTH_IN, 0.9 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    colours = (theme.muted, theme.parts[0], theme.accent, theme.best, theme.parts[1], theme.failed, theme.parts[3])
    base = [0.0] * len(rows)
    for name, colour in zip(PARTS, colours, strict=True):
        widths = [one.parts.get(name, 0.0) for _, one in rows]
        if any(widths):
            bars = axes.barh(range(len(rows)), widths, height=0.66, left=base, color=colour, label=name)
            for bar, (_, one), width in zip(bars, rows, widths, strict=True):
                bar.set_url(link_to(one.trial, f"trial {one.trial}: {name} {format_duration(width)}"))
            base = [left + width for left, width in zip(base, widths, strict=True)]
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.set_xlabel("seconds")
    axes.xaxis.set_major_formatter(numbers())
    legend(figure, axes, theme)
    return figure
