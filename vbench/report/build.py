"""Writes a run's report: one self-contained HTML page, Markdown, the plots as PNG and the trials as CSV."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vbench import metrics
from vbench.analysis.frame import to_frame
from vbench.errors import StoreError
from vbench.records.runs import RunFolder, write_bytes_atomic
from vbench.records.store import storage_advice
from vbench.report import plots, plots_effects, plots_search
from vbench.report.contents import RunContents, read_run
from vbench.report.page import Page, make_page
from vbench.report.pareto_section import ParetoPlot
from vbench.report.plot_data import History, history, scale_of
from vbench.report.plot_theme import Theme
from vbench.report.search_section import Course
from vbench.report.text import FAKE_MARK, escape_markdown, fence_markdown, metric_label, printable, show_trials

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What was written."""

    html: Path
    markdown: Path
    csv: Path
    plots: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot with the words around it; `alt` says what it shows to someone who can't see it."""

    name: str
    title: str
    caption: str
    alt: str
    picture: plots.Picture

    @property
    def light_uri(self) -> str:
        """The picture for light pages, as a data URI."""
        return _svg_uri(self.picture.light_svg)

    @property
    def dark_uri(self) -> str:
        """The picture for dark pages, as a data URI."""
        return _svg_uri(self.picture.dark_svg)


def build_report(run: RunFolder, out_root: Path) -> ReportFiles:
    """Write `<out_root>/<sweep>/report.html`, `report.md`, `trials.csv` and `plots/*.png`, replacing older ones.

    Works for any run whose records can be opened, finished or not, with none, one, or only failed trials. Raises
    StoreError when reading the records or writing fails.
    """
    contents = read_run(run)
    page = make_page(run, contents)
    drawn = draw_plots(contents, page)
    folder = out_root / run.sweep
    plot_folder = folder / "plots"
    try:
        plot_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{plot_folder} can't be created: {error.strerror}; {storage_advice(error)}") from error
    files = ReportFiles(
        html=folder / "report.html",
        markdown=folder / "report.md",
        csv=folder / "trials.csv",
        plots=tuple(plot_folder / f"{plot.name}.png" for plot in drawn),
    )
    for path, plot in zip(files.plots, drawn, strict=True):
        write_bytes_atomic(path, plot.picture.png)
    write_bytes_atomic(files.csv, trials_csv(contents).encode())
    write_bytes_atomic(files.markdown, render_markdown(page, drawn).encode())
    write_bytes_atomic(files.html, render_html(page, drawn).encode())
    return files


def trials_csv(contents: RunContents) -> str:
    """`to_frame` as CSV, numbers to their last digit; text that a spreadsheet would run as a formula gets a `'`."""
    frame = to_frame(contents.result.records)
    for column in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].map(_inert)
    frame.columns = pd.Index([_inert(name) for name in frame.columns])
    return frame.to_csv(index=False, lineterminator="\n")


