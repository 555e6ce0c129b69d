"""`vbench list`: the runs, and how each stands."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vbench.cli.options import DEFAULT_RESULTS, FLAG, Results
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
_COUNTS = ("completed", "pruned", "failed", "refused")
"""Each trial is in one of them. Refused: by the planner, without a start."""
_WIDTHS = {
    "Run": 0, "Status": 0, "Search": 100, "Trials": 60, "Completed": 60, "Pruned": 100, "Failed": 70, "Refused": 100,
    "Best": 0, "Created (UTC)": 110,
}  # fmt: skip
"""The columns, each with the width from which there is room for it; the date is also in the run's id."""
_OPTIONAL = ("Pruned", "Failed", "Refused")
"""Left out where no run has any."""


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
        }  # fmt: skip


def list_runs(as_json: AsJson = False, results: Results = DEFAULT_RESULTS) -> None:
    """List the runs, newest first.

    Search: trials that were started, of those asked for. Trials: all that the run holds, those that measure one again
    included; completed, pruned (stopped early), failed and refused (by the planner) ones add up to them.

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
        typer.echo(f"there are no runs in {results}/: start one with `vbench sweep FILE`")
        return
    console = make_console(sys.stdout, pipe_width=PIPE_WIDTH)
    console.print(_runs_table([listed(folder) for folder in folders], console.width))


def listed(folder: RunFolder) -> ListedRun:
    """Read a run, as far as it can be read."""
    from vbench.analysis.ranking import best as best_of
    from vbench.analysis.ranking import objective_value
    from vbench.analysis.search_work import count_trials
    from vbench.records.runs import is_comparison
    from vbench.report.contents import read_run

    try:
        contents = read_run(folder)
    except StoreError:
        return ListedRun(run=folder, status="unreadable")
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
    shown = [
        heading
        for heading, least in _WIDTHS.items()
        if width >= least and (heading not in _OPTIONAL or any(one.counts.get(heading.lower()) for one in runs))
    ]
    for heading in shown:
        is_text = heading in ("Run", "Status", "Created (UTC)")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold", no_wrap=heading != "Run")
    table.columns[0].min_width = 16
    for run in runs:
        cells = _cells(run)
        table.add_row(*(Text(cells[heading]) for heading in shown))
    return table


def _cells(run: ListedRun) -> dict[str, str]:
    from vbench.cli.wording import show_value
    from vbench.report.text import MISSING, printable

    def shown(number: int | None) -> str:
        return MISSING if number is None else str(number)

    best = show_value(run.objective, run.best_value) if run.objective and run.best_trial is not None else MISSING
    return {
        "Run": printable(run.name),
        "Status": printable(run.status),
        "Search": MISSING if run.started is None else f"{run.started}/{'?' if run.planned is None else run.planned}",
        "Trials": shown(run.num_trials),
        **{name.capitalize(): shown(run.counts.get(name)) for name in _COUNTS},
        "Best": f"{best} ({run.mark})" if run.mark and best != MISSING else best,
        "Created (UTC)": printable(run.created_at or MISSING)[:16].replace("T", " "),
    }


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
