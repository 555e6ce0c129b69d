"""What a run cost, session by session: `ledger.jsonl`, a line for each sitting, kept by the budget and read by anyone.

The current session's line is rewritten, with the whole small file, as trials end. A session that was killed leaves its
line as it stood: what it doesn't have yet is taken from the records of that session's trials, so that nothing is lost
or counted twice. A run of before there was a ledger costs what its records say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from vbench.errors import StoreError
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, write_bytes_atomic
from vbench.records.store import RecordStore

_GPU_COUNTS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "replicas")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    """One sitting. Seconds; `gpu_s` are trials' seconds times the GPUs that each took (1 on a CPU)."""

    session: int
    """Counts from 1; 0 is what a run had behind it when its ledger began."""
    started_at: str
    """UTC, ISO 8601; a label, like `ended_at`."""
    ended_at: str | None = None
    """None while it lasts, and for ever where it was killed."""
    wall_s: float = 0.0
    engine_s: float = 0.0
    """Of trials, from a worker's start to a clean machine."""
    gpu_s: float = 0.0
    trials: int = 0
    """That were started; those that the planner refused don't count."""
    records: int = 0
    """Written by the session, refused ones among them: how far this line has counted."""
    first_trial: int = 0
    """Number of the session's first trial: whose records are its own."""
    status: str = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Over all sessions of a run."""

    sessions: int
    trials: int
    wall_s: float
    engine_s: float
    gpu_s: float

    @property
    def gpu_hours(self) -> float:
        """What `--gpu-hours` is held against."""
        return self.gpu_s / 3600


def gpus_of(config: Mapping[str, Any]) -> int:
    """GPUs that a configuration takes: tensor × pipeline × data parallel × replicas, at least 1.

    >>> gpus_of({"tensor_parallel_size": 2, "replicas": 2}), gpus_of({})
    (4, 1)
    """
    counts = [config.get(name) for name in _GPU_COUNTS]
    return math.prod(one for one in counts if isinstance(one, int) and not isinstance(one, bool) and one > 0)


def gpus_of_record(record: TrialRecord) -> int:
    """GPUs that a trial took; 1 where it ran on a CPU, whatever its configuration says."""
    return gpus_of(record.config) if record.hardware.get("gpus") else 1


def read(run: RunFolder) -> list[SessionLine]:
    """The sessions so far, oldest first. A line that can't be read is left out: its trials' costs are then counted from
    their records. Raises StoreError when the file is there and can't be opened."""
    try:
        text = run.ledger_jsonl.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{run.ledger_jsonl} can't be read: {error.strerror or error}") from error
    lines = [line for line in map(_decode, text.splitlines()) if line is not None]
    return sorted(lines, key=lambda line: line.session)


def write(run: RunFolder, lines: Iterable[SessionLine]) -> None:
    """Replace the ledger. Raises StoreError and leaves the old one."""
    text = "".join(json.dumps(_encoded(line), ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    write_bytes_atomic(run.ledger_jsonl, text.encode("utf-8", "replace"))


def made_up(lines: Sequence[SessionLine], records: Sequence[TrialRecord]) -> list[SessionLine]:
    """The lines with what killed sessions didn't get to write: each adds those of its own records, in the file's order,
    that come after the ones it had counted. Records of before the first line make a session 0."""
    ordered = sorted(lines, key=lambda line: line.session)
    firsts = [line.first_trial for line in ordered]
    whole: list[SessionLine] = []
    before = [record for record in records if not firsts or record.trial < firsts[0]]
    if before and not (ordered and ordered[0].session == 0):
        whole.append(_plus(SessionLine(session=0, started_at=before[0].started_at, status="earlier"), before))
    for line, end in zip(ordered, [*firsts[1:], math.inf], strict=False):
        own = [record for record in records if line.first_trial <= record.trial < end]
        whole.append(_plus(line, own[line.records :]))
    return whole


def totals(run: RunFolder, records: Sequence[TrialRecord] | None = None) -> Totals:
    """What the run cost so far. `records` None reads the run's. Raises StoreError when these can't be opened."""
    if records is None:
        records = RecordStore(run.trials_jsonl).read().records
    return sum_of(made_up(read(run), records))


def sum_of(lines: Sequence[SessionLine]) -> Totals:
    """The lines added up."""
    return Totals(
        sessions=len(lines),
        trials=sum(line.trials for line in lines),
        wall_s=sum(line.wall_s for line in lines),
        engine_s=sum(line.engine_s for line in lines),
        gpu_s=sum(line.gpu_s for line in lines),
    )


def is_started(record: TrialRecord) -> bool:
    """Whether anything was started for the trial: the planner's refusals took no time at all."""
    return record.duration_s is not None


def now_label(wall: float) -> str:
    """An epoch time as the ledger writes it."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")


def _plus(line: SessionLine, records: Sequence[TrialRecord]) -> SessionLine:
    if not records:
        return line
    seconds = [record.duration_s or 0.0 for record in records]
    return replace(
        line,
        wall_s=line.wall_s + sum(seconds),
        engine_s=line.engine_s + sum(seconds),
        gpu_s=line.gpu_s + sum(one * gpus_of_record(record) for one, record in zip(seconds, records, strict=True)),
        trials=line.trials + sum(map(is_started, records)),
        records=line.records + len(records),
    )


def _encoded(line: SessionLine) -> dict[str, Any]:
    return {name: round(one, 6) if isinstance(one, float) else one for name, one in asdict(line).items()}


def _decode(text: str) -> SessionLine | None:
    try:
        data = json.loads(text)
        known = {one.name: data[one.name] for one in fields(SessionLine) if one.name in data}
        line = SessionLine(**known)
        numbers = (line.wall_s, line.engine_s, line.gpu_s, line.trials, line.records, line.first_trial, line.session)
        is_sound = all(math.isfinite(number) and number >= 0 for number in numbers)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return line if is_sound else None
