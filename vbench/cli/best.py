"""`vbench best`: the best configuration of a run, ready to paste."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results, RunName, refuse_comparison, say
from vbench.errors import EXIT_NO_RESULT, UsageError
from vbench.printable import printable

if TYPE_CHECKING:
    from vbench.records.record import TrialRecord
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
    form: Annotated[
        Form | None, typer.Option("--as", help="What to print. Default: serve.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar=FLAG, help="The same as [bold]--as json[/]: the trial's record, one line.")
    ] = False,
    safe: Annotated[
        bool,
        typer.Option(
            "--safe",
            metavar=FLAG,
            help="The fastest with memory to spare, and clear of its bounds.",
        ),
    ] = False,
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
      vbench best --safe                        with room to spare in memory
      vbench best demo --json                   the trial's whole record, of a
                                                finalist with its finals' passes
      vbench best demo --pareto                 a table of the front; with
                                                --json, a record a line
    """
    from vbench.analysis.ranking import best as best_of
    from vbench.records.runs import resolve_run
    from vbench.report.contents import read_run

    if safe and pareto:
        raise UsageError("--safe names one trial and --pareto several: give one of them")
    if as_json and form not in (None, Form.JSON):
        raise UsageError(f"--json and --as {form} ask for two forms: give one of them")
    form = Form.JSON if as_json else form or Form.SERVE
    folder = resolve_run(results, run)
    refuse_comparison(folder)
    contents = read_run(folder)
    winner = best_of(contents.result.records, contents.objective)
    if pareto and winner is not None:
        return _print_front(contents, form)
    if winner is None:
        say(_why_none(folder, contents), is_error=True)
        raise typer.Exit(EXIT_NO_RESULT)
    chosen = _safest(winner, contents) if safe else winner
    _print(_written(chosen, folder, contents, form).removesuffix("\n"), form)


def _print(text: str, form: Form) -> None:
    """As it is, but for what would move a terminal's cursor. Remarks on a shell's command go to stderr: not every shell
    takes a comment."""
    remarks = []
    while form is Form.SERVE and text.startswith("# "):
        remark, _, text = text.partition("\n")
        remarks.append(remark.removeprefix("# "))
    typer.echo(printable(text) if sys.stdout.isatty() else text)
    for remark in remarks:
        say(f"note: {remark}", is_error=True)


def _why_none(folder: RunFolder, contents: RunContents) -> str:
    name, count = f"{folder.sweep}/{folder.run_id}", len(contents.result.records)
    if not count:
        return f"{name} has no trial yet that can be read: `vbench sweep FILE` goes on with it"
    which = (
        f"none of the {count} trials of {name} completed" if count > 1 else f"the one trial of {name} didn't complete"
    )
    return f"{which} within its constraints: see `vbench show {name}`"


def _safest(winner: TrialRecord, contents: RunContents) -> TrialRecord:
    """Says on stderr what the choice costs; ends the command where there is none."""
    from vbench.analysis.safe_best import RULE, find_safe

    found = find_safe(contents.result.records, contents.objective, contents)
    if found is None:
        typer.echo(f"no trial {RULE}: `vbench best` prints the fastest", err=True)
        raise typer.Exit(EXIT_NO_RESULT)
    if found.record.trial == winner.trial:
        typer.echo(f"note: the best, trial {winner.trial}, is itself safe", err=True)
    elif not found.is_remeasured:
        typer.echo(f"note: trial {found.record.trial} was measured once: expect a little less", err=True)
    return found.record


def _written(record: TrialRecord, folder: RunFolder, contents: RunContents, form: Form) -> str:
    from vbench.report.provenance import provenance_of
    from vbench.report.recipes import as_serve, as_yaml
    from vbench.report.recipes_python import as_notebook, as_python

    if form is Form.JSON:
        return record.to_json_line()
    origin = provenance_of(record, folder, contents)
    if form is Form.SERVE:
        origin = replace(origin, lines=())  # nothing but the command: it goes into a shell
    write = {Form.SERVE: as_serve, Form.PYTHON: as_python, Form.NOTEBOOK: as_notebook, Form.YAML: as_yaml}[form]
    return write(record.config, origin)


def _print_front(contents: RunContents, form: Form) -> None:
    from vbench.analysis.pareto import pareto_front
    from vbench.cli.whole_record import whole_record
    from vbench.cli.wording import make_console
    from vbench.report.terminal import pareto_table

    if form is Form.JSON:
        for record in pareto_front(contents.result.records, contents.objectives):
            typer.echo(whole_record(contents.result.path, record).to_json_line())
        return
    if form is not Form.SERVE:
        raise UsageError(f"--pareto prints a table, or with --as json records: --as {form} is for one trial")
    if not contents.more_objectives:
        typer.echo("note: the sweep has one objective, so that the front is its best", err=True)
    make_console(sys.stdout, pipe_width=_PIPE_WIDTH).print(pareto_table(contents.result.records, contents.objectives))
