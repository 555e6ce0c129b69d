"""What a parameter may be: a choice of options, or a range of numbers. As frozen types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included. `step` None means continuous (floats) or every integer (ints)."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @property
    def is_int(self) -> bool:
        """Whether every value is an integer: low, high and step all are."""
        return all(isinstance(part, int) for part in (self.low, self.high, self.step or 1))

    @property
    def num_values(self) -> int | None:
        """How many there are; None when infinitely many (a float range without a step)."""
        if self.step is None and not self.is_int:
            return None
        return int((self.high - self.low) / (self.step or 1) + 1e-9) + 1

    def value(self, index: int) -> int | float:
        """The one of that place in their order, from 0."""
        return round(self.low + index * (self.step or 1), 12)

    def values(self) -> list[int | float] | None:
        """Every value, in order; None when there are infinitely many."""
        count = self.num_values
        return None if count is None else [self.value(index) for index in range(count)]

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the range's numbers."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_int else (int, float)):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One choice. `label` names it in records; `value` is what the engine gets (None: the argument is left out);
    `settings` come along with it: sibling arguments, or, for a nested parameter, the argument's own keys."""

    label: str
    value: Scalar
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Each a plain value, or a Domain that is searched only under this option."""

    @property
    def recorded(self) -> Scalar:
        """How records name it: by its value where that says it all (16, true), by its label otherwise. A text's label
        is that text, and stays what it is where the value is a path that was made of it."""
        return self.label if self.value is None or self.settings or isinstance(self.value, str) else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several options; labels are unique."""

    options: tuple[Option, ...]

    def option(self, label: str) -> Option:
        """The option of that label; raises KeyError."""
        for option in self.options:
            if option.label == label:
                return option
        raise KeyError(label)

    def label_of(self, recorded: Scalar) -> str:
        """The label behind what a record holds (`Option.recorded`), or a label itself; raises KeyError."""
        for option in self.options:
            if recorded == option.label or (type(recorded) is type(option.value) and recorded == option.value):
                return option.label
        raise KeyError(str(recorded))


Domain = Choice | Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Something the search may set: an engine argument under the engine's own name, or `model`."""

    name: str
    domain: Domain
