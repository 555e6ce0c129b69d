"""From choices to a configuration: one walk over the parameters, used by every search method.

The walk is define-by-run: it asks `choose` for each parameter that applies, in the file's order, and follows the chosen
option into its own settings, so conditional parameters exist only where their option was taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.spec.types import Choice, Domain, Parameter, Range, Scalar, is_nested_argument

Choose = Callable[[str, Domain], Scalar]
"""Given a dotted name and its domain: an option's label, or a number of the range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place in the space: what was chosen by dotted name, and the settings that follow from it."""

    parameters: Mapping[str, Scalar]
    settings: Mapping[str, Any]


def walk(parameters: Sequence[Parameter], choose: Choose) -> Point:
    """Ask `choose` for every parameter that applies and put the settings together.

    A later parameter wins over a setting that an earlier option carried along.
    """
    chosen: dict[str, Scalar] = {}
    settings: dict[str, Any] = {}
    for parameter in parameters:
        settings.update(_resolve(parameter.name, parameter.name, parameter.domain, choose, chosen))
    return Point(parameters=chosen, settings=settings)


def _resolve(path: str, key: str, domain: Domain, choose: Choose, chosen: dict[str, Scalar]) -> dict[str, Any]:
    value = chosen[path] = choose(path, domain)
    if isinstance(domain, Range):
        return {key: value}
    option = domain.option(str(value))
    carried: dict[str, Any] = {}
    for name, setting in option.settings.items():
        if isinstance(setting, (Choice, Range)):
            carried.update(_resolve(f"{path}.{option.label}.{name}", name, setting, choose, chosen))
        else:
            carried[name] = setting
    if is_nested_argument(key):
        return {key: carried} if carried else {}
    return {**({} if option.value is None else {key: option.value}), **carried}


def enumerate_points(parameters: Sequence[Parameter]) -> Iterator[Point]:
    """Every point of a finite space, the last parameter turning fastest. Raises ValueError at a continuous range."""
    # What was chosen of each that applies: its values' number, and the place of the one whose turn it is.
    odometer: list[tuple[int, int]] = []
    while True:
        position = 0

        def choose(name: str, domain: Domain) -> Scalar:
            nonlocal position
            if position == len(odometer):
                odometer.append((_num_values(name, domain), 0))
            _, index = odometer[position]
            position += 1
            return domain.options[index].label if isinstance(domain, Choice) else domain.value(index)

        yield walk(parameters, choose)
        while odometer and odometer[-1][1] == odometer[-1][0] - 1:
            odometer.pop()
        if not odometer:
            return
        count, index = odometer[-1]
        odometer[-1] = (count, index + 1)


def _num_values(name: str, domain: Domain) -> int:
    count = len(domain.options) if isinstance(domain, Choice) else domain.num_values
    if count is None:
        raise ValueError(f"{name} is a continuous range: a grid needs a step")
    return count


def count_points(parameters: Sequence[Parameter], *, limit: int = 1_000_000) -> int | None:
    """How many points the space has; None when infinite or above `limit`."""
    total = 1
    for parameter in parameters:
        count = _count(parameter.domain)
        if count is None or total * count > limit:
            return None
        total *= count
    return total


def _count(domain: Domain) -> int | None:
    """Values of a domain, each option's own settings multiplied out; None when infinite."""
    if isinstance(domain, Range):
        return domain.num_values
    total = 0
    for option in domain.options:
        inner = [_count(one) for one in option.settings.values() if isinstance(one, (Choice, Range))]
        if None in inner:
            return None
        total += math.prod(one for one in inner if one is not None)
    return total


def recorded_parameters(parameters: Sequence[Parameter], point: Point) -> dict[str, Scalar]:
    """A point's choices as records hold them: a plain option by its value (16, not "16"), others by their label."""
    recorded = dict(point.parameters)

    def choose(name: str, domain: Domain) -> Scalar:
        value = point.parameters[name]
        recorded[name] = domain.option(str(value)).recorded if isinstance(domain, Choice) else value
        return value

    walk([parameter for parameter in parameters if parameter.name in point.parameters], choose)
    return recorded


def point_of(parameters: Sequence[Parameter], values: Mapping[str, Scalar]) -> Point | None:
    """The point with these chosen values, labels or as recorded; None if one is missing or outside its domain."""

    def choose(name: str, domain: Domain) -> Scalar:
        value = values[name]
        if isinstance(domain, Choice):
            return domain.label_of(value)
        if not domain.contains(value):
            raise KeyError(name)
        return value

    try:
        return walk(parameters, choose)
    except KeyError:
        return None