def _inert(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def draw_plots(contents: RunContents, page: Page) -> list[Plot]:
    """Every plot that there is something to draw for."""
    if not contents.result.records:
        return []
    data = history(contents.result.records, page.answer)
    found = [_history_plot(data)]
    if any(value.results for effect in page.effects for value in effect.values):
        found.append(_effects_plot(data, page, scale_of(page.answer)))
    if any(mark.value is not None and mark.memory_gib is not None for mark in data.marks):
        found.append(_memory_plot(data))
    if page.splits:
        draw = partial(plots.draw_time, page.splits, page.is_fake)
        caption = (
            "Start-up is process start, imports and loading. Other is writing, closing and waiting for free memory, "
            "the check of the answers, and first attempts that were disturbed."
        )
        alt = f"Stacked bars of the time of {len(page.splits)} trials: start-up, warm-up, timed passes, other."
        found.append(_plot("time", "Where the time went", caption, alt, page.is_fake, draw))
    if page.pareto and page.pareto.plot:
        found.append(_pareto_plot(page.pareto.plot))
    if page.quality and page.quality.plot:
        draw_quality = partial(plots_search.draw_pareto, page.quality.plot)
        found.append(_plot("quality", *page.quality.plot_words, page.is_fake, draw_quality))
    if page.search and page.search.course:
        found.append(_course_plot(page.search.course))
    return found


def _plot(name: str, title: str, caption: str, alt: str, is_fake: bool, draw: Callable[[Theme], Any]) -> Plot:
    mark = f" ({FAKE_MARK})" if is_fake else ""
    return Plot(name=name, title=title + mark, caption=caption, alt=alt + mark, picture=plots.render(draw))


def _history_plot(data: History) -> Plot:
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
        caption += f" {_bounds_caption(data)}"
    if any(mark.is_final for mark in data.marks):
        caption += " Diamonds: finalists, measured again; these values count, not their first ones."
    return _plot(
        "history", f"{data.axis.label} by trial", caption, alt, data.is_fake, partial(plots.draw_history, data)
    )


def _bounds_caption(data: History) -> str:
    side = "below" if data.is_more_better else "above"
    return f"Open arrowheads: trials that were stopped early, whose value was estimated to lie {side}."


def _effects_plot(data: History, page: Page, scale: float) -> Plot:
    names = ", ".join(effect.name for effect in page.effects[: plots_effects.MAX_PANELS])
    left_out = len(page.effects) - plots_effects.MAX_PANELS
    caption = "Each dot is a completed trial, each bar the median of a value. Other parameters vary within a column."
    if any(value.bounds for effect in page.effects for value in effect.values):
        caption += f" {_bounds_caption(data)} They count in no median, so that values with many of them look too good."
    if left_out > 0:
        caption += f" {left_out} more parameters are in the table only."
    draw = partial(plots_effects.draw_effects, page.effects, data, scale)
    alt = f"One panel for each of {names}: {data.axis.label} of the completed trials by value."
    return _plot("effects", "What each parameter did", caption, alt, data.is_fake, draw)


def _memory_plot(data: History) -> Plot:
    trials = [mark.trial for mark in data.marks if mark.value is not None and mark.memory_gib is not None]
    alt = f"{data.axis.label} against peak memory for trials {show_trials(trials)}."
    caption = "What more memory buys. Peak memory is the largest in any phase of the trial, loading included."
    draw = partial(plots.draw_memory, data)
    return _plot("memory", f"{data.axis.label} against peak memory", caption, alt, data.is_fake, draw)


def _pareto_plot(data: ParetoPlot) -> Plot:
    front = [point.trial for point in data.points if point.is_on_front]
    alt = f"{data.y_axis.label} against {data.x_axis.label} of {len(data.points)} trials; on the front: "
    alt += f"{show_trials(front)}."
    caption = "Filled: trials that no other beats in all objectives. Hollow: beaten by another. Ringed: the best."
    if not data.is_whole:
        caption += " Only the first two objectives are drawn: a trial may be on the front for another."
    title = f"{data.y_axis.label} against {data.x_axis.label}"
    return _plot("pareto", title, caption, alt, data.is_fake, partial(plots_search.draw_pareto, data))


def _course_plot(course: Course) -> Plot:
    metric = metric_label(course.objective.metric)
    arms = "the search" if course.random is None else "the search and a random search"
    alt = f"Best {metric} so far of {arms} against engine-seconds."
    caption = (
        "Best so far of the trials that may be ranked, by their first measurements. Time is what the arm's own trials "
        "took, start-up included; baseline and finals are not counted."
    )
    if course.random and any(point.is_borrowed for point in course.random.points):
        caption += " Hollow: the random arm drew a point that the search had measured; it was not run twice."
    draw = partial(plots_search.draw_course, course)
    return _plot("search", "Best so far against engine time", caption, alt, course.is_fake, draw)


def _svg_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")


def render_html(page: Page, drawn: list[Plot]) -> str:
    """The whole page as one file: nothing is fetched, nothing runs."""
    return (
        _environment(_html_text).get_template("report.html.j2").render(page=page, plots=drawn, metrics=metrics.BY_NAME)
    )


def render_markdown(page: Page, drawn: list[Plot]) -> str:
    """The same for a code host; plots are linked from `plots/`."""
    return _environment(escape_markdown).get_template("report.md.j2").render(page=page, plots=drawn)


def _environment(finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("vbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fence"] = fence_markdown
    environment.filters["trials"] = show_trials
    environment.globals["FAKE_MARK"] = FAKE_MARK
    return environment


def _html_text(value: Any) -> Any:
    """Runs before autoescape: what is shown is printable whatever it came from."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
