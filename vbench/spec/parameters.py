"""`parameters:` to domains: what each list, `label: {settings}` and `{low, high}` of the file stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.records.redaction import clean
from vbench.records.secret_names import is_secret
from vbench.spec.calling import SECTIONS, SHAPE_PREFIX, check_own_value, is_own_parameter
from vbench.spec.problems import Problems, shown
from vbench.spec.ranges import is_range, read_range
from vbench.spec.scalars import plain_scalar
from vbench.spec.types import Choice, Domain, Option, Parameter, Range, Scalar, is_nested_argument

NONE_LABEL = "none"
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# What vbench itself passes to the engine: set here it would be ignored, or spoil the measurement.
_MANAGED = {
    "disable_log_stats": "vbench keeps the engine's statistics on, because it reads them",
    "prompts": "the prompts are the top-level key prompts",
    "engine": "all trials of a sweep run the engine that the top-level key engine names",
    "goodput": "all trials of a sweep are judged by the top-level key goodput",
}


def is_none(value: object) -> bool:
    """Whether a value leaves its argument to the engine's default (`none`, Python's `None`, or nothing)."""
    return value is None or value in (NONE_LABEL, "None")


def label_of(value: Scalar) -> str:
    """The label of a plain option: its text in the file.

    >>> label_of(True), label_of(256), label_of(0.9), label_of(None)
    ('true', '256', '0.9', 'none')
    """
    if is_none(value):
        return NONE_LABEL
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_argument_name(name: str, path: str, problems: Problems) -> bool:
    """Whether a name may be an engine argument; notes why not."""
    if name in _MANAGED:
        problems.add(path, f"{name} can't be set here: {_MANAGED[name]}")
    elif "." in name and name.partition(".")[0] in SECTIONS:
        return True  # a key of load, sampling or environment: checked with its values
    elif not _ARGUMENT.fullmatch(name):
        meant = name.strip("-").replace("-", "_")
        hint = f"write {meant}" if _ARGUMENT.fullmatch(meant) else "names are those of the engine's Python interface"
        problems.add(path, f"{name!r} is not an argument's name", hint)
    else:
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterReader:
    """Reads `parameters`. `resolve_model(path, text)` turns a model as written into a folder or hub id, and
    `resolve_python(text)` an interpreter into its path."""

    problems: Problems
    resolve_model: Callable[[str, str], str]
    resolve_python: Callable[[str], str]
    is_grid: bool

    def read(self, raw: Mapping[str, Any], engine_args: Mapping[str, Any]) -> tuple[Parameter, ...]:
        """Every parameter that is sound; the others are noted as problems."""
        parameters = []
        for name, written in raw.items():
            path = f"parameters.{name}"
            if not check_argument_name(name, path, self.problems):
                continue
            if name in engine_args:
                self.problems.add(path, f"{name} is also in engine_args", "fixed or searched? Keep one of them")
            domain = self._domain(path, name, written)
            if domain is not None:
                parameters.append(Parameter(name=name, domain=domain))
        return tuple(parameters)

    def _domain(self, path: str, key: str, written: Any) -> Domain | None:
        if is_secret(key):
            hint = "put it under environment, which no record shows, or into your own environment"
            self.problems.add(path, f"{key.rpartition('.')[2]} is a secret: it can't be searched", hint)
            return None
        if isinstance(written, list):
            return self._choice(path, key, written)
        if is_range(written):
            made = read_range(path, written, self.problems, is_grid=self.is_grid)
            ends = () if made is None else (made.low, made.high)
            return None if any(self._is_wrong_own(path, key, end) for end in ends) else made
        if isinstance(written, dict):
            self.problems.add(path, "expected a list of options or {low: …, high: …}", "options begin with `- `")
        else:
            fixed = f"{shown(written)} is a single value: nothing to choose from"
            self.problems.add(path, fixed, "put fixed values under engine_args")
        return None

    def _choice(self, path: str, key: str, items: list[Any]) -> Choice | None:
        if not items:
            self.problems.add(path, "an empty list: nothing to choose from", "put fixed values under engine_args")
            return None
        options: dict[str, Option] = {}
        for index, item in enumerate(items):
            at = f"{path}.{index}"
            option = self._option(at, key, item)
            if option is None:
                continue
            if clean(option.label) != option.label:
                hint = "give it a plain label, and the secret to the environment"
                self.problems.add(at, "the option has a secret in it, and every record would show it", hint)
            elif option.label in options:
                self.problems.add(at, f"option {option.label!r} is there twice", "give each a label of its own")
            else:
                options[option.label] = option
        return Choice(options=tuple(options.values())) if options else None

    def _option(self, path: str, key: str, item: Any) -> Option | None:
        if isinstance(item, dict):
            return self._labelled(path, key, item)
        if isinstance(item, list):
            self.problems.add(path, "a list can't be an option", "under engine settings write {const: [...]}")
            return None
        label = label_of(item)
        if self._is_wrong_own(path, key, item):
            return None
        if not label.strip():
            self.problems.add(path, "an empty text can't be an option", "write none to leave the argument out")
            return None
        if label == NONE_LABEL:
            return Option(label=NONE_LABEL, value=None)
        if is_nested_argument(key):
            self.problems.add(path, f"{key} takes keys and values", f"write {label}: {{…}} with its settings")
            return None
        return Option(label=label, value=self._resolved(path, key, item))

    def _labelled(self, path: str, key: str, item: dict[str, Any]) -> Option | None:
        if len(item) != 1:
            hint = "indent the settings under the label: `- awq: {model: …}`"
            self.problems.add(path, f"an option has one label, this has {len(item)} ({', '.join(item)})", hint)
            return None
        ((label, written),) = item.items()
        if not isinstance(written, dict):
            self.problems.add(
                f"{path}.{label}", f"expected settings (keys and values), got {shown(written)}", f"or plain `- {label}`"
            )
            return None
        label = label_of(label)
        settings = self._settings(f"{path}.{label}", key, written)
        value = None if label == NONE_LABEL else label if is_nested_argument(key) else _labelled_value(label)
        if self._is_wrong_own(path, key, value):
            return None
        if isinstance(value, str) and key not in written:
            value = self._resolved(path, key, value)
        return Option(label=label, value=value, settings=settings)

    def _settings(self, path: str, key: str, written: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        for name, value in written.items():
            at = f"{path}.{name}"
            if not is_nested_argument(key) and self._is_wrong_setting(at, name, value):
                continue
            if is_none(value) and value is not None:
                continue  # a null is passed on as None, `none` leaves the argument out
            setting = self._setting(at, name, value)
            is_plain = not is_nested_argument(key) or (name == "model" and key == "speculative_config")
            settings[name] = self._resolved(at, name, setting) if is_plain else setting
        return settings

    def _is_wrong_setting(self, path: str, name: str, value: Any) -> bool:
        if not check_argument_name(name, path, self.problems):
            return True
        is_searched = isinstance(value, list) or is_range(value)
        return not is_searched and self._is_wrong_own(path, name, value)

    def _is_wrong_own(self, path: str, name: str, value: Any) -> bool:
        """Whether a value of one of vbench's own parameters is wrong; notes why."""
        if not is_own_parameter(name):
            return False
        if isinstance(value, dict) and set(value) == {"const"}:
            value = value["const"]
        problem = check_own_value(name, None if is_none(value) else value)
        if problem is not None:
            self.problems.add(path, problem)
        return problem is not None

    def _resolved(self, path: str, name: str, value: Any) -> Any:
        """Places written relative to the file, as they are; a variable's value as text."""
        if name == "model":
            return self._model(path, value)
        if name == "python" and isinstance(value, str):
            return self.resolve_python(value)
        if name == "lora_modules" and isinstance(value, Mapping):
            return {key: self.resolve_model(f"{path}.{key}", str(at)) for key, at in value.items()}
        if name.startswith("environment.") and isinstance(value, int):
            return str(value)
        return value

    def _setting(self, path: str, name: str, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"const"}:
            return value["const"]
        if isinstance(value, list) or is_range(value):
            return self._domain(path, name, value)
        return value

    def _model(self, path: str, value: Any) -> Any:
        if isinstance(value, Choice) or value is None:
            return value  # a choice's options were resolved as they were read, under the name `model`
        if isinstance(value, dict) and set(value) == {"shape"}:
            value = f"{SHAPE_PREFIX}{value['shape']}".lower()
        if isinstance(value, str):
            return self.resolve_model(path, value)
        self.problems.add(path, f"expected a folder or a hub id, got {shown(value)}")
        return value


def _labelled_value(label: str) -> Scalar:
    try:
        return plain_scalar(label)
    except ValueError:
        return label


def check_paths(parameters: Sequence[Parameter], problems: Problems) -> None:
    """Note settings whose labels make the same dotted name: `x.load` + `seed` is `x` + `load.seed` to records."""
    seen: set[str] = set()
    for path, _ in domains(parameters):
        if path in seen:
            problems.add(f"parameters.{path}", "two settings go by this name", "give one of the labels another name")
        seen.add(path)


def domains(parameters: Sequence[Parameter]) -> Iterator[tuple[str, Domain]]:
    """Every dotted name of the space with its domain, conditional ones included."""

    def inner(path: str, domain: Domain) -> Iterator[tuple[str, Domain]]:
        yield path, domain
        for option in domain.options if isinstance(domain, Choice) else ():
            for name, setting in option.settings.items():
                if isinstance(setting, (Choice, Range)):
                    yield from inner(f"{path}.{option.label}.{name}", setting)

    for parameter in parameters:
        yield from inner(parameter.name, parameter.domain)
