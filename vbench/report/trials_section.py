"""Every trial in one table, or as many as a page can carry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vbench.analysis.headroom import headroom_bytes
from vbench.analysis.ranking import ranked
from vbench.records.record import TrialRecord
from vbench.report.blocks import Grid, Prose, Section, blocks_of
from vbench.report.subject import Subject
from vbench.report.trials_table import trials_table, uses_ranges
from vbench.spec.types import Objective

MAX_TABLE_ROWS = 2_000
NUM_BEST_ROWS = 1_500
"""Of a table that is cut: as many of the best; the rest of its rows are spread evenly over all the others."""

_INTERVAL = (
    "The interval is from the smallest to the largest timed pass; from 5 passes on, a 95% bootstrap interval of their "
    "median."
)
_RANGE = "The interval is from the smallest to the largest timed pass."
_REST = "– is what wasn’t measured. The same in full precision: trials.csv and trials.parquet."
_FINALS = "Finalists stand here with their first measurements; their finals are trials of their own."


def trials_section(subject: Subject) -> Section | None:
    """None where nothing was tried."""
    records = subject.records
    if not records:
        return None
    shown = rows_to_show(records, subject.answer.objective, order=subject.order)
    table = trials_table(
        shown,
        subject.answer,
        [effect.name for effect in subject.effects],
        headroom=partial(headroom_bytes, facts=subject.contents),
        runs=subject.runs,
    )
    notes = [_RANGE if uses_ranges(shown) else _INTERVAL, _REST]
    if any(record.origin == "final" for record in records):
        notes.append(_FINALS)
    blocks = blocks_of(
        Prose(_left_out(len(shown), len(records)), "aside") if len(shown) < len(records) else None,
        Grid(table, "All trials" if len(shown) == len(records) else "Trials", "trials", is_interactive=True),
        Prose(" ".join(notes), "muted"),
    )
    return Section("trials", "All trials", blocks)


def _left_out(num_shown: int, num_all: int) -> str:
    return (
        f"{num_shown:,} of {num_all:,} trials: the baseline, the finals, the best, and an even sample of the others. "
        f"The {num_all - num_shown:,} that are left out stand in trials.csv and trials.parquet."
    )


def rows_to_show(
    records: Sequence[TrialRecord],
    objective: Objective,
    limit: int = MAX_TABLE_ROWS,
    order: Sequence[TrialRecord] | None = None,
) -> list[TrialRecord]:
    """All where they fit; else the baseline, finals and references, the best, and a sample of the others that is spread
    evenly over the run, whatever became of them. `order`: the trials as `ranked`, where they were."""
    if len(records) <= limit:
        return list(records)
    kept = {record.trial for record in records if record.origin in ("baseline", "final", "reference")}
    if len(kept) > limit // 2:
        kept = set(sorted(kept)[: limit // 2])
    num_best = limit * NUM_BEST_ROWS // MAX_TABLE_ROWS
    order = ranked(records, objective) if order is None else order
    kept |= {record.trial for record in order[: min(num_best, limit - len(kept))]}
    others = [record for record in records if record.trial not in kept]
    free = limit - len(kept)
    kept |= {others[index * len(others) // free].trial for index in range(free)}
    return [record for record in records if record.trial in kept]
