"""A sweep's space as a list of points to plan: all of them where that is feasible, an even sample otherwise."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vbench.search.base import keeps_parameter_constraints, settings_key
from vbench.spec.config import baseline_point
from vbench.spec.space import Point, walk
from vbench.spec.types import Choice, Domain, Parameter, Range, Scalar, SweepSpec

MOST_POINTS = 2000
RANGE_POINTS = 5
_ATTEMPTS_PER_POINT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The points, the baseline first; `notes` say where they aren't all that the sweep could try."""

    points: tuple[Point, ...]
    notes: tuple[str, ...]


def sample_space(spec: SweepSpec, most: int = MOST_POINTS) -> Sampled:
    """Every point that keeps the constraints on parameters; of more than `most`, as many drawn with the sweep's seed.

    Ranges that are continuous or logarithmic stand for 5 points each.
    """
    notes = []
    thinned = sorted({name for name, domain in _ranges(spec.parameters) if _is_thinned(domain)})
    if thinned:
        notes.append(f"{RANGE_POINTS} points stand for the range of {', '.join(thinned)}")
    points = list(islice(_every(spec.parameters), most + 1))
    if len(points) > most:
        points = _drawn(spec, most)
        notes.append(f"{len(points):,} configurations, drawn evenly, stand for a space of more")
    kept: dict[str, Point] = {}
    baseline = baseline_point(spec)
    if baseline is not None:
        kept[settings_key(baseline.settings)] = baseline
    for point in points:
        if not spec.parameters or keeps_parameter_constraints({**spec.engine_args, **point.settings}, spec.constraints):
            kept.setdefault(settings_key(point.settings), point)
    return Sampled(points=tuple(kept.values()), notes=tuple(notes))


def _every(parameters: Sequence[Parameter]) -> Iterator[Point]:
    """As `spec.space.enumerate_points`, with thinned ranges."""
    odometer: list[tuple[list[Scalar], int]] = []
    while True:
        position = 0

        def choose(_name: str, domain: Domain) -> Scalar:
            nonlocal position
            if position == len(odometer):
                odometer.append((values_of(domain), 0))
            values, index = odometer[position]
            position += 1
            return values[index]

        yield walk(parameters, choose)
        while odometer and odometer[-1][1] == len(odometer[-1][0]) - 1:
            odometer.pop()
        if not odometer:
            return
        values, index = odometer[-1]
        odometer[-1] = (values, index + 1)


def _drawn(spec: SweepSpec, most: int) -> list[Point]:
    draw = random.Random(spec.search.seed)
    found: dict[str, Point] = {}
    for _ in range(most * _ATTEMPTS_PER_POINT):
        point = walk(spec.parameters, lambda _, domain: draw.choice(values_of(domain)))
        found.setdefault(settings_key(point.settings), point)
        if len(found) == most:
            break
    return list(found.values())


def values_of(domain: Domain) -> list[Scalar]:
    """A choice's labels, a range's numbers, or 5 of them where it is continuous or logarithmic."""
    if isinstance(domain, Choice):
        return [option.label for option in domain.options]
    if not _is_thinned(domain):
        return list(domain.values() or ())
    known = domain.values()
    wanted = [_between(domain, index / (RANGE_POINTS - 1)) for index in range(RANGE_POINTS)]
    if known is None:
        return list(dict.fromkeys(wanted))
    return list(dict.fromkeys(min(known, key=lambda value: abs(value - one)) for one in wanted))


def _between(domain: Range, share: float) -> float:
    if domain.log and domain.low > 0:
        return float(f"{domain.low * math.pow(domain.high / domain.low, share):.6g}")
    return float(f"{domain.low + (domain.high - domain.low) * share:.6g}")


def _is_thinned(domain: Domain) -> bool:
    if not isinstance(domain, Range):
        return False
    count = domain.num_values
    return count is None or (domain.log and count > RANGE_POINTS)


def _ranges(parameters: Sequence[Parameter]) -> Iterator[tuple[str, Range]]:
    for parameter in parameters:
        yield from _ranges_in(parameter.name, parameter.domain)


def _ranges_in(name: str, domain: Domain) -> Iterator[tuple[str, Range]]:
    if isinstance(domain, Range):
        yield name, domain
        return
    for option in domain.options:
        for inner, setting in option.settings.items():
            if isinstance(setting, (Choice, Range)):
                yield from _ranges_in(inner, setting)
