"""Records of runs with very many trials, made small enough that all of them fit into memory together.

Decides what a record may lose: the columns of its requests' latencies, whose values by pass are kept for the metrics
that the run is ranked by; what else the machine did in a phase, where that disturbed nothing; and the answers' tokens.
What many records have alike they share. No number that a report shows may change by that: what is shown with more than
a record keeps (the best, the baseline, finals) is read whole.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from vbench.records.packed import Layout, pack_measurements, pack_passes, pack_phases
from vbench.records.record import Quality, Requests, Spoiled, TrialRecord

KEPT_VALUES = "values_by_pass"
"""The extra field of a slim record: by metric, its value in each timed pass (`statistics.pass_values` reads it)."""
_Model = TypeVar("_Model", bound=BaseModel)
_NOTHING: dict[str, Any] = {}
_ALIKE = ("config", "parameters", "constraint_violations", "hardware", "environment", "warnings", "estimate")
_set = object.__setattr__  # records are frozen, for everyone but their maker


class Slimmer:
    """Makes records small. One for a run: it knows what its records had in common so far.

    `pass_values(record)` gives what goes into KEPT_VALUES; `was_disturbed(record)` says whether the record's phases
    keep what else the machine did.
    """

    def __init__(
        self,
        pass_values: Callable[[TrialRecord], dict[str, list[float]]],
        was_disturbed: Callable[[TrialRecord], bool],
    ) -> None:
        self._pass_values = pass_values
        self._was_disturbed = was_disturbed
        self._known: dict[int, Any] = {}

    def slim(self, record: TrialRecord) -> TrialRecord:
        """The record, as small as it gets."""
        values = dict(record.__dict__)
        keeps_host = self._was_disturbed(record)
        extra = dict(record.__pydantic_extra__ or {})
        if kept := self._pass_values(record):
            extra[KEPT_VALUES] = kept
        for name in _ALIKE:
            values[name] = self._shared(values[name])
        values["measurements"] = pack_measurements(record.measurements, self._layout)
        values["passes"] = pack_passes(record.passes, self._shared, self._requests)
        values["phases"] = pack_phases(record.phases, self._shared, keeps_host=keeps_host)
        values["engine"] = self._same(record.engine)
        values["prompt_set"] = self._same(record.prompt_set)
        if record.failure is not None:
            values["failure"] = self._same(record.failure)
        if record.quality is not None:
            values["quality"] = _light(Quality, {**record.quality.__dict__, "greedy": []}, record.quality)
        if record.spoiled is not None:
            passes = pack_passes(record.spoiled.passes, self._shared, self._requests)
            values["spoiled"] = _light(Spoiled, {**record.spoiled.__dict__, "passes": passes}, record.spoiled)
        return _light(TrialRecord, values, record, extra)

    def _requests(self, requests: Requests) -> Requests:
        lengths = (requests.input_tokens, requests.output_tokens, requests.asked_tokens)
        key = hash(marshal.dumps(lengths, 2))
        known = self._known.get(key)
        if known is None:
            names = ("input_tokens", "output_tokens", "asked_tokens")
            known = _light(Requests, {**_EMPTY_REQUESTS, **dict(zip(names, lengths, strict=True))}, None)
            self._known[key] = known
        assert isinstance(known, Requests)
        return known

    def _layout(self, places: dict[str, Any]) -> Layout:
        key = hash((Layout, marshal.dumps(places, 2)))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Layout(places)
        assert isinstance(found, Layout)
        return found

    def _shared(self, value: Any) -> Any:
        """The first value that was equal to this one, to the type of each number."""
        if not value:
            return value
        return self._known.setdefault(hash(marshal.dumps(value, 2)), value)

    def _same(self, model: _Model) -> _Model:
        key = hash((type(model), marshal.dumps((model.__dict__, model.__pydantic_extra__), 2)))
        found: _Model = self._known.setdefault(key, model)
        return found


_EMPTY_REQUESTS: dict[str, Any] = dict.fromkeys(Requests.model_fields)


def _light(
    kind: type[_Model], values: dict[str, Any], like: BaseModel | None, extra: dict[str, Any] | None = None
) -> _Model:
    """A model that wasn't checked again and that holds little besides its values.

    Attributes that are set one by one, in one order, are stored without a dict of their own; the set of given fields,
    which nothing here asks for, is that of the class.
    """
    made = kind.__new__(kind)
    for name, value in values.items():
        _set(made, name, value)
    extra = (like.__pydantic_extra__ if like is not None else None) if extra is None else extra
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
