"""Reading numbers out of a `config.json` with every problem named at once: key, what is wrong, what was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vbench.errors import Problem
from vbench.spec.suggest import closest

_MOST = 10**8  # no dimension of a model comes near; beyond it the file is broken, not large


class Values:
    """A config's values, and the problems met while reading them. A wrong value reads as its stand-in 1."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.problems: list[Problem] = []

    def count(self, *names: str, default: int | None = None, most: int = _MOST) -> int:
        """A whole number of at least 1 under the first of `names` that is there; `default` where none is."""
        name, value = self._first(names)
        if value is None:
            if default is None:
                self.absent(names)
            return 1 if default is None else default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return self._wrong(name, f"{value!r} is not a whole number", "as in the model's original config.json")
        if not 1 <= value <= most:
            return self._wrong(name, f"{value} is not between 1 and {most:,}", "as in the model's original config.json")
        return value

    def optional_count(self, *names: str) -> int | None:
        """Like `count`, but None where the key is absent, null or 0."""
        _, value = self._first(names)
        return None if value is None or (value == 0 and not isinstance(value, bool)) else self.count(*names)

    def flag(self, name: str, default: bool) -> bool:
        """True or false; an absent or null key is `default`."""
        value = self.config.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(name, f"{value!r} is neither true nor false", "write true or false")
            return default
        return value

    def absent(self, names: Sequence[str]) -> None:
        """Note that a needed key isn't there, with the key that was probably meant."""
        near = closest(names[0], [key for key in self.config if key not in names])
        meant = f"is {near} meant?" if near else "take config.json as the hub has it"
        self.problems.append(Problem(message="isn't there", key=names[0], hint=meant))

    def wrong(self, key: str, message: str, hint: str) -> None:
        """Note a value that can't be."""
        self._wrong(key, message, hint)

    def _first(self, names: Sequence[str]) -> tuple[str, Any]:
        for name in names:
            if self.config.get(name) is not None:
                return name, self.config[name]
        return names[0], None

    def _wrong(self, key: str, message: str, hint: str) -> int:
        self.problems.append(Problem(message=message, key=key, hint=hint))
        return 1
