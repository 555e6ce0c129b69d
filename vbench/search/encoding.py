"""A space as columns of numbers, for methods that measure distances: one column a parameter, at any depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vbench.spec.space import Point, enumerate_points, walk
from vbench.spec.types import Choice, Domain, Parameter, Range, Scalar

Matrix = NDArray[Any]

_LOG_RATIO = 8.0  # numbers that span as much are compared by their ratios
_INACTIVE_DISTANCE = 0.5  # squared, between a number and "doesn't apply", from the middle of the range


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One parameter. In a row it is its option's index or its number; NaN where it doesn't apply."""

    name: str
    domain: Domain
    parent: int | None
    """The column of the choice that it depends on, and below the index of the option that brings it."""
    parent_option: int = 0

    @property
    def numbers(self) -> list[float] | None:
        """What each option stands for where all are numbers (an ordered choice); None otherwise."""
        if not isinstance(self.domain, Choice):
            return None
        values = [option.value for option in self.domain.options if not option.settings]
        numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        return numbers if len(numbers) == len(self.domain.options) else None

    @property
    def is_ordered(self) -> bool:
        """Whether some of its values lie nearer to each other than others."""
        numbers = self.numbers
        return isinstance(self.domain, Range) or (numbers is not None and len(numbers) > 2)

    def scaled(self, column: Matrix) -> Matrix:
        """An ordered column between 0 and 1, by magnitude where the range is log, all are powers of two, or the numbers
        span a factor of 8."""
        numbers = self.numbers
        if isinstance(self.domain, Range):
            low, high, is_log = float(self.domain.low), float(self.domain.high), self.domain.log
            values = column
        else:
            assert numbers is not None
            low, high = min(numbers), max(numbers)
            is_log = low > 0 and all(math.log2(one).is_integer() for one in numbers)
            values = np.full(column.shape, np.nan)
            known = ~np.isnan(column)
            values[known] = np.asarray(numbers)[column[known].astype(int)]
        if low > 0 and (is_log or high / low >= _LOG_RATIO):
            values, low, high = np.log(values), math.log(low), math.log(high)
        return (values - low) / (high - low) if high > low else np.zeros_like(values)


