"""`vbench best`, `vbench list`, `vbench show`: what runs hold, in the terminal."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.cli.options import DEFAULT_RESULTS, Results, RunName
from vbench.errors import EXIT_NO_RESULT, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from vbench.records.runs import RunFolder
    from vbench.report.contents import RunContents


_PIPE_WIDTH = 160  # columns where there is no terminal to ask


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
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Print the best configuration, ready to paste: a [bold]vllm serve[/] command, Python, a notebook, or YAML."""
    from vbench.analysis.ranking import best as best_of
    from vbench.report import recipes

    contents = _contents(results, run)
    winner = best_of(contents.result.records, contents.objective)
    if winner is None:
        typer.echo("no trial of this run completed within its constraints", err=True)
        raise typer.Exit(EXIT_NO_RESULT)
    writers = {
        Form.SERVE: recipes.as_serve,
        Form.PYTHON: recipes.as_python,
        Form.NOTEBOOK: recipes.as_notebook,
        Form.YAML: recipes.as_yaml,
    }
    typer.echo(winner.to_json_line() if form is Form.JSON else writers[form](winner.config))


def list_runs(results: Results = DEFAULT_RESULTS) -> None:
    """List the runs, newest first."""
    from vbench.records.runs import find_runs

    runs = find_runs(results)
    if not runs:
        typer.echo(f"there are no runs in {results}/: start one with `vbench sweep FILE`")
        return
    _print(_runs_table(runs))


def show(
    run: RunName = "",
    trial: Annotated[
        int | None, typer.Argument(metavar="[TRIAL]", help="One trial, with everything about it.", show_default=False)
    ] = None,
    log_lines: Annotated[int, typer.Option("--log-lines", min=0, help="How much of the trial's log to print.")] = 15,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Show a run's trials, or everything about one: its settings, measurements, failure, and its log's last lines."""
    from vbench.execution.trials import log_tail
    from vbench.records.runs import resolve_run
    from vbench.report.terminal import summary_panel, trial_details, trials_table

    folder = resolve_run(results, run)
    contents = _contents(results, run)
    if trial is None:
        _print(
            trials_table(contents.result.records, contents.objective),
            summary_panel(contents.result.records, contents.objective),
        )
        return
    record = next((one for one in contents.result.records if one.trial == trial), None)
    if record is None:
        raise UsageError(f"{folder.sweep}/{folder.run_id} has no trial {trial}: it has {len(contents.result.records)}")
    _print(trial_details(record))
    if log_lines:
        typer.echo(f"\nlast lines of {folder.log(trial)}:")
        for line in log_tail(folder.log(trial), log_lines):
            typer.echo(f"  {line}")


def _runs_table(folders: Sequence[RunFolder]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from vbench.analysis.ranking import best as best_of
    from vbench.analysis.ranking import objective_value
    from vbench.cli.listeners import show_value
    from vbench.report.contents import read_run

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("Run", "Status", "Trials", "Completed", "Best", "Created (UTC)"):
        is_number = heading in ("Trials", "Completed", "Best")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=heading != "Status")
    for folder in folders:
        contents = read_run(folder)
        records, objective = contents.result.records, contents.objective
        winner = best_of(records, objective)
        cells = (
            f"{folder.sweep}/{folder.run_id}",
            str(contents.run.get("status", "unknown")),
            f"{len(records)}/{contents.run.get('num_trials_planned', '?')}",
            str(sum(record.outcome == "completed" for record in records)),
            show_value(objective.metric, objective_value(winner, objective)) if winner else "–",
            str(contents.run.get("created_at", ""))[:16].replace("T", " "),
        )
        table.add_row(*map(Text, cells))
    return table


def _contents(results: Any, run: str) -> RunContents:
    from vbench.records.runs import resolve_run
    from vbench.report.contents import read_run

    return read_run(resolve_run(results, run))


def _print(*renderables: Any) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(*renderables, sep="\n")
