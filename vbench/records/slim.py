"""Records of runs with very many trials, made small enough that all of them fit into memory together.

What many records have alike they share. No number that a report shows may change by what a record loses (`plain`): what
is shown with more than a slim one keeps (the best, the baseline, finals) is read whole.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from vbench.outcome import Outcome
from vbench.records.packed import Layout, PackedMeasurements, PackedPasses, PackedPhases
from vbench.records.plain import ALIKE, OWN, SAME, Plain, PlainRecord, doubles
from vbench.records.record import Quality, Requests, Spoiled, TrialRecord

_Model = TypeVar("_Model", bound=BaseModel)
_NOTHING: dict[str, Any] = {}
_ORDER = tuple(TrialRecord.model_fields)
_set = object.__setattr__  # records are frozen, for everyone but their maker


class Slimmer:
    """Makes records of reduced ones. One for a run: it knows what its records had in common so far."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    def slim(self, one: PlainRecord) -> TrialRecord:
        """The record, as small as it gets."""
        values: dict[str, Any] = dict(zip(OWN, one.own, strict=True))
        values["outcome"] = Outcome(one.outcome)
        for name, data in zip((*ALIKE, *SAME), one.alike, strict=True):
            values[name] = None if data is None else self._once(data, _MAKERS.get(name, _loads))
        if isinstance(one.measurements, dict):
            values["measurements"] = one.measurements
        else:
            layout = self._once(one.measurements[0], _layout)
            values["measurements"] = PackedMeasurements(layout, doubles(one.measurements[1]))
        values["passes"] = self._passes(one.passes)
        values["phases"] = one.phases
        if isinstance(one.phases, tuple):
            values["phases"] = PackedPhases(self._once(one.phases[0], _phases), doubles(one.phases[1]))
        quality, spoiled = one.rest.get("quality"), one.rest.get("spoiled")
        values["quality"] = None if quality is None else _light(Quality, quality.__dict__, quality.model_extra)
        values["spoiled"] = None
        if spoiled is not None:
            whole, passes = spoiled
            values["spoiled"] = _light(Spoiled, {**whole.__dict__, "passes": self._passes(passes)}, whole.model_extra)
        extra: dict[str, Any] = _loads(one.extra)
        return _light(TrialRecord, {name: values[name] for name in _ORDER}, extra)

    def _passes(self, passes: Plain) -> PackedPasses:
        return PackedPasses(self._once(passes[0], self._alike_passes), doubles(passes[1]))

    def _alike_passes(self, data: bytes) -> tuple[Any, ...]:
        return tuple(
            (index, kind, self._again(lengths, _requests), digest, self._again(counted, _loads))
            for index, kind, lengths, digest, counted in _loads(data)
        )

    def _again(self, value: Any, make: Callable[[bytes], Any]) -> Any:
        return self._once(marshal.dumps(value, 2), make)

    def _once(self, data: bytes, make: Callable[[bytes], Any]) -> Any:
        """What is made of these bytes; made of the first that were the same, to the type of each number."""
        key = hash((make, data))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = make(data)
        return found


def _loads(data: bytes) -> Any:
    return _same_keys(marshal.loads(data))  # noqa: S302 -- what `plain` wrote, in this process or a copy of it


def _same_keys(value: Any) -> Any:
    """The value, in which each key is the same text wherever it occurs: else they take half of what records take."""
    if isinstance(value, dict):
        return {sys.intern(key) if type(key) is str else key: _same_keys(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_same_keys, value))
    return value


def _layout(data: bytes) -> Layout:
    return Layout(_loads(data))


def _phases(data: bytes) -> tuple[Any, ...]:
    found: tuple[Any, ...] = _loads(data)
    return found


def _requests(data: bytes) -> Requests:
    given, made, asked = _loads(data)
    lengths = {"input_tokens": given, "output_tokens": made, "asked_tokens": asked}
    return _light(Requests, {**_EMPTY_REQUESTS, **lengths}, {})


def _model(kind: type[_Model]) -> Callable[[bytes], _Model]:
    def make(data: bytes) -> _Model:
        values, extra = _loads(data)
        return _light(kind, values, extra)

    return make


_MAKERS: dict[str, Callable[[bytes], Any]] = {name: _model(kind) for name, kind in SAME.items()}
_EMPTY_REQUESTS: dict[str, Any] = dict.fromkeys(Requests.model_fields)


def _light(kind: type[_Model], values: dict[str, Any], extra: dict[str, Any] | None) -> _Model:
    """A model that wasn't checked again and that holds little besides its values.

    Attributes that are set one by one, in one order, are stored without a dict of their own; the set of given fields,
    which nothing here asks for, is that of the class.
    """
    made = kind.__new__(kind)
    for name, value in values.items():
        _set(made, name, value)
    _set(made, "__pydantic_extra__", extra or _NOTHING)
    _set(made, "__pydantic_fields_set__", _all_fields(kind))
    _set(made, "__pydantic_private__", None)
    return made


_FIELDS: dict[type[BaseModel], set[str]] = {}


def _all_fields(kind: type[BaseModel]) -> set[str]:
    found = _FIELDS.get(kind)
    if found is None:
        found = _FIELDS[kind] = set(kind.model_fields)
    return found
