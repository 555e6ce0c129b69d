"""The plots: data in, figure out. Only they (`plots*`, `plot_parts`) import matplotlib, without pyplot and its global
figures. `plots_render` makes files of figures, and puts the mark on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vbench.report.plot_data import MAX_INTERVALS, Bin, History, TrialMark
from vbench.report.plot_parts import WIDTH_IN, draw_best, draw_bounds, draw_cells, legend, link_to, numbers, safe, widen
from vbench.report.plot_theme import Theme


def draw_history(data: History, theme: Theme) -> Figure:
    """The objective by trial with its interval, the best so far as a line; below, one row a kind of failure."""
    kinds = data.kinds or tuple(dict.fromkeys(mark.outcome for mark in data.marks if _is_failure(mark)))
    row = 0.32 if data.bins else 0.2
    height = 3.1 + row * len(kinds) + (0.35 if kinds else 0)
    figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
    if kinds:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3.1, row * len(kinds) + 0.1))
        _draw_failure_rows(bottom, data, kinds, theme)
        top.tick_params(axis="x", length=0, labelbottom=False)
    else:
        top = bottom = figure.subplots()
    if data.baseline is not None:
        top.axhline(data.baseline, color=theme.muted, linewidth=1, linestyle=(0, (4, 3)), label="baseline")
    if data.incumbent:
        steps = [*data.incumbent, (data.last_trial + 0.5, data.incumbent[-1][1])]
        top.step(*zip(*steps, strict=True), where="post", color=theme.accent, linewidth=1.4, label="best so far")
    if data.bins:
        _draw_bins(top, data.bins, theme)
    else:
        bounds = [(float(mark.trial), mark.bound) for mark in data.marks if mark.bound is not None]
        draw_bounds(top, bounds, theme, is_more_better=data.is_more_better)
    _draw_marks(top, data.marks, [float(mark.trial) for mark in data.marks], theme)
    _draw_finals(top, data.marks, theme)
    top.set_ylabel(safe(data.axis.title()))
    widen(top)
    top.yaxis.set_major_formatter(numbers())
    bottom.set_xlabel("trial")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom.xaxis.set_major_formatter(numbers())
    first = data.bins[0].start if data.bins else data.marks[0].trial
    margin = max(0.7, 0.012 * (data.last_trial - first))
    bottom.set_xlim(first - margin, data.last_trial + margin)
    legend(figure, top, theme)
    return figure


def _is_failure(mark: TrialMark) -> bool:
    return mark.value is None and mark.bound is None


def _draw_bins(axes: Axes, bins: Sequence[Bin], theme: Theme) -> None:
    """Steps, as a bin's trials are all alike here: the median, in a band that holds eight in ten."""
    measured = [one for one in bins if one.median is not None]
    if not measured:
        return
    xs = [edge for one in measured for edge in (one.start, one.end + 1)]
    lows, middles, highs = (
        [value or 0.0 for one in measured for value in (getattr(one, name),) * 2] for name in ("low", "median", "high")
    )
    label = "eight in ten of a bin"
    axes.fill_between(xs, lows, highs, color=theme.accent, alpha=0.25, linewidth=0, label=label)
    axes.plot(xs, middles, color=theme.accent, linewidth=0.9, alpha=0.8, label="median of a bin")


