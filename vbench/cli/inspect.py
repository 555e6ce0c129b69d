"""`vbench best`, `vbench list`, `vbench show`: what runs hold, in the terminal."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results, RunName, refuse_comparison
from vbench.errors import EXIT_NO_RESULT, StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from vbench.records.runs import RunFolder
    from vbench.report.contents import RunContents


_PIPE_WIDTH = 160  # columns where there is no terminal to ask
_COLUMNS = {"Run": 0, "Status": 0, "Trials": 0, "Completed": 60, "Pruned": 100, "Best": 0, "Created (UTC)": 90}
"""Of the list, each with the width from which there is room for it; the date is also in the run's id."""


class Form(StrEnum):
    """How a configuration is written."""

    SERVE = "serve"
    PYTHON = "python"
    NOTEBOOK = "notebook"
    YAML = "yaml"
    JSON = "json"


def best(
    run: RunName = "",
    form: Annotated[Form, typer.Option("--as", help="What to print.")] = Form.SERVE,
    pareto: Annotated[
        bool,
        typer.Option(
            "--pareto", metavar=FLAG, help="Of several objectives, every trial that no other beats in all of them."
        ),
    ] = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Print the best configuration, ready to paste: a [bold]vllm serve[/] command, Python, a notebook, or YAML.

    Where finalists were measured again, the best of them.

      vbench best                               of the latest run, for a shell
      vbench best demo --as notebook > best.ipynb
      vbench best demo --as json                the trial's whole record, of
                                                finalists with their finals' passes
      vbench best demo --pareto                 a table of the front; with
                                                --as json, a record a line
    """
    from vbench.analysis.ranking import best as best_of
    from vbench.records.runs import resolve_run
    from vbench.report import recipes
    from vbench.report.contents import read_run

    folder = resolve_run(results, run)
    refuse_comparison(folder)
    contents = read_run(folder)
    winner = best_of(contents.result.records, contents.objective)
    if pareto and winner is not None:
        return _print_front(contents, form)
    if winner is None:
        name = f"{folder.sweep}/{folder.run_id}"
        typer.echo(
            f"none of the {len(contents.result.records)} trials of {name} completed within its constraints: "
            f"see `vbench show {name}`",
            err=True,
        )
        raise typer.Exit(EXIT_NO_RESULT)
    writers = {
        Form.SERVE: recipes.as_serve,
        Form.PYTHON: recipes.as_python,
        Form.NOTEBOOK: recipes.as_notebook,
        Form.YAML: recipes.as_yaml,
    }
    text = winner.to_json_line() if form is Form.JSON else writers[form](winner.config)
    typer.echo(text.removesuffix("\n"))


def _print_front(contents: RunContents, form: Form) -> None:
    from vbench.analysis.pareto import pareto_front
    from vbench.cli.wording import make_console
    from vbench.report.terminal import pareto_table

    if form is Form.JSON:
        for record in pareto_front(contents.result.records, contents.objectives):
            typer.echo(record.to_json_line())
        return
    if form is not Form.SERVE:
        raise UsageError(f"--pareto prints a table, or with --as json records: --as {form} is for one trial")
    if not contents.more_objectives:
        typer.echo("note: the sweep has one objective, so that the front is its best", err=True)
    make_console(sys.stdout, pipe_width=_PIPE_WIDTH).print(pareto_table(contents.result.records, contents.objectives))


def list_runs(results: Results = DEFAULT_RESULTS) -> None:
    """List the runs, newest first."""
    from vbench.cli.wording import make_console
    from vbench.records.runs import find_runs

    runs = find_runs(results)
    if not runs:
        typer.echo(f"there are no runs in {results}/: start one with `vbench sweep FILE`")
        return
    console = make_console(sys.stdout, pipe_width=_PIPE_WIDTH)
    console.print(_runs_table(runs, console.width))


def show(
    run: RunName = "",
    trial: Annotated[
        int | None, typer.Argument(metavar="TRIAL", help="One trial, with everything about it.", show_default=False)
    ] = None,
    log_lines: Annotated[
        int, typer.Option("--log-lines", metavar="N", min=0, help="How much of the trial's log to print.")
    ] = 15,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Show a run's trials, or everything about one: its settings, measurements, failure, and its log's last lines.

    A trial is named by its number, as the first column of the table has it.

      vbench show            the trials of the latest run
      vbench show demo 7     all about trial 7 of the sweep demo's latest run
      vbench show 7          all about trial 7 of the latest run
    """
    from vbench.analysis.ranking import remeasured
    from vbench.cli.wording import make_console
    from vbench.records.runs import is_comparison, resolve_run
    from vbench.report.contents import read_run
    from vbench.report.terminal import summary_panel, trial_details, trials_table

    if trial is None and _is_trial_number(run, results):
        run, trial = "", int(run)
    folder = resolve_run(results, run)
    contents = read_run(folder)
    for problem in contents.problems:
        typer.echo(f"note: {problem}", err=True)
    console = make_console(sys.stdout, pipe_width=_PIPE_WIDTH)
    if trial is None:
        console.print(trials_table(contents.result.records, contents.objective))
        if is_comparison(folder):
            console.print(f"a comparison: `vbench compare {folder.sweep}/{folder.run_id}` prints what it found")
        else:
            console.print(summary_panel(contents.result.records, contents.objective))
        return
    record = next((one for one in contents.result.records if one.trial == trial), None)
    if record is None:
        raise UsageError(_no_such_trial(folder, trial, [one.trial for one in contents.result.records]))
    again = next((one for one in remeasured(contents.result.records) if one.trial == trial), None)
    console.print(trial_details(record, contents.objective, again))
    if log_lines:
        _print_log(folder.log(trial), log_lines)


def _is_trial_number(text: str, results: Path) -> bool:
    """Whether what stands where a run's name goes is a trial's number: digits, and no sweep is called that."""
    return text.isascii() and text.isdigit() and not (results / text).exists() and not Path(text).exists()


def _no_such_trial(folder: RunFolder, trial: int, there: Sequence[int]) -> str:
    name = f"{folder.sweep}/{folder.run_id}"
    if not there:
        return f"{name} has no trial {trial}: none has ended yet"
    if len(there) == 1:
        return f"{name} has no trial {trial}: it has only trial {there[0]}"
    return f"{name} has no trial {trial}: it has {len(there)}, from {min(there)} to {max(there)}"


def _print_log(log: Path, num_lines: int) -> None:
    from vbench.execution.engine_log import log_tail
    from vbench.report.text import printable

    lines = log_tail(log, num_lines)
    typer.echo(f"\nlast lines of {log}:" if lines else f"\n{log} is empty")
    for line in lines:
        typer.echo(f"  {printable(line)}")


def _runs_table(folders: Sequence[RunFolder], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    rows = [_cells(folder) for folder in folders]
    pruned = list(_COLUMNS).index("Pruned")
    has_pruned = any(row[pruned] not in ("0", "–") for row in rows)
    shown = [
        (index, heading)
        for index, (heading, least) in enumerate(_COLUMNS.items())
        if width >= least and (index != pruned or has_pruned)
    ]
    for _, heading in shown:
        is_number = heading in ("Trials", "Completed", "Pruned", "Best")
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold", no_wrap=heading != "Run")
    table.columns[0].min_width = 16
    for cells in rows:
        table.add_row(*(Text(cells[index]) for index, _ in shown))
    return table


def _cells(folder: RunFolder) -> list[str]:
    from vbench.analysis.ranking import best as best_of
    from vbench.analysis.ranking import objective_value
    from vbench.analysis.search_work import count_trials
    from vbench.cli.wording import show_value
    from vbench.records.runs import is_comparison
    from vbench.report.contents import read_run

    name = f"{folder.sweep}/{folder.run_id}"
    try:
        contents = read_run(folder)
    except StoreError:
        return [name, "unreadable", *("–" for _ in range(len(_COLUMNS) - 2))]
    records, objective = contents.result.records, contents.objective
    winner = best_of(records, objective)
    return [
        name,
        _status(folder, contents),
        str(len(records))
        if is_comparison(folder)
        else f"{count_trials(records).started}/{contents.run.get('num_trials_planned', '?')}",
        *(str(sum(record.outcome == outcome for record in records)) for outcome in ("completed", "pruned")),
        show_value(objective.metric, objective_value(winner, objective)) if winner else "–",
        str(contents.run.get("created_at", ""))[:16].replace("T", " "),
    ]


def _status(folder: RunFolder, contents: RunContents) -> str:
    """As the run says; but a run that says it is running, and that no process holds, was killed."""
    status = str(contents.run.get("status", "unknown")).replace("_", " ")
    return "interrupted" if status == "running" and not _is_held(folder) else status


def _is_held(folder: RunFolder) -> bool:
    """Whether the process named in the run's lock file has that file open. Asking for the lock itself could get in the
    way of a sweep that starts at this moment."""
    try:
        pid = int(folder.lock_path.read_text())
        lock = folder.lock_path.stat()
        descriptors = list(Path("/proc", str(pid), "fd").iterdir())
    except PermissionError:
        return True  # another user's process: it is there, and we can't look closer
    except (OSError, ValueError):
        return False
    for descriptor in descriptors:
        with suppress(OSError):
            if os.path.samestat(descriptor.stat(), lock):
                return True
    return False
