"""A record of a large run, reduced to bytes and a few values: the first step on its way to a slim one (`slim`), and all
that is sent where another process reads.

Decides what a record may lose: the columns of its requests' latencies, whose values by pass are kept for the metrics
that the run is ranked by; what else the machine did in a phase, where that disturbed nothing; and the answers' tokens.
"""

from __future__ import annotations

import marshal
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from vbench.records.record import EngineFacts, Failure, Pass, Phase, PromptSetFacts, TrialRecord

KEPT_VALUES = "values_by_pass"
"""The extra field of a slim record: by metric, its value in each timed pass (`statistics.pass_values` reads it)."""
Plain = tuple[bytes, bytes]
"""What is alike in many records, marshalled, and the doubles of one."""
_NAN = math.nan
_MOST_EXACT = 1 << 53
ALIKE = ("config", "parameters", "constraint_violations", "hardware", "environment", "warnings", "estimate")
SAME: dict[str, type[BaseModel]] = {"failure": Failure, "engine": EngineFacts, "prompt_set": PromptSetFacts}
OWN = ("schema_version", "trial", "origin", "stopped", "repeat_of", "started_at", "duration_s")


class PlainRecord(NamedTuple):
    """A record, reduced: nothing in it is slow to send to another process."""

    own: tuple[Any, ...]
    outcome: str
    alike: tuple[bytes | None, ...]
    """Marshalled, of `ALIKE` and `SAME`; None where there is nothing."""
    measurements: Plain | dict[str, Any]
    passes: Plain
    phases: Plain | list[Any]
    extra: bytes
    rest: dict[str, Any]
    """What few records have."""


def plain(record: TrialRecord, pass_values: dict[str, list[float]], *, keeps_host: bool) -> PlainRecord:
    """The first step. `pass_values` go into KEPT_VALUES; `keeps_host`: whether the phases keep what else the machine
    did."""
    values = record.__dict__
    extra = dict(record.__pydantic_extra__ or {})
    if pass_values:
        extra[KEPT_VALUES] = pass_values
    rest: dict[str, Any] = {}
    if record.quality is not None:
        rest["quality"] = record.quality.model_copy(update={"greedy": []})
    if record.spoiled is not None:
        rest["spoiled"] = record.spoiled.model_copy(update={"passes": []}), plain_passes(record.spoiled.passes)
    phases = plain_phases(record.phases, keeps_host=keeps_host)
    measured = plain_measurements(record.measurements)
    return PlainRecord(
        own=tuple([values[name] for name in OWN]),
        outcome=record.outcome.value,
        alike=(
            *[marshal.dumps(values[name], 2) if values[name] is not None else None for name in ALIKE],
            *[_plain_model(values[name]) for name in SAME],
        ),
        measurements=record.measurements if measured is None else measured,
        passes=plain_passes(record.passes),
        phases=record.phases if phases is None else phases,
        extra=marshal.dumps(extra, 2),
        rest=rest,
    )


def _plain_model(model: BaseModel | None) -> bytes | None:
    return None if model is None else marshal.dumps((model.__dict__, model.__pydantic_extra__), 2)


def plain_phases(phases: Sequence[Phase], *, keeps_host: bool) -> Plain | None:
    """What phases are packed from; None where a number isn't one that a double holds."""
    own = array("d")
    alike = []
    for one in phases:
        peak = one.peak_memory_bytes
        if peak is not None and abs(peak) >= _MOST_EXACT:
            return None
        alike.append((one.name, one.index, one.host if keeps_host else None, one.gpus))
        own.extend((one.start_s, one.end_s, _NAN if peak is None else peak))
    return marshal.dumps(tuple(alike), 2), own.tobytes()


def plain_passes(passes: Sequence[Pass]) -> Plain:
    """What passes are packed from: of their requests without latencies."""
    own = array("d")
    alike = []
    for one in passes:
        asked = one.requests
        lengths = (asked.input_tokens, asked.output_tokens, asked.asked_tokens)
        alike.append((one.index, one.kind, lengths, one.output_sha256, one.engine_metrics))
        own.extend((one.start_s, one.duration_s))
    return marshal.dumps(tuple(alike), 2), own.tobytes()


def plain_measurements(measured: Mapping[str, Any]) -> Plain | None:
    """What measurements are packed from; None where something is neither a number nor a flat spread of floats."""
    own = array("d")
    places: dict[str, Any] = {}
    for name, value in measured.items():
        if value is None:
            places[name] = None
        elif isinstance(value, dict):
            if any(type(part) is not float for part in value.values()):
                return None
            places[name] = {part: len(own) + place for place, part in enumerate(value)}
            own.extend(value.values())
        elif type(value) is float or (type(value) is int and abs(value) < _MOST_EXACT):
            places[name] = (len(own), type(value) is int)
            own.append(value)
        else:
            return None
    return marshal.dumps(places, 2), own.tobytes()


def doubles(own: bytes) -> array[float]:
    """The second half of a `Plain`."""
    numbers = array("d")
    numbers.frombytes(own)
    return numbers
