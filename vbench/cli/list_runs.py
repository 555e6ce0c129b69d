"""`vbench list`: the runs, and how each stands."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results, say
from vbench.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from vbench.records.record import TrialRecord
    from vbench.records.runs import RunFolder
    from vbench.report.contents import RunContents
    from vbench.report.marks import Mark

AsJson = Annotated[
    bool, typer.Option("--json", metavar=FLAG, help="Print one JSON object a line for machines, nothing else.")
]
PIPE_WIDTH = 160
"""Columns where there is no terminal to ask."""
_COUNTS = ("completed", "pruned", "failed", "interrupted", "refused")
"""Each trial is in one of them. Interrupted: spoilt by the machine. Refused: by the planner, without a start."""
_COLUMNS = (
    "Run", "Status", "Search", "Trials", "Completed", "Pruned", "Failed", "Interrupted", "Refused", "Best",
    "Created (UTC)",
)  # fmt: skip
_TEXT = ("Run", "Status", "Created (UTC)")
_OPTIONAL = ("Pruned", "Failed", "Interrupted", "Refused")
"""Left out where no run has any."""
_SPARED = ("Created (UTC)", "Refused", "Pruned", "Search", "Interrupted", "Failed", "Completed", "Trials")
"""Left out where there is no room, the first one first; the date is also in the run's id."""
MISSING = "–"
_GAP = 2
_MOST_NAMED = 3
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run in a few words. Of one that can't be read only its place is known."""

    run: RunFolder
    status: str
    num_trials: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """By `_COUNTS`; together all trials."""
    started: int | None = None
    """Of the trials that the search was asked for."""
    planned: int | None = None
    is_comparison: bool = False
    mark: str | None = None
    """What the numbers are, where they aren't a plain measurement: `emulated`, `fake`."""
    objective: str | None = None
    best_trial: int | None = None
    best_value: float | None = None
    created_at: str | None = None
    problems: tuple[str, ...] = ()
    """What of it can't be read."""

    @property
    def name(self) -> str:
        """As the other commands take it."""
        return f"{self.run.sweep}/{self.run.run_id}"

    def facts(self) -> dict[str, Any]:
        """For machines; null is what isn't known."""
        return {
            "run": self.name, "path": str(self.run.path), "status": self.status, "is_comparison": self.is_comparison,
            "search": {"started": self.started, "planned": self.planned}, "num_trials": self.num_trials,
            "counts": self.counts or None, "mark": self.mark, "objective": self.objective,
            "best_trial": self.best_trial, "best_value": self.best_value, "created_at": self.created_at,
            "problems": first_of(self.problems),
        }  # fmt: skip


def first_of(problems: Sequence[str]) -> list[str]:
    """So many as are read; the last one says how many more there are."""
    more = len(problems) - MOST_PROBLEMS
    return [*problems[:MOST_PROBLEMS], *([f"and {more:,} more"] if more > 0 else [])]


def list_runs(as_json: AsJson = False, results: Results = DEFAULT_RESULTS) -> None:
    """List the runs, newest first.

    Search: trials that were started, of those asked for. Trials: all that the run holds, those that measure one again
    included; completed, pruned (stopped early), failed, interrupted (spoilt by the machine) and refused ones (by the
    planner) add up to them. Best: by the run's own objective, so that only those of one sweep compare.

    Keys of --json: run, path, status (finished, exhausted, out_of_time, gpu_hours, session_end, interrupted, running,
    unreadable or unknown), is_comparison, search (started, planned), num_trials, counts (completed, pruned, failed,
    interrupted, refused), mark (emulated, fake, simulated or null), objective, best_trial, best_value, created_at,
    problems. What isn't known is null.

      vbench list
      vbench list --json | jq -r 'select(.status == "interrupted") | .run'
    """
    from vbench.cli.wording import make_console
    from vbench.records.runs import find_runs

    folders = find_runs(results)
    if as_json:
        for folder in folders:
            typer.echo(json.dumps(listed(folder).facts(), ensure_ascii=False))
        return
    if not folders:
        say(f"there are no runs in {results}/: start one with `vbench sweep FILE`")
        return
    console = make_console(sys.stdout, pipe_width=PIPE_WIDTH)
    runs = [listed(folder) for folder in folders]
    console.print(_runs_table(runs, console.width))
    if broken := [run.name for run in runs if run.problems]:
        more = f" and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
        names = ", ".join(broken[:_MOST_NAMED]) + more
        say(f"note: not everything of {names} can be read: `vbench show RUN` says what is missing", is_error=True)


