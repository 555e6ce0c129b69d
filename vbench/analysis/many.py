"""Runs with very many trials, read so that they fit into memory (`records.slim`).

Decides which records are kept whole: all of a run that isn't large; of a large one the baseline, what measures another
trial again and what it measures, and the best by each objective. The pages of both ways say the same.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vbench.analysis.disturbance import FOREIGN_OF_CROWDED, STEAL_SHARE, THROTTLED_SHARE, disturbances
from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.remeasure import REPEATS
from vbench.analysis.statistics import pass_values
from vbench.errors import Problem
from vbench.records.record import TrialRecord
from vbench.records.slim import Slimmer
from vbench.records.store import ReadResult, RecordStore
from vbench.spec.types import Objective

MANY = 2000
"""Records from which on a run is large: those of fewer take no more than some 50 MB whole."""
NUM_BEST = 100
"""By each objective, that are kept whole."""
_FROM_COUNTS = ("output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s")
"""Metrics whose values by pass a slim record can still compute."""


def read_records(store: RecordStore, objectives: Sequence[Objective], many: int = MANY) -> ReadResult:
    """As `RecordStore.read`; slim where there are more than `many`. Raises StoreError."""
    return _read_slim(store, objectives) if store.num_lines(many + 1) > many else store.read()


def _read_slim(store: RecordStore, objectives: Sequence[Objective]) -> ReadResult:
    metrics = [one.metric for one in objectives if one.metric not in _FROM_COUNTS]
    slimmer = Slimmer(
        lambda record: {metric: values for metric in metrics if (values := pass_values(record, metric))},
        _was_disturbed,
    )
    problems: list[Problem] = []
    records: list[TrialRecord] = []
    offsets = array("Q")
    was_enabled = gc.isenabled()
    gc.disable()  # nothing here makes a cycle, and looking for one among millions of objects takes longer than reading
    try:
        for line in store.each(problems):
            records.append(slimmer.slim(line.record))
            offsets.append(line.offset)
        places = sorted(_kept_whole(records, objectives))
        for place, whole in zip(places, store.at(offsets[place] for place in places), strict=True):
            records[place] = whole
        gc.freeze()  # for the same reason: what was read stays until the end
    finally:
        if was_enabled:
            gc.enable()
    return ReadResult(path=store.path, records=tuple(records), problems=tuple(problems))


def _was_disturbed(record: TrialRecord) -> bool:
    return any(one.gpus or _is_suspect(one.host) for one in record.phases) and bool(disturbances(record))


def _is_suspect(host: Mapping[str, Any] | None) -> bool:
    """Whether a phase's figures could disturb; soon seen of most, as a mean over phases isn't above the highest."""
    if not host:
        return False
    try:
        return bool(
            host["foreign_cores"] > FOREIGN_OF_CROWDED * host["cpus"]
            or host["steal_share"] > STEAL_SHARE
            or host["throttled_share"] > THROTTLED_SHARE
        )
    except (KeyError, TypeError):  # not told, or of another version: to be looked at with care
        return True


def _kept_whole(records: Sequence[TrialRecord], objectives: Iterable[Objective]) -> set[int]:
    """Their places."""
    again = {one.repeat_of for one in records if one.repeat_of is not None}
    kept = {
        place
        for place, one in enumerate(records)
        if one.origin == "baseline" or one.origin in REPEATS or one.trial in again
    }
    for objective in objectives:
        sign = -1 if objective.direction == "maximize" else 1
        found = [
            (sign * value, place)
            for place, one in enumerate(records)
            if is_rankable(one, objective) and (value := objective_value(one, objective)) is not None
        ]
        kept |= {place for _, place in sorted(found)[:NUM_BEST]}
    return kept
