"""What `vbench compare` is given, read: `RUN`, `RUN:3`, `RUN:baseline` or `RUN:best`."""

from __future__ import annotations

from pathlib import Path

from vbench.analysis import ranking
from vbench.analysis.comparability import Side
from vbench.analysis.remeasure import standing
from vbench.errors import UsageError
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, find_runs, resolve_run
from vbench.report.contents import RunContents, read_run

_WORDS = ("best", "baseline")


def read_side(results: Path, text: str) -> Side:
    """The trial that is meant: of a run alone its best. A run is named as everywhere (`records.runs.resolve_run`).

    A finalist comes with its finals' passes; a repeat may be named by its own number. Raises UsageError for a run or a
    trial that isn't there, StoreError when the run can't be read.
    """
    run, which = split(text)
    folder = _folder(results, run)
    contents = read_run(folder)
    name = f"{folder.sweep}/{folder.run_id}"
    record = _chosen(contents, which, name)
    target = contents.run.get("target")
    return Side(
        name=f"{name}:{record.trial}",
        run=str(folder.path.resolve()),
        record=record,
        records=contents.result.records,
        objective=contents.objective,
        machine=contents.machine,
        is_emulated=isinstance(target, dict) and bool(target.get("is_emulated")),
    )


def split(text: str) -> tuple[str, str]:
    """The run and the trial of it.

    >>> split("demo"), split("demo:3"), split("demo/20261121-113655:baseline"), split(":7"), split("odd:name")
    (('demo', 'best'), ('demo', '3'), ('demo/20261121-113655', 'baseline'), ('', '7'), ('odd:name', 'best'))
    """
    run, colon, which = text.rpartition(":")
    if colon and (which in _WORDS or (which.isascii() and which.isdigit())):
        return run, which
    return text, "best"


def _folder(results: Path, text: str) -> RunFolder:
    try:
        return resolve_run(results, text)
    except UsageError as error:
        if Path(text).is_file():
            raise UsageError(f"{text} is a file, not a run: with --again a sweep file is measured") from error
        run, _, which = text.rpartition(":")
        if not run or not any(
            run in {one.sweep, f"{one.sweep}/{one.run_id}", one.run_id} for one in find_runs(results)
        ):
            raise
        raise UsageError(
            f"{text}: after the colon goes a trial's number, `best` or `baseline`; {which!r} is none of these"
        ) from error


def _chosen(contents: RunContents, which: str, name: str) -> TrialRecord:
    records = contents.result.records
    if which == "best":
        winner = ranking.best(records, contents.objective)
        if winner is None:
            raise UsageError(f"{name} has no best trial, as none completed within its constraints: see `vbench show`")
        return winner
    if which == "baseline":
        baseline = ranking.baseline_of(records)
        if baseline is None:
            raise UsageError(f"{name} has no baseline: name a trial by its number, such as {name}:0")
        return baseline
    number = int(which)
    again = [one for one in standing(records) if one.trial == number and one.passes]
    found = next((one for one in (*again, *records) if one.trial == number), None)
    if found is None:
        numbers = sorted(one.trial for one in records)
        there = f"it has trials {numbers[0]} to {numbers[-1]}" if numbers else "none has ended yet"
        raise UsageError(f"{name} has no trial {number}: {there}")
    return found
