"""Throughput and latency against how much runs at once."""

from __future__ import annotations

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from vbench.report.load_data import Line, LoadPanel, LoadPlot
from vbench.report.plot_parts import WIDTH_IN, link_to, numbers, safe, widen
from vbench.report.plot_theme import Theme


def draw_load(data: LoadPlot, theme: Theme) -> Figure:
    """A row a parameter, a column a quantity; all trials as dots, lines as what can be compared."""
    columns = max(len(row) for row in data.rows)
    figure = Figure(figsize=(WIDTH_IN, 0.4 + 2.5 * len(data.rows)), layout="constrained")
    grid = figure.subplots(len(data.rows), columns, squeeze=False)
    handles: dict[str, Artist] = {}
    for axes_row, panels in zip(grid, data.rows, strict=True):
        for axes, panel in zip(axes_row, panels, strict=True):
            _draw_panel(axes, panel, theme, is_linked=data.is_linked)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper left", ncols=4, fontsize=8,
            labelcolor=theme.muted, handlelength=1.8,
        )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, panel: LoadPanel, theme: Theme, *, is_linked: bool) -> None:
    marks = axes.scatter(
        [dot.x for dot in panel.dots], [dot.y for dot in panel.dots], s=14, facecolor="none", edgecolor=theme.muted,
        linewidth=0.9, zorder=2, label="a trial",
    )  # fmt: skip
    if is_linked:
        marks.set_urls([link_to(dot.trial, dot.tip) for dot in panel.dots])
    for line in panel.lines:
        _draw_line(axes, line, theme)
    for dot in panel.dots:
        if dot.is_best:
            axes.scatter([dot.x], [dot.y], s=90, facecolor="none", edgecolor=theme.best, linewidth=1.6, zorder=5,
                         label="the best")  # fmt: skip
    if panel.knee is not None:
        axes.axvline(panel.knee, color=theme.best, linewidth=1.0, linestyle=(0, (2, 2)), label="knee")
    axes.set_title(safe(panel.title), loc="left", color=theme.ink, fontsize=8.5)
    axes.set_xlabel(safe(panel.x_label))
    axes.yaxis.set_major_formatter(numbers())
    widen(axes)
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]) if axes.get_ylim()[0] < 0 else None)
    _scale(axes, panel)


def _draw_line(axes: Axes, line: Line, theme: Theme) -> None:
    axes.plot(
        *zip(*line.points, strict=True), color=theme.accent, linewidth=1.8 if line.is_first else 1.0,
        alpha=1.0 if line.is_first else 0.55, linestyle="solid" if line.is_alike else (0, (5, 2)), marker="o",
        markersize=4.5 if line.is_first else 2.5, zorder=4 if line.is_first else 3, label=line.label,
    )  # fmt: skip


def _scale(axes: Axes, panel: LoadPanel) -> None:
    if panel.is_log:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    if panel.ticks:
        axes.xaxis.set_major_locator(FixedLocator(panel.ticks))
    elif not panel.is_log:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.08)
    axes.tick_params(axis="x", labelsize=8)