def _draw_marks(axes: Axes, marks: Sequence[TrialMark], places: Sequence[float], theme: Theme) -> None:
    """Filled: ranked; hollow: measured, but over the budget or beyond a constraint; square: of the random arm; ringed:
    the best."""
    kinds: tuple[tuple[str, str, str, Callable[[TrialMark], bool]], ...] = (
        ("ranked", "o", theme.accent, lambda mark: mark.is_ranked and not mark.is_random),
        ("measured, not ranked", "o", "none", lambda mark: not mark.is_ranked and not mark.is_random),
        ("random arm", "s", theme.accent, lambda mark: mark.is_ranked and mark.is_random),
        ("random arm, not ranked", "s", "none", lambda mark: not mark.is_ranked and mark.is_random),
    )
    shown = [pair for pair in zip(places, marks, strict=True) if pair[1].value is not None and not pair[1].is_final]
    _draw_intervals(axes, shown, theme.accent)
    size = 26 if len(shown) <= MAX_INTERVALS else 12
    for label, shape, face, is_kind in kinds:
        found = [pair for pair in shown if is_kind(pair[1])]
        if found:
            axes.scatter(
                [place for place, _ in found], [mark.value or 0.0 for _, mark in found], s=size, marker=shape,
                facecolor=face, edgecolor=theme.accent, linewidth=1.1, label=label, zorder=3,
                urls=[link_to(mark.trial, mark.tip) for _, mark in found],
            )  # fmt: skip
    for place, mark in zip(places, marks, strict=True):
        if mark.is_best and mark.value is not None:
            draw_best(axes, place, mark.value, theme, f"best: trial {mark.trial}")


def _draw_intervals(axes: Axes, marks: Sequence[tuple[float, TrialMark]], colour: str) -> None:
    spread = [(place, mark.low, mark.high) for place, mark in marks if mark.low is not None and mark.high is not None]
    if spread:
        axes.vlines(*zip(*spread, strict=True), color=colour, linewidth=1.1, alpha=0.6)


def _draw_finals(axes: Axes, marks: Sequence[TrialMark], theme: Theme) -> None:
    finals = [mark for mark in marks if mark.is_final and mark.value is not None]
    _draw_intervals(axes, [(mark.trial, mark) for mark in finals], theme.best)
    if finals:
        axes.scatter(
            [mark.trial for mark in finals], [mark.value or 0.0 for mark in finals], marker="D", s=22, zorder=3,
            facecolor=theme.best, edgecolor=theme.best, linewidth=1.1, label="measured again",
            urls=[link_to(mark.trial, mark.tip) for mark in finals],
        )  # fmt: skip


def _draw_failure_rows(axes: Axes, data: History, kinds: Sequence[str], theme: Theme) -> None:
    labels = [safe(kind.replace("_", " ")) for kind in kinds]
    most = [max(one.shares[row] for one in data.bins) for row in range(len(kinds))] if data.bins else []
    for row, kind in enumerate(kinds):
        if data.bins:
            # As high as the share of the bin's trials that ended so; the largest of all rows fills its row.
            labels[row] += f", up to {most[row]:.0%}"
            xs = [edge for one in data.bins for edge in (one.start, one.end + 1)]
            tops = [row + 0.4 - 0.8 * share / max(most) for one in data.bins for share in (one.shares[row],) * 2]
            axes.fill_between(xs, row + 0.4, tops, color=theme.failed, linewidth=0)
        else:
            failed = [mark for mark in data.marks if _is_failure(mark) and mark.outcome == kind]
            axes.scatter(
                [mark.trial for mark in failed], [row] * len(failed), marker="x", s=22, color=theme.failed,
                linewidth=1.4, urls=[link_to(mark.trial, mark.tip) for mark in failed],
            )  # fmt: skip
    axes.set_yticks(range(len(kinds)), labels)
    axes.set_ylim(len(kinds) - 0.4, -0.6)
    axes.grid(visible=False)


def draw_memory(data: History, theme: Theme) -> Figure:
    """The objective against peak memory: what more memory buys."""
    marks = [
        mark for mark in data.marks if mark.value is not None and mark.memory_gib is not None and not mark.is_final
    ]
    figure = Figure(figsize=(WIDTH_IN, 3.3), layout="constrained")
    axes = figure.subplots()
    draw_cells(axes, data.cells, theme)
    _draw_marks(axes, marks, [mark.memory_gib or 0.0 for mark in marks], theme)
    axes.grid(visible=True, axis="both")
    axes.set_xlabel("peak memory (GiB)")
    axes.set_ylabel(safe(data.axis.title()))
    axes.yaxis.set_major_formatter(numbers())
    axes.margins(x=0.06, y=0.12)
    widen(axes)
    legend(figure, axes, theme)
    return figure
