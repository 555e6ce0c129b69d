"""Where in a sweep's space a configuration of another run lies, by what it sets: the way back from `space.walk`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from vbench.spec.space import Point, walk
from vbench.spec.types import Choice, Domain, Option, Parameter, Range, Scalar, is_nested_argument


def point_in(parameters: Sequence[Parameter], config: Mapping[str, Any]) -> Point | None:
    """The point whose settings a configuration has; None where the space holds none."""
    nested: dict[str, Mapping[str, Any]] = {}
    """What stands below an option that was chosen, by its dotted name: where its own parameters are looked up."""

    def choose(name: str, domain: Domain) -> Scalar:
        holder = max((path for path in nested if name.startswith(f"{path}.")), key=len, default=None)
        key = name if holder is None else name.removeprefix(f"{holder}.")
        held = config if holder is None else nested[holder]
        value = _look_up(held, key)
        if isinstance(domain, Range):
            if not domain.contains(value):
                raise KeyError(name)
            return float(value) if isinstance(value, float) else int(value)
        option = _option(domain, key, value, held)
        if is_nested_argument(key):
            nested[f"{name}.{option.label}"] = value if isinstance(value, Mapping) else {}
        else:
            nested[f"{name}.{option.label}"] = held
        return option.label

    try:
        return walk(parameters, choose)
    except KeyError:
        return None


def _look_up(held: Mapping[str, Any], key: str) -> Any:
    """A setting, or a section's by its dotted name (`load.max_concurrency`)."""
    if key in held:
        return held[key]
    section, _, rest = key.partition(".")
    inner = held.get(section) if rest else None
    return inner.get(rest) if isinstance(inner, Mapping) else None


def _option(domain: Choice, key: str, value: Any, held: Mapping[str, Any]) -> Option:
    """The one option that explains the value; raises KeyError. The one with the most settings of several."""
    ordered = sorted(domain.options, key=lambda option: -len(option.settings))
    for option in ordered:
        fixed = {name: one for name, one in option.settings.items() if not isinstance(one, (Choice, Range))}
        if is_nested_argument(key):
            inner = value if isinstance(value, Mapping) else {}
            if set(inner) <= set(option.settings) and _holds(inner, fixed):
                return option
        elif _is_same(value, option.value) and _holds(held, fixed):
            return option
    raise KeyError(key)


def _holds(held: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(_is_same(_look_up(held, name), one) for name, one in settings.items())


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other or is_same_model(one, other)  # records show paths relative to where they were made
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def is_same_model(one: str, other: str) -> bool:
    """The same text, or the same end of a path: results move between machines, and records show short paths."""
    if one == other:
        return True
    parts = [[part for part in PurePath(text).parts if part not in ("/", "..", ".")] for text in (one, other)]
    shorter, longer = sorted(parts, key=len)
    is_path = "/" in one and "/" in other
    return is_path and bool(shorter) and longer[-len(shorter) :] == shorter


def is_alike(one: Any, other: Any) -> bool:
    """Whether two settings are the same, mappings looked into."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return set(one) == set(other) and all(is_alike(one[name], other[name]) for name in one)
    return _is_same(one, other)
