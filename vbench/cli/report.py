"""`vbench report [RUN…]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli.options import DEFAULT_REPORTS, DEFAULT_RESULTS, FLAG, Results, refuse_comparison

if TYPE_CHECKING:
    from vbench.records.runs import RunFolder
    from vbench.report.build import ReportFiles

_LARGE_BYTES = 4_000_000
"""Of records: with more of them a page takes seconds, so that it says what it is at."""
_YOURS = "In your own numbers"

Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Runs: a folder, SWEEP/RUN, a sweep's name (its latest run), or a run's id. Left out: the latest of all. "
        "Several make one page.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where reports are written, one folder a sweep.")]
Name = Annotated[
    str,
    typer.Option("--name", metavar="NAME", help="The folder's name. Default: the sweep's.", show_default=False),
]
Prompts = Annotated[
    int | None,
    typer.Option(
        "--prompts",
        metavar="N",
        min=1,
        help="How many prompts you have: the page says how long they take. Default: as many as were measured with.",
        rich_help_panel=_YOURS,
    ),
]
Tasks = Annotated[
    int | None,
    typer.Option(
        "--tasks",
        metavar="N",
        min=1,
        help="How many tasks share the hours: the page says how many samples each gets. Default: one a prompt.",
        rich_help_panel=_YOURS,
    ),
]
Hours = Annotated[
    float,
    typer.Option("--hours", metavar="H", min=0.01, max=100_000, help="How long you may run.", rich_help_panel=_YOURS),
]
AsJson = Annotated[
    bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object: the answer, and the files written.")
]
Open = Annotated[bool, typer.Option("--open", metavar=FLAG, help="Show the page in a browser afterwards.")]


def report(
    runs: Runs = None,
    prompts: Prompts = None,
    tasks: Tasks = None,
    hours: Hours = 9.0,
    out: Out = DEFAULT_REPORTS,
    name: Name = "",
    as_json: AsJson = False,
    opens: Open = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Make a page of a run, or of several: HTML that opens without a network, Markdown, plots, and tables of trials.

    Needs no engine and no GPU; it may be made again at any time, also while the sweep runs. Of several runs those that
    did the same work on the same hardware are ranked together, the others apart.

      vbench report                   of the latest run
      vbench report demo              of the latest run of the sweep `demo`
      vbench report demo/RUN          of one certain run
      vbench report monday tuesday    both on one page: reports/monday+tuesday/
      vbench report --prompts 12000   how long that takes for your prompts

    The page of a sweep's latest report is reports/SWEEP/report.html; the report of an earlier run that stood there
    moves to reports/SWEEP/RUN/. Numbers that are no plain measurement say so in the files' names, too:
    report-emulated.html, report-fake.html.

    Keys of --json: folder, id, vbench_version, mark, parts (of each what is ranked together: runs, mark, hardware,
    objective, trials, completed, stopped_early, failures, problems, best), files. Bytes and seconds; null is what
    wasn't measured.
    """
    from vbench.report.build import build_reports
    from vbench.report.shelf import checked_name
    from vbench.report.subject import Wishes

    folders = _resolved(results, runs or [""])
    wishes = Wishes(prompts=prompts, tasks=tasks, hours=hours)
    with _steps(folders) as on_step:
        files = build_reports(folders, out, name=checked_name(name), wishes=wishes, on_step=on_step)
    if files.moved_to is not None:
        typer.echo(f"the report of {files.moved_to.name} that stood there is now in {files.moved_to}/", err=True)
    if as_json:
        typer.echo(json.dumps({"folder": str(files.html.parent), **files.summary}, ensure_ascii=False))
    else:
        _print_files(files)
    if opens:
        typer.launch(str(files.html))


def _resolved(results: Path, names: Sequence[str]) -> list[RunFolder]:
    """The runs meant, each once. Raises UsageError for one that isn't there, or is a comparison."""
    from vbench.records.runs import resolve_run

    found: dict[Path, RunFolder] = {}
    for name in names:
        folder = resolve_run(results, name)
        refuse_comparison(folder)
        found.setdefault(folder.path.resolve(), folder)
    return list(found.values())


def _print_files(files: ReportFiles) -> None:
    from vbench.report.text import printable

    names = files.summary["files"]
    for kind in ("html", "markdown", "csv", "parquet"):
        if kind in names:
            typer.echo(printable(str(files.html.parent / names[kind])))


@contextmanager
def _steps(folders: Sequence[RunFolder]) -> Iterator[Callable[[str], None]]:
    """Says on a terminal what it is at, on one line that is gone in the end; nothing where a page takes no time."""
    from vbench.cli.wording import can_redraw

    if not can_redraw(sys.stderr) or _size_of(folders) < _LARGE_BYTES:
        yield lambda _: None
        return

    def say(step: str) -> None:
        typer.echo(f"\r\x1b[K{step} …", err=True, nl=False)

    try:
        yield say
    finally:
        typer.echo("\r\x1b[K", err=True, nl=False)


def _size_of(folders: Sequence[RunFolder]) -> int:
    paths = [folder.trials_jsonl for folder in folders]
    return sum(path.stat().st_size for path in paths if path.is_file())