def listed(folder: RunFolder) -> ListedRun:
    """Read a run, as far as it can be read."""
    from vbench.analysis.ranking import best as best_of
    from vbench.analysis.ranking import objective_value
    from vbench.analysis.search_work import count_trials
    from vbench.records.runs import is_comparison
    from vbench.report.contents import read_run

    try:
        contents = read_run(folder)
    except StoreError as error:
        return ListedRun(run=folder, status="unreadable", problems=(str(error),))
    records, objective = contents.result.records, contents.objective
    is_compared = is_comparison(folder)
    winner = None if is_compared else best_of(records, objective)
    mark = mark_in(contents)
    planned, created = contents.run.get("num_trials_planned"), contents.run.get("created_at")
    return ListedRun(
        run=folder,
        status=_status(folder, contents),
        num_trials=len(records),
        counts=_counts(records),
        started=None if is_compared else count_trials(records).started,
        planned=planned if isinstance(planned, int) and not is_compared else None,
        is_comparison=is_compared,
        mark=mark.word if mark else None,
        objective=objective.metric,
        best_trial=winner.trial if winner else None,
        best_value=objective_value(winner, objective) if winner else None,
        created_at=created if isinstance(created, str) else None,
        problems=contents.problems,
    )


def mark_in(contents: RunContents) -> Mark | None:
    """The honest mark of a run; None where its numbers are plain measurements."""
    from vbench.analysis.answer import FAKE_ENGINE
    from vbench.report.marks import mark_of

    records = contents.result.records
    return mark_of(contents, is_fake=any(FAKE_ENGINE in (one.engine.name, one.config.get("engine")) for one in records))


def _counts(records: Sequence[TrialRecord]) -> dict[str, int]:
    from vbench.analysis.search_work import is_refused

    counts = dict.fromkeys(_COUNTS, 0)
    for record in records:
        outcome = str(record.outcome)
        counts[outcome if outcome in counts else "refused" if is_refused(record) else "failed"] += 1
    return counts


def _runs_table(runs: Sequence[ListedRun], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    rows = [_cells(run) for run in runs]
    shown = _with_room(rows, width)
    for heading in shown:
        justify: Literal["left", "right"] = "left" if heading in _TEXT else "right"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading != "Run")
    for cells in rows:
        table.add_row(*(Text(cells[heading]) for heading in shown))
    return table


def _with_room(rows: Sequence[dict[str, str]], width: int) -> list[str]:
    """The columns that fit beside each other; where even the last of them don't, the runs' names are folded."""
    from rich.cells import cell_len

    shown = [name for name in _COLUMNS if name not in _OPTIONAL or any(row[name] not in ("0", MISSING) for row in rows)]
    widths = {name: max(cell_len(name), *(cell_len(row[name]) for row in rows)) + _GAP for name in shown}
    for name in _SPARED:
        if name in shown and sum(widths[one] for one in shown) - _GAP > width:
            shown.remove(name)
    return shown


def _cells(run: ListedRun) -> dict[str, str]:
    from vbench.cli.wording import show_value
    from vbench.report.text import printable

    def shown(number: int | None) -> str:
        return MISSING if number is None else str(number)

    best = show_value(run.objective, run.best_value) if run.objective and run.best_trial is not None else MISSING
    return {
        "Run": printable(run.name),
        "Status": printable(run.status).replace("_", " "),
        "Search": MISSING if run.started is None else f"{run.started}/{'?' if run.planned is None else run.planned}",
        "Trials": shown(run.num_trials),
        **{name.capitalize(): shown(run.counts.get(name)) for name in _COUNTS},
        "Best": f"{best} ({run.mark})" if run.mark and best != MISSING else best,
        "Created (UTC)": printable(run.created_at or MISSING)[:16].replace("T", " "),
    }


def _status(folder: RunFolder, contents: RunContents) -> str:
    """As the run says; but a run that says it is running, and that no process holds, was killed."""
    from vbench.records.lock import holder

    status = str(contents.run.get("status", "unknown"))
    return "interrupted" if status == "running" and holder(folder.lock_path) is None else status
