"""Writes a run's report: one self-contained HTML page, Markdown, the plots, and the trials as CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vbench.errors import StoreError
from vbench.records.runs import RunFolder, write_bytes_atomic
from vbench.records.store import storage_advice
from vbench.report.blocks import plots_in
from vbench.report.contents import read_run
from vbench.report.marks import Mark
from vbench.report.page import make_page
from vbench.report.pictures import draw_all
from vbench.report.render import render_html, render_markdown
from vbench.report.subject import Subject, Wishes
from vbench.report.trials_files import trials_csv


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What was written."""

    html: Path
    markdown: Path
    csv: Path
    plots: tuple[Path, ...]


def build_report(run: RunFolder, out_root: Path, wishes: Wishes | None = None) -> ReportFiles:
    """Write `<out_root>/<sweep>/report.html`, `report.md`, `trials.csv` and `plots/*.png`, replacing older ones.

    Works for any run whose records can be opened, finished or not, with none, one, or only failed trials. Raises
    StoreError when reading the records or writing fails.
    """
    subject = Subject(folder=run, contents=read_run(run), wishes=wishes or Wishes())
    page = make_page(subject)
    drawn = draw_all(plots_in(page.sections), subject.mark)
    folder = out_root / run.sweep
    plot_folder = folder / "plots"
    try:
        plot_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{plot_folder} can't be created: {error.strerror}; {storage_advice(error)}") from error
    stem = marked("report", subject.mark)
    files = ReportFiles(
        html=folder / f"{stem}.html",
        markdown=folder / f"{stem}.md",
        csv=folder / f"{marked('trials', subject.mark)}.csv",
        plots=tuple(plot_folder / f"{plot.file_stem}.png" for plot in drawn.values()),
    )
    for path, plot in zip(files.plots, drawn.values(), strict=True):
        write_bytes_atomic(path, plot.png)
    write_bytes_atomic(files.csv, trials_csv(subject.contents).encode())
    write_bytes_atomic(files.markdown, render_markdown(page, drawn).encode())
    write_bytes_atomic(files.html, render_html(page, drawn).encode())
    return files


def marked(stem: str, mark: Mark | None) -> str:
    """A file's name with the mark of what it shows: `report-emulated`."""
    return f"{stem}-{mark.word}" if mark else stem
