"""`vbench report [RUN]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vbench.cli.options import DEFAULT_REPORTS, DEFAULT_RESULTS, Results, RunName, refuse_comparison


def report(
    run: RunName = "",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where reports are written, one folder a sweep.")
    ] = DEFAULT_REPORTS,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Make a page of a run: HTML that opens without a network, Markdown, plots, and a table as CSV.

    Needs no engine and no GPU; it may be made again at any time, also while the sweep runs.

      vbench report                  of the latest run
      vbench report demo             of the latest run of the sweep `demo`
    """
    from vbench.records.runs import resolve_run
    from vbench.report.build import build_report

    folder = resolve_run(results, run)
    refuse_comparison(folder)
    files = build_report(folder, out)
    for path in (files.html, files.markdown, files.csv):
        typer.echo(str(path))
