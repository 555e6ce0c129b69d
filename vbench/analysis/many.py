"""Runs with very many trials, read so that they fit into memory (`records.slim`).

Decides which records are kept whole: all of a run that isn't large; of a large one the baseline, what measures another
trial again and what it measures, and the best by each objective. The pages of both ways say the same.
"""

from __future__ import annotations

import gc
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from vbench.analysis.disturbance import FOREIGN_OF_CROWDED, STEAL_SHARE, THROTTLED_SHARE, disturbances
from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.remeasure import REPEATS
from vbench.analysis.statistics import pass_values
from vbench.errors import Problem
from vbench.records.parts import Decoded, decoded, parts_of, read_part
from vbench.records.plain import PlainRecord, plain
from vbench.records.record import TrialRecord
from vbench.records.slim import Slimmer
from vbench.records.store import ReadResult, RecordStore
from vbench.spec.types import Objective

MANY = 2000
"""Records from which on a run is large: those of fewer take no more than some 50 MB whole."""
NUM_BEST = 100
"""By each objective, that are kept whole."""
_AHEAD = 8
"""Parts of a file that are read, or wait to be taken, at one time: all of them would take more than the records."""
_FROM_COUNTS = ("output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s")
"""Metrics whose values by pass a slim record can still compute."""


def read_records(
    store: RecordStore, objectives: Sequence[Objective], many: int = MANY, pool: Executor | None = None
) -> ReadResult:
    """As `RecordStore.read`; slim where there are more than `many`. `pool`: processes that may read parts of the file.
    Raises StoreError."""
    if store.num_lines(many + 1) <= many:
        return store.read()
    was_enabled = gc.isenabled()
    gc.disable()  # nothing here makes a cycle, and looking for one among millions of objects takes longer than reading
    try:
        result = _read_slim(store, objectives, pool)
        gc.freeze()  # for the same reason: what was read stays until the end
    finally:
        if was_enabled:
            gc.enable()
    return result


def _read_slim(store: RecordStore, objectives: Sequence[Objective], pool: Executor | None) -> ReadResult:
    make = partial(_reduced, tuple(one.metric for one in objectives if one.metric not in _FROM_COUNTS))
    slimmer = Slimmer()
    problems: list[Problem] = []
    records: list[TrialRecord] = []
    offsets = array("Q")
    try:
        for line in store.each(problems, _lines(store.path, make, pool)):
            records.append(slimmer.slim(line.record))
            offsets.append(line.offset)
    except BrokenExecutor:  # one of them was killed: what it was at isn't lost
        return _read_slim(store, objectives, None)
    places = sorted(_kept_whole(records, objectives))
    for place, whole in zip(places, store.at(offsets[place] for place in places), strict=True):
        records[place] = whole
    return ReadResult(path=store.path, records=tuple(records), problems=tuple(problems))


def _lines(path: Path, make: Callable[[TrialRecord], PlainRecord], pool: Executor | None) -> Iterator[Decoded]:
    """All of a file's, in order, the records reduced; read in parts where there are others to read them."""
    if pool is None:
        for one in decoded(path):
            yield one if one.record is None else one._replace(record=make(one.record))
        return
    parts = iter(parts_of(path))
    begun = deque(pool.submit(read_part, path, *part, make) for part in islice(parts, _AHEAD))
    before = 0
    while begun:
        found = begun.popleft().result()
        begun.extend(pool.submit(read_part, path, *part, make) for part in islice(parts, 1))
        yield from (one._replace(number=one.number + before) for one in found.lines)
        before += found.num_lines


def _reduced(metrics: Sequence[str], record: TrialRecord) -> PlainRecord:
    values = {metric: values for metric in metrics if (values := pass_values(record, metric))}
    return plain(record, values, keeps_host=_was_disturbed(record))


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
