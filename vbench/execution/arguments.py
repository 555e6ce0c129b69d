"""The sweep's engine arguments against what the installed engine says it accepts, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.spec.calling import is_own_parameter
from vbench.spec.suggest import did_you_mean
from vbench.spec.types import Choice, Domain, SweepSpec, is_nested_argument


def check_arguments(spec: SweepSpec, description: Mapping[str, Any]) -> None:
    """Raise SpecError naming every argument that the engine can't be given, with its line and what to use instead.

    What an engine takes in other words (`translated`) is fine; of what it once had or will have (`removed`) the
    description has a sentence; anything else gets the nearest name there is. The description may be of several engines
    told as one.
    """
    known = {*description["arguments"], *description.get("translated", {})}
    removed: Mapping[str, str] = description.get("removed", {})
    nested: Mapping[str, list[str]] = description.get("nested_keys", {})
    version = f"{description['engine']} {description['version']}"
    problems = []
    for path, argument, parent in _named(spec):
        if parent is None and is_own_parameter(argument):
            continue  # vbench reads it itself
        accepted = known if parent is None else set(nested.get(parent) or [argument])
        if argument in accepted:
            continue
        what = "argument" if parent is None else f"key of {parent}"
        key, line = _place(spec.lines, path, argument)
        message, hint = f"{version} has no {what} named {argument}", did_you_mean(argument, accepted)
        if parent is None and argument in removed:
            message, _, hint = removed[argument].partition("; ")
        problems.append(Problem(message=message, key=key, line=line, hint=hint))
    if problems:
        raise SpecError(str(spec.source), problems)


def _named(spec: SweepSpec) -> Iterator[tuple[str, str, str | None]]:
    """Every engine argument that the sweep names: its path in the file, its name, and the argument it is a key of."""
    for name, value in spec.engine_args.items():
        yield f"engine_args.{name}", name, None
        if is_nested_argument(name) and isinstance(value, Mapping):
            yield from ((f"engine_args.{name}.{key}", key, name) for key in value)
    for parameter in spec.parameters:
        path = f"parameters.{parameter.name}"
        yield path, parameter.name, None
        yield from _in_settings(path, parameter.name, parameter.domain)


def _in_settings(path: str, argument: str, domain: Domain) -> Iterator[tuple[str, str, str | None]]:
    if not isinstance(domain, Choice):
        return
    parent = argument if is_nested_argument(argument) else None
    for index, option in enumerate(domain.options):
        for key, setting in option.settings.items():
            inner = f"{path}.{index}.{option.label}.{key}"
            yield inner, key, parent
            yield from _in_settings(inner, key, setting)


def _place(lines: Mapping[str, int], path: str, argument: str) -> tuple[str, int | None]:
    """Where the argument was written: its path and line. One that stands in no line came from the command line."""
    for place in (path, f"parameters.{argument}"):
        if place in lines:
            return place, lines[place]
    return f"--set {argument}", None
