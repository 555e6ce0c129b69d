"""A subject without files, for tests of sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder
from vbench.records.store import ReadResult
from vbench.report.contents import DEFAULT_OBJECTIVE, RunContents
from vbench.report.subject import Subject


def make_subject(records: Sequence[TrialRecord], *, machine: dict[str, Any] | None = None, **run: Any) -> Subject:
    """As if the records had been read, of a sweep for throughput."""
    folder = RunFolder(Path("results/demo/20261103-093000"))
    read = ReadResult(path=folder.trials_jsonl, records=tuple(records))
    contents = RunContents(
        result=read, run=run, machine=machine or {}, sweep_yaml="",
        objective=DEFAULT_OBJECTIVE, more_objectives=(), sessions=(), problems=(),
    )  # fmt: skip
    return Subject(folder=folder, contents=contents)
