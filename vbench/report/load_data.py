"""What the plot of throughput against concurrency shows, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vbench.analysis.answer import Answer
from vbench.analysis.concurrency import LoadLine, LoadPoint, LoadStudy, LoadTrial
from vbench.report.dots import Dot, kept
from vbench.report.plot_data import objective_axis, scale_of
from vbench.report.text import shorten, show_metric

MAX_LINKED, MAX_DOTS = 400, 900
"""Dots of all panels together that lead to their rows, and that are drawn at all."""
LOG_FROM = 8
"""A load's axis is logarithmic (of base 2) where the largest is so many times the smallest: values go by doubling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points of a line. `is_first`: the one that the words are about; `is_alike`: only the load differs along it."""

    points: tuple[tuple[float, float], ...]
    label: str
    is_first: bool
    is_alike: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPanel:
    """One quantity against one parameter."""

    title: str
    x_label: str
    ticks: tuple[float, ...]
    is_log: bool
    dots: tuple[Dot, ...]
    lines: tuple[Line, ...]
    knee: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlot:
    """A row a parameter, a column a quantity."""

    rows: tuple[tuple[LoadPanel, ...], ...]
    is_linked: bool
    num_left_out: int


_Value = Callable[[LoadTrial | LoadPoint], float | None]


def load_plot(studies: Sequence[LoadStudy], answer: Answer) -> LoadPlot:
    """The panels of every study; a latency has one where it was measured in any of them."""
    axis, scale = objective_axis(answer), scale_of(answer)
    quantities: list[tuple[str, _Value]] = [(axis.title(), lambda one: one.value / scale)]
    every = [one for study in studies for one in study.trials]
    if any(one.ttft_s is not None for one in every) and answer.objective.metric != "p95_ttft_s":
        quantities.append(("p95 time to first token (s)", lambda one: one.ttft_s))
    if any(one.tpot_s is not None for one in every) and answer.objective.metric != "p95_tpot_s":
        quantities.append(("p95 time per output token (ms)", lambda one: _ms(one.tpot_s)))
    most = MAX_DOTS // (len(studies) * len(quantities))
    rows = tuple(
        tuple(_panel(study, answer, title, value, most, is_main=place == 0)
              for place, (title, value) in enumerate(quantities))
        for study in studies
    )  # fmt: skip
    drawn = sum(len(panel.dots) for row in rows for panel in row)
    left_out = sum(len(study.trials) for study in studies) - sum(len(row[0].dots) for row in rows)
    return LoadPlot(rows=rows, is_linked=drawn <= MAX_LINKED, num_left_out=left_out)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def _panel(study: LoadStudy, answer: Answer, title: str, value: _Value, most: int, *, is_main: bool) -> LoadPanel:
    best = answer.best.trial if answer.best is not None else None
    every = [(y, one) for one in study.trials if (y := value(one)) is not None]
    dots: list[Dot] = []
    for place in kept([y for y, _ in every], [one.trial for _, one in every], most, best):
        y, one = every[place]
        told = f"trial {one.trial}: {show_metric(answer.objective.metric, one.value)}, {study.name}={one.load:g}"
        dots.append(Dot(x=one.load, y=y, trial=one.trial, tip=shorten(told, 160), is_best=one.trial == best))
    loads = sorted({one.load for one in study.trials})
    lines = [_line(line, value, is_first=place == 0) for place, line in enumerate(study.lines)]
    return LoadPanel(
        title=title,
        x_label=study.name,
        ticks=tuple(loads) if len(loads) <= 8 else (),
        is_log=loads[0] > 0 and loads[-1] / loads[0] >= LOG_FROM,
        dots=tuple(dots),
        lines=tuple(line for line in lines if len(line.points) > 1),
        knee=study.knee if is_main else None,
    )


def _line(line: LoadLine, value: _Value, *, is_first: bool) -> Line:
    points = tuple((one.load, y) for one in line.points if (y := value(one)) is not None)
    return Line(points=points, label=line_label(line), is_first=is_first, is_alike=line.is_alike)


def line_label(line: LoadLine) -> str:
    """What the line is of, for the legend."""
    if not line.is_alike:
        return "best trial at each value"
    return "alike but for this, with the best trial" if line.has_best else "alike but for this"
