"""`--set KEY=VALUE`: what the command line changes in a file before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vbench.errors import Problem
from vbench.spec.calling import is_own_parameter
from vbench.spec.problems import Problems, shown
from vbench.spec.yaml_lines import MAX_DEPTH, parse_value


def apply_overrides(
    raw: Mapping[str, Any], overrides: Sequence[str], top_level: Collection[str], problems: Problems
) -> dict[str, Any]:
    """The file's mapping with every override put in; later ones win.

    A KEY whose first part isn't a top-level key is an engine argument: it is fixed under `engine_args` and leaves
    `parameters` and `baseline`, as do `model`, `mode`, `replicas` and a section's keys fixed so. Where VALUE is the
    label of an option with settings, the settings come along.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(raw))
    for override in overrides:
        key, equals, text = override.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            wrong = Problem(message="expected KEY=VALUE", key=f"--set {override}", hint="such as --set search.trials=5")
            problems.found.append(wrong)
            continue
        if key.count(".") >= MAX_DEPTH:
            deep = f"nested more than {MAX_DEPTH} levels deep"
            problems.found.append(Problem(message=deep, key=f"--set {key}"))
            continue
        try:
            value = parse_value(text)
        except ValueError as error:
            problems.found.append(Problem(message=str(error), key=f"--set {key}"))
            continue
        _apply(changed, key, value, top_level, problems)
    return changed


def _apply(raw: dict[str, Any], key: str, value: Any, top_level: Collection[str], problems: Problems) -> None:
    parts = key.split(".")
    option = _labelled_option(raw, key, value)
    if parts[0] in top_level and option is None:
        path = key
        if parts[0] == "engine_args" and len(parts) > 1:
            _release(raw, parts[1])
        elif parts[0] == "parameters" and len(parts) > 1:
            name = key.partition(".")[2]
            if is_own_parameter(name):
                parts = ["parameters", name]
            _drop(raw, "engine_args", parts[1])
            _drop_baseline(raw, parts[1])
        elif is_own_parameter(key):
            _release(raw, key)
    elif option is not None:
        path, value = f"parameters.{key}", [option]
        _drop_baseline(raw, key)
    else:
        path = f"engine_args.{key}"
        _release(raw, parts[0])
    problems.overridden[path] = key
    if option is not None:
        parts = ["parameters", key]
    elif path != key:
        parts = path.split(".")
    _put(raw, parts, value, key, problems)


def _labelled_option(raw: Mapping[str, Any], name: str, value: Any) -> dict[str, Any] | None:
    parameters = raw.get("parameters")
    options = parameters.get(name) if isinstance(parameters, dict) else None
    for option in options if isinstance(options, list) else ():
        if isinstance(option, dict) and list(option) == [str(value)]:
            return option
    return None


def _put(raw: dict[str, Any], parts: list[str], value: Any, key: str, problems: Problems) -> None:
    holder = raw
    for part in parts[:-1]:
        if holder.get(part) is None:
            holder[part] = {}
        if not isinstance(holder[part], dict):
            message = f"{part} holds {shown(holder[part])} in the file, not keys and values"
            problems.found.append(Problem(message=message, key=f"--set {key}", hint=f"set {part} as a whole"))
            return
        holder = holder[part]
    holder[parts[-1]] = value


def _release(raw: dict[str, Any], name: str) -> None:
    _drop(raw, "parameters", name)
    _drop_baseline(raw, name)


def _drop(raw: dict[str, Any], section: str, name: str) -> None:
    holder = raw.get(section)
    if isinstance(holder, dict):
        holder.pop(name, None)


def _drop_baseline(raw: dict[str, Any], name: str) -> None:
    baseline = raw.get("baseline")
    if isinstance(baseline, dict):
        raw["baseline"] = {
            one: value for one, value in baseline.items() if one != name and not one.startswith(f"{name}.")
        }
