"""Trials of several runs in one list: numbered so that no two are alike, each with the run that it came from.

A trial keeps its own number in the last digits: trial 7 of a run whose numbers begin at 30 is trial 37 here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vbench.records.record import TrialRecord

_RUN = "run"
_OWN = "trial_in_run"
_OWN_ORIGIN = "origin_in_run"
_NAMED = re.compile(r"\btrial (\d{1,9})\b", re.ASCII)
"""As warnings name another trial of their run."""


class Origin(NamedTuple):
    """Where a record of several runs came from."""

    run: str
    """`demo/20261121-172808`."""
    trial: int
    """Its number there."""


def origin_of(record: TrialRecord) -> Origin | None:
    """None of a record that wasn't merged with those of other runs.

    >>> from vbench.records.record import TrialRecord
    >>> origin_of(TrialRecord.model_construct(trial=3)) is None
    True
    """
    more = record.__pydantic_extra__  # what `model_extra` gives, at a tenth of its time
    if not more:
        return None
    run, own = more.get(_RUN), more.get(_OWN)
    return Origin(run, own) if isinstance(run, str) and isinstance(own, int) else None


def origin_in_run(record: TrialRecord) -> str:
    """What a trial was for in its own run: on a page of several there is one baseline, and the others are trials."""
    more = record.__pydantic_extra__
    found = more.get(_OWN_ORIGIN) if more else None
    return found if isinstance(found, str) else record.origin


def as_any_trial(record: TrialRecord) -> TrialRecord:
    """A run's baseline as one of the trials that another run's baseline is there for."""
    return record.model_copy(update={"origin": "search", _OWN_ORIGIN: record.origin})


def first_numbers(highest: Sequence[int]) -> list[int]:
    """What to add to each run's trial numbers, given its highest (-1: it has none), so that none occur twice.

    >>> first_numbers([20, 39, 3])  # the second's trial 7 becomes 37
    [0, 30, 70]
    """
    step = 10 ** max(1, len(str(max(highest, default=0))) - 1)
    firsts: list[int] = []
    start = 0
    for last in highest:
        firsts.append(start)
        start += (max(last, 0) // step + 1) * step
    return firsts


def moved(records: Iterable[TrialRecord], add: int, run: str) -> list[TrialRecord]:
    """The records under their numbers beside other runs', in all places that name a trial."""
    return [_moved(record, add, run) for record in records]


def _moved(record: TrialRecord, add: int, run: str) -> TrialRecord:
    changes: dict[str, object] = {"trial": record.trial + add, _RUN: run, _OWN: record.trial}
    if record.repeat_of is not None:
        changes["repeat_of"] = record.repeat_of + add
    if record.stopped is not None:
        incumbent = record.stopped.incumbent_trial + add
        changes["stopped"] = record.stopped.model_copy(update={"incumbent_trial": incumbent})
    quality = record.quality
    if quality is not None and quality.reference_trial is not None:
        changes["quality"] = quality.model_copy(update={"reference_trial": quality.reference_trial + add})
    if add and any(_NAMED.search(text) for text in record.warnings):
        changes["warnings"] = [
            _NAMED.sub(lambda found: f"trial {int(found[1]) + add}", text) for text in record.warnings
        ]
    return record.model_copy(update=changes)
