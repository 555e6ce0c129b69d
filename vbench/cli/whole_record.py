"""A record with all that it holds: of a large run not all of it was kept in memory."""

from __future__ import annotations

from pathlib import Path

from vbench.records.record import TrialRecord


def whole_record(path: Path, record: TrialRecord) -> TrialRecord:
    """As it is stored in that file. Raises StoreError."""
    from vbench.analysis.many import MANY
    from vbench.records.store import RecordStore

    store = RecordStore(path)
    if store.num_lines(MANY + 1) <= MANY:
        return record
    return next((line.record for line in store.each([]) if line.record.trial == record.trial), record)