class Encoding:
    """Points to rows and back. `dimensions` are the columns, parents before what depends on them."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = parameters
        self.dimensions: list[Dimension] = []
        for parameter in parameters:
            self._add(parameter.name, parameter.domain, None, 0)
        self._column = {one.name: index for index, one in enumerate(self.dimensions)}

    def _add(self, path: str, domain: Domain, parent: int | None, option_index: int) -> None:
        here = len(self.dimensions)
        self.dimensions.append(Dimension(name=path, domain=domain, parent=parent, parent_option=option_index))
        for index, option in enumerate(domain.options if isinstance(domain, Choice) else ()):
            for name, setting in option.settings.items():
                if isinstance(setting, (Choice, Range)):
                    self._add(f"{path}.{option.label}.{name}", setting, here, index)

    def row(self, point: Point) -> Matrix:
        """The row of a point of this space."""
        row = np.full(len(self.dimensions), np.nan)
        for name, value in point.parameters.items():
            index = self._column[name]
            domain = self.dimensions[index].domain
            row[index] = _index_of(domain, value) if isinstance(domain, Choice) else float(value)  # type: ignore[arg-type]
        return row

    def point(self, row: Matrix) -> Point:
        """The point of a row."""

        def choose(name: str, domain: Domain) -> Scalar:
            value = float(row[self._column[name]])
            if isinstance(domain, Choice):
                return domain.options[int(value)].label
            return int(value) if domain.is_int else round(value, 12)

        return walk(self.parameters, choose)

    def every_row(self) -> Matrix:
        """Every point of a finite space as rows, in the order of `enumerate_points`."""
        return np.array([self.row(point) for point in enumerate_points(self.parameters)])

    def sampled(self, count: int, rng: np.random.Generator) -> Matrix:
        """Rows drawn at random, each parameter evenly over its options or its (log) range."""
        drawn = np.column_stack([_draw(one.domain, count, rng) for one in self.dimensions])
        return self._settled(drawn)

    def neighbours(self, rows: Matrix, rng: np.random.Generator, *, per_range: int = 6) -> Matrix:
        """Rows that differ from one of these in one parameter; one that begins to apply is drawn at random."""
        made = [changed for row in rows for changed in self._changed(row, rng, per_range)]
        if not made:
            return np.empty((0, rows.shape[1]))
        rows = np.array(made)
        fill = self.sampled(len(rows), rng)
        anew = np.column_stack([_draw(one.domain, len(rows), rng) for one in self.dimensions])
        fill = np.where(np.isnan(fill), anew, fill)
        return self._settled(np.where(np.isnan(rows), fill, rows))

    def _changed(self, row: Matrix, rng: np.random.Generator, per_range: int) -> Iterator[Matrix]:
        for index, one in enumerate(self.dimensions):
            if np.isnan(row[index]):
                continue
            if isinstance(one.domain, Choice):
                values: Any = range(len(one.domain.options))
            else:
                near = [_moved(one.domain, float(row[index]), width, rng) for width in (0.02, 0.1, 0.3)]
                values = [*near, *_draw(one.domain, per_range - len(near), rng)]
            for value in values:
                if value != row[index]:
                    changed = row.copy()
                    changed[index] = value
                    yield changed

    def _settled(self, rows: Matrix) -> Matrix:
        """Rows with what doesn't apply taken out."""
        for index, one in enumerate(self.dimensions):
            if one.parent is not None:
                rows[rows[:, one.parent] != one.parent_option, index] = np.nan
        return rows

    def squared_distances(self, rows: Matrix, others: Matrix) -> Matrix:
        """By parameter, shape (parameters, rows, others). 1 between options; numbers by their scaled difference."""
        columns = range(len(self.dimensions))
        return np.stack([self.squared_distance(index, rows[:, index], others[:, index]) for index in columns])

    def squared_distance(self, index: int, left: Matrix, right: Matrix) -> Matrix:
        """Along one parameter, between two columns of its numbers."""
        one = self.dimensions[index]
        if not one.is_ordered:
            filled_left, filled_right = np.nan_to_num(left, nan=-1.0), np.nan_to_num(right, nan=-1.0)
            unlike: Matrix = (filled_left[:, None] != filled_right[None, :]).astype(float)
            return unlike
        left_at, right_at = (np.nan_to_num(one.scaled(column), nan=0.5) for column in (left, right))
        found: Matrix = (left_at[:, None] - right_at[None, :]) ** 2
        if one.parent is not None:
            found += _INACTIVE_DISTANCE * (np.isnan(left)[:, None] != np.isnan(right)[None, :])
        return found


def _index_of(domain: Choice, label: Scalar) -> int:
    return next(index for index, option in enumerate(domain.options) if option.label == label)


def _draw(domain: Domain, count: int, rng: np.random.Generator) -> Matrix:
    if isinstance(domain, Choice):
        return rng.integers(len(domain.options), size=count).astype(float)
    return _at(domain, rng.random(count))


def _moved(domain: Range, value: float, width: float, rng: np.random.Generator) -> float:
    """A number near this one: at a normal distance of that share of the range, at least a step away."""
    low, high = _ends(domain)
    place = ((math.log(value) if domain.log else value) - low) / (high - low)
    moved = float(_at(domain, np.clip(np.array([place + width * rng.standard_normal()]), 0.0, 1.0 - 1e-12))[0])
    step = domain.step or (1 if domain.is_int else None)
    if step is None or moved != value:
        return moved
    aside = value + step * (1 if rng.random() < 0.5 else -1)
    return float(aside) if domain.contains(int(aside) if domain.is_int else aside) else value


def _ends(domain: Range) -> tuple[float, float]:
    return (math.log(domain.low), math.log(domain.high)) if domain.log else (float(domain.low), float(domain.high))


def _at(domain: Range, places: Matrix) -> Matrix:
    """The numbers of a range at places from 0 to 1."""
    low, high = _ends(domain)
    if domain.log:
        values = np.exp(low + places * (high - low))
        logarithmic: Matrix = np.clip(np.round(values, 0 if domain.is_int else 12), domain.low, domain.high)
        return logarithmic
    step = domain.step or (1 if domain.is_int else None)
    if step is None:
        straight: Matrix = np.clip(np.round(low + places * (high - low), 12), low, high)
        return straight
    count = int((domain.high - domain.low) / step + 1e-9) + 1
    stepped: Matrix = np.round(low + np.minimum((places * count).astype(int), count - 1) * step, 12)
    return stepped
