"""One line of a `trials.jsonl` as a record, or the reason why it isn't one.

Two ways that come to the same. The quick one lets pydantic read the bytes. It is kinder than it may be, to NaN, to
Infinity, to 1e999, which no writer of this project makes; and its errors name no column. So what looks odd, and
whatever it refuses, is read by the careful way, whose word counts.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from pydantic import ValidationError

from vbench.records.record import SCHEMA_VERSION, TrialRecord

_HUGE = (re.compile(rb"e\+?[0-9]{3,}[\s,\]}]"), re.compile(rb"E\+?[0-9]{3,}[\s,\]}]"))
"""A number that may be beyond what a float can hold. Each starts with a plain letter, which is searched for quickly."""
_MOST_TRIALS = 10**9
_STRIDE = 30
_LONG = re.compile(rb"[0-9]{9}")
"""In every 30th byte of a line: so many digits in a row are there wherever a number has 300."""


class UnreadableLine(Exception):
    """Why a line isn't a record that this version can read. `trial`: whose it is, where it is a sound one of a newer
    version; else -1."""

    def __init__(self, reason: str, trial: int = -1) -> None:
        super().__init__(reason)
        self.trial = trial


def decode_line(line: bytes) -> TrialRecord:
    """The record of one line. Raises UnreadableLine with the reason, as part of a sentence."""
    if not _looks_odd(line):
        try:
            record = TrialRecord.model_validate_json(line)
        except ValidationError:
            return decode_carefully(line)
        if record.schema_version <= SCHEMA_VERSION:
            return record
    return decode_carefully(line)


def decode_carefully(line: bytes) -> TrialRecord:
    """The same at a fifth of the speed, whatever the line holds."""
    try:
        data = json.loads(line, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise UnreadableLine(f"not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise UnreadableLine("not a record: a JSON object is expected")
    version = data.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        trial = data.get("trial")
        raise UnreadableLine(
            f"written by a newer vbench (schema {version}, this one reads up to {SCHEMA_VERSION})",
            trial if type(trial) is int and 0 <= trial < _MOST_TRIALS else -1,
        )
    try:
        return TrialRecord.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnreadableLine(f"not a record: {where}: {first['msg']}") from error


def _looks_odd(line: bytes) -> bool:
    """Whether a number of it may be none; also where only a text looks like that."""
    return (
        b"NaN" in line
        or b"Infinity" in line
        or _HUGE[0].search(line) is not None
        or _HUGE[1].search(line) is not None
        or _LONG.search(line[::_STRIDE]) is not None
    )


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond what a number can hold")
    return value
