"""Writes a report: one self-contained HTML page, Markdown, the plots, and the trials as tables for other programs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vbench.errors import StoreError
from vbench.records.runs import RunFolder, write_bytes_atomic
from vbench.records.store import storage_advice
from vbench.report import shelf
from vbench.report.contents import read_run
from vbench.report.machine_summary import machine_summary
from vbench.report.marks import Mark, mark_of_page
from vbench.report.page import Page, make_page
from vbench.report.pictures import Drawing, Drawn, draw_all
from vbench.report.processes import beside
from vbench.report.render import render_html, render_markdown
from vbench.report.section_process import section_process
from vbench.report.several import subjects_of
from vbench.report.subject import Subject, Wishes
from vbench.report.table_process import table_process
from vbench.report.trials_files import TrialsFiles, trials_files
from vbench.search.blas import use_one_thread

_LARGE = 50 << 20
"""Bytes of records from which on another process writes the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What was written."""

    html: Path
    markdown: Path
    csv: Path
    parquet: Path
    plots: tuple[Path, ...]
    summary: dict[str, Any] = field(default_factory=dict)
    """The answer for other programs, as in `report.json`."""
    moved_to: Path | None = None
    """Where the report of another run went that stood there before."""


def build_report(run: RunFolder, out_root: Path, wishes: Wishes | None = None) -> ReportFiles:
    """`build_reports` of one run: `<out_root>/<sweep>/report.html` and the other files."""
    return build_reports([run], out_root, wishes=wishes)


def build_reports(
    runs: Sequence[RunFolder],
    out_root: Path,
    *,
    name: str = "",
    wishes: Wishes | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> ReportFiles:
    """Write `<out_root>/<name>/report.html`, `report.md`, `report.json`, the trials and `plots/`. An older report of
    the same runs is replaced, one of others moved aside (`shelf`). `name`: the sweeps' names unless given.

    Works for any runs whose records can be opened, finished or not, with none, one, or only failed trials. Raises
    StoreError when reading the records or writing fails.
    """
    use_one_thread()
    size = sum(map(_size_of_records, runs))
    with (
        table_process(is_worth=size >= _LARGE) as tables,
        beside(is_worth=size > 0) as pool,
        _without_collector(),
    ):
        read = []
        for run in runs:
            on_step(f"reading {run.sweep}/{run.run_id}")
            read.append((run, read_run(run, pool)))
        on_step("computing")
        drawing = Drawing(pool)
        subjects = subjects_of(read, wishes)
        folder = out_root / (name or shelf.name_of(runs))
        trials = marked("trials", mark_of_page([subject.mark for subject in subjects]))
        _make_folder(folder / "plots")
        with (
            section_process(subjects) as elsewhere,
            trials_files(subjects, folder / f"{trials}.csv", folder / f"{trials}.parquet", tables) as files,
        ):
            page = make_page(*subjects, on_plots=drawing.begin, elsewhere=elsewhere)
            on_step("writing")
            return _write(page, subjects, drawing, folder, shelf.id_of(runs), files)


def _size_of_records(run: RunFolder) -> int:
    try:
        return run.trials_jsonl.stat().st_size
    except OSError:  # said where it is read
        return 0


@contextmanager
def _without_collector() -> Iterator[None]:
    """Records make no cycles, and what is made of them hardly any: to look for some among millions of objects takes a
    third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _write(
    page: Page, subjects: Sequence[Subject], drawing: Drawing, folder: Path, report_id: str, trials: TrialsFiles
) -> ReportFiles:
    stem = marked("report", page.mark)
    trials.write()  # while the plots are drawn
    drawn: dict[str, Drawn] = {}
    for mark, plots in page.plots:
        drawn.update(draw_all(plots, mark, drawing))
    images = {f"plots/{one.file_stem}.png": one.png for one in drawn.values()}
    contents = {
        **images,
        **{f"plots/{one.file_stem}.svg": one.svg_file for one in drawn.values()},
        f"{stem}.md": render_markdown(page, drawn).encode(),
        f"{stem}.html": render_html(page, drawn).encode(),
    }
    csv, parquet = trials.places
    names = [*contents, csv.name, parquet.name]
    summary = {"id": report_id, **machine_summary(page, subjects), "files": _named_files(names)}
    moved_to = shelf.clear(folder, report_id, names)
    trials.place()
    for name, data in contents.items():
        write_bytes_atomic(folder / name, data)
    write_bytes_atomic(folder / shelf.CONTENTS, shelf.encoded(summary))
    return ReportFiles(
        html=folder / f"{stem}.html",
        markdown=folder / f"{stem}.md",
        csv=csv,
        parquet=parquet,
        plots=tuple(folder / name for name in images),
        summary=summary,
        moved_to=moved_to,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} can't be created: {error.strerror}; {storage_advice(error)}") from error


def _named_files(names: Sequence[str]) -> dict[str, Any]:
    """By what they are: `html`, `markdown`, `csv`, `parquet`, `plots`."""
    kinds = {".html": "html", ".md": "markdown", ".csv": "csv", ".parquet": "parquet"}
    named: dict[str, Any] = {kinds[Path(name).suffix]: name for name in names if Path(name).suffix in kinds}
    return {**named, "plots": [name for name in names if name.startswith("plots/")]}


def marked(stem: str, mark: Mark | None) -> str:
    """A file's name with the mark of what it shows: `report-emulated`."""
    return f"{stem}-{mark.word}" if mark else stem
