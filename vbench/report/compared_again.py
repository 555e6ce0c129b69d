"""A comparison's run (`vbench compare --again`), read: its two sides, and the pairs that were measured in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vbench.analysis.comparability import Side
from vbench.analysis.comparison import RecordPair
from vbench.analysis.ranking import remeasured
from vbench.errors import UsageError
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.report.contents import RunContents, read_run
from vbench.sweep.comparing import SIDES, pairs_of_records, side_of


def read_comparison(folder: RunFolder) -> tuple[Side, Side, list[RecordPair]]:
    """Both sides, each with the passes of all its trials in whole pairs, and the pairs. Raises UsageError while
    there is no whole pair, StoreError when the run can't be read."""
    contents = read_run(folder)
    pairs = pairs_of_records(contents.result.records)
    if not pairs:
        raise UsageError(f"{folder.sweep}/{folder.run_id}: {_why_none(contents.result.records)}")
    a = _side(folder, contents, "A", [one for one, _ in pairs])
    b = _side(folder, contents, "B", [one for _, one in pairs])
    return a, b, pairs


def _why_none(records: Sequence[TrialRecord]) -> str:
    for record in records:
        turn = side_of(record)
        if turn is not None and record.failure is not None:
            return f"no pair was measured: {turn[0]} failed ({record.failure.failure_class}): {record.failure.evidence}"
    return "no pair was measured yet: give the command that began it again"


def _side(folder: RunFolder, contents: RunContents, letter: str, measured: Sequence[TrialRecord]) -> Side:
    target = contents.run.get("target")
    return Side(
        name=_title(contents, letter) or f"{folder.sweep}/{folder.run_id}, {letter}",
        run=str(folder.path.resolve()),
        record=_pooled(measured),
        records=contents.result.records,
        objective=contents.objective,
        machine=contents.machine,
        is_emulated=isinstance(target, dict) and bool(target.get("is_emulated")),
    )


def _title(contents: RunContents, letter: str) -> str | None:
    sides = contents.run.get("sides")
    side: Any = sides.get(letter) if isinstance(sides, Mapping) else None
    title = side.get("title") if isinstance(side, Mapping) else None
    return title if isinstance(title, str) and letter in SIDES else None


def _pooled(measured: Sequence[TrialRecord]) -> TrialRecord:
    """One record with the timed passes of all, as a finalist stands with those of its finals."""
    first = measured[0]
    finals = [one.model_copy(update={"origin": "final", "repeat_of": first.trial}) for one in measured]
    (found,) = remeasured([first.model_copy(update={"origin": "run"}), *finals])
    return found
