"""The interpreters that options of a sweep name by `python:`: what each holds, or why it can't be used.

One that is broken costs its own trials, never the sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vbench.errors import MachineError
from vbench.execution.interpreters import Interpreter, describe_engine, find_interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedInterpreter:
    """An interpreter that was asked. `problem` is None where it can be used; then the other two are there."""

    interpreter: Interpreter | None = None
    description: dict[str, Any] | None = None
    problem: str | None = None


def ask_each(pythons: Iterable[str], engine: str) -> dict[str, NamedInterpreter]:
    """By path as the sweep names it; never raises for a broken one."""
    return {python: _ask(python, engine) for python in pythons}


def merged(descriptions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What at least one of several engines accepts, told as one description; the first one's facts otherwise."""
    first, *others = descriptions
    whole = dict(first)
    for name in ("arguments", "translated"):
        whole[name] = {key: value for one in (*reversed(others), first) for key, value in one.get(name, {}).items()}
    nested: dict[str, list[str]] = {}
    for one in (first, *others):
        for argument, keys in one.get("nested_keys", {}).items():
            nested[argument] = list(dict.fromkeys([*nested.get(argument, []), *keys]))
    # An argument that one engine has dropped is another's all the same.
    removed = {key: value for key, value in first.get("removed", {}).items() if key not in whole["arguments"]}
    return {**whole, "nested_keys": nested, "removed": removed}


def _ask(python: str, engine: str) -> NamedInterpreter:
    try:
        interpreter = find_interpreter(python, engine)
        return NamedInterpreter(interpreter=interpreter, description=describe_engine(interpreter, engine))
    except MachineError as error:
        return NamedInterpreter(problem=str(error))
