"""`vbench show`: a run's trials, or everything about one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vbench.cli.list_runs import PIPE_WIDTH, AsJson, first_of, listed, mark_in
from vbench.cli.options import DEFAULT_RESULTS, Results, RunName, say
from vbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vbench.records.runs import RunFolder
    from vbench.report.contents import RunContents


_MOST_DIGITS = 18


def show(
    run: RunName = "",
    trial: Annotated[
        int | None, typer.Argument(metavar="TRIAL", help="One trial, with everything about it.", show_default=False)
    ] = None,
    log_lines: Annotated[
        int, typer.Option("--log-lines", metavar="N", min=0, help="How much of the trial's log to print.")
    ] = 15,
    as_json: AsJson = False,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Show a run's trials, or everything about one: its settings, measurements, failure, and its log's last lines.

    A trial is named by its number, as the first column of the table has it. With --json: of a run the object that
    [bold]vbench list --json[/] has, and then each record, a line each; of a trial its record, as trials.jsonl has it.

      vbench show            the trials of the latest run
      vbench show demo 7     all about trial 7 of the sweep demo's latest run
      vbench show 7          all about trial 7 of the latest run
    """
    from vbench.cli.wording import make_console, print_summary
    from vbench.records.runs import is_comparison, resolve_run
    from vbench.report.contents import read_run
    from vbench.report.terminal import trials_table

    if trial is None and _is_trial_number(run, results):
        run, trial = "", int(run)
    folder = resolve_run(results, run)
    contents = read_run(folder)
    for problem in first_of(contents.problems):
        say(f"note: {problem}", is_error=True)
    if trial is not None:
        return _show_trial(folder, contents, trial, log_lines, as_json=as_json)
    if as_json:
        return _print_json(folder)
    console = make_console(sys.stdout, pipe_width=PIPE_WIDTH)
    mark = mark_in(contents)
    mark_text = None if mark is None else mark.text
    if contents.result.records:
        console.print(trials_table(contents.result.records, contents.objective, mark_text))
    if is_comparison(folder):
        console.print(f"a comparison: `vbench compare {folder.sweep}/{folder.run_id}` prints what it found")
    else:
        print_summary(console, contents.result.records, contents.objective, mark_text, contents.machine)


def _show_trial(folder: RunFolder, contents: RunContents, trial: int, log_lines: int, *, as_json: bool) -> None:
    from vbench.cli.whole_record import whole_record
    from vbench.cli.wording import make_console
    from vbench.report.trial_details import trial_details

    records = contents.result.records
    record = next((one for one in records if one.trial == trial), None)
    if record is None:
        raise UsageError(_no_such_trial(folder, trial, [one.trial for one in records]))
    record = whole_record(folder.trials_jsonl, record)
    if as_json:
        typer.echo(record.to_json_line())
        return
    console, mark = make_console(sys.stdout, pipe_width=PIPE_WIDTH), mark_in(contents)
    console.print(trial_details(record, contents.objective, records, mark.text if mark else None))
    typer.echo("\nFiles")
    log, samples = folder.log(trial), folder.samples(trial)
    for what, path in (("record", folder.trials_jsonl), ("samples", samples), ("log", log)):
        say(f"  {what:<9}{path if path.exists() else 'not kept'}")
    if log_lines and log.exists():
        _print_log(log, log_lines)


def _print_json(folder: RunFolder) -> None:
    import json

    from vbench.records.store import RecordStore

    typer.echo(json.dumps(listed(folder).facts(), ensure_ascii=False))
    for line in RecordStore(folder.trials_jsonl).each([]):  # not what is held of them: of large runs that isn't all
        typer.echo(line.record.to_json_line())


def _is_trial_number(text: str, results: Path) -> bool:
    """Whether what stands where a run's name goes is a trial's number: digits, and no sweep is called that."""
    return (
        text.isascii()
        and text.isdigit()
        and len(text) <= _MOST_DIGITS
        and not os.path.exists(results / text)
        and not os.path.exists(text)
    )


def _no_such_trial(folder: RunFolder, trial: int, there: Sequence[int]) -> str:
    name = f"{folder.sweep}/{folder.run_id}"
    if not there:
        return f"{name} has no trial {trial}: none has ended yet"
    if len(there) == 1:
        return f"{name} has no trial {trial}: it has only trial {there[0]}"
    return f"{name} has no trial {trial}: it has {len(there)}, from {min(there)} to {max(there)}"


def _print_log(log: Path, num_lines: int) -> None:
    from vbench.execution.engine_log import log_tail

    lines = log_tail(log, num_lines)
    say(f"\nlast lines of {log}:" if lines else f"\n{log} is empty")
    for line in lines:
        say(f"  {line}")
