"""Where problems of a file gather: each told by its dotted key, and given its line here.

Also turns pydantic's errors into the words a reader of the file would use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from vbench.errors import Problem, SpecError
from vbench.spec.suggest import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_PROBLEMS = 100
# Values of the plan that this version can't honour yet.
_LATER_VALUES = {
    "engine": ("vllm-server", "transformers", "llama-cpp", "openai", "simulated", "sglang"),
}
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "list_type": "a list",
}
_LEAST = {"greater_than_equal": ("ge", "{} or more"), "greater_than": ("gt", "more than {}")}
_MOST = {"less_than_equal": ("le", "{} or less"), "less_than": ("lt", "less than {}")}


@dataclass(slots=True)
class Problems:
    """What is wrong so far. `overridden` maps a dotted path to the `--set` key that put a value there."""

    lines: Mapping[str, int]
    source: str = ""
    """The file, as it is told."""
    overridden: dict[str, str] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)
    _unread: set[str] = field(default_factory=set)
    _told: set[Problem] = field(default_factory=set)

    def add(self, path: str, message: str, hint: str = "") -> None:
        """Note a problem at a dotted path; its line is that of the nearest key that the file has.

        A value that couldn't even be read has been told already: what follows from it is noise. Raises SpecError
        where there are so many that nobody reads on: to look for what each was meant to be would take minutes.
        """
        if path in self._unread:
            return
        typed = self.typed(path)
        if typed is not None:
            problem = Problem(message=message, key=f"--set {typed}", hint=hint)
        else:
            problem = Problem(message=message, key=path, line=self._line(path), hint=hint)
        if problem not in self._told:
            self._told.add(problem)
            self.found.append(problem)
        if len(self._told) >= MAX_PROBLEMS:
            raise SpecError(self.source, self.found)

    def add_unread(self, problems: Iterable[Problem]) -> None:
        """Problems of reading, with lines of their own; call it before `add`, which they silence for their keys."""
        for problem in problems:
            self.found.append(problem)
            self._unread |= {problem.key} if problem.key else set()

    def raise_if_any(self, file: str) -> None:
        """Raises SpecError with all of them."""
        if self.found:
            raise SpecError(file, self.found)

    def typed(self, path: str) -> str | None:
        """The `--set` key that put the value at a path, None where the file did."""
        return next((key for at, key in self.overridden.items() if path == at or path.startswith(f"{at}.")), None)

    def _line(self, path: str) -> int | None:
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None


def shown(value: object) -> str:
    """A value as someone who wrote it would know it again.

    >>> shown(None), shown(True), shown("abc"), shown([1])
    ('nothing', 'true', "'abc'", 'a list')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "keys and values"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def add_pydantic_errors(
    problems: Problems, errors: Iterable[ErrorDetails], model: type[BaseModel],
    written: Callable[[tuple[int | str, ...]], tuple[int | str, ...]] = lambda at: at,
) -> None:  # fmt: skip
    """Note each of pydantic's errors in plain words, at the place where it was `written`."""
    for error in errors:
        message, hint = _translate(error, model)
        problems.add(".".join(str(part) for part in written(error["loc"])), message, hint)


def _translate(error: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "vbench":
        return str(context["reason"]), str(context["hint"])
    if kind == "missing":
        return "is missing", ""
    if kind == "extra_forbidden":
        return _unknown_key(error["loc"], model)
    if kind == "literal_error":
        return _not_a_choice(error["loc"], value, model)
    for bounds in (_LEAST, _MOST):
        if kind in bounds:
            name, words = bounds[kind]
            bound = context[name]
            said = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
            return f"must be {words.format(said)}, got {shown(value)}", ""
    hint = "quote it to make it text" if kind == "string_type" and isinstance(value, (bool, int, float)) else ""
    return f"expected {_EXPECTED[kind]}, got {shown(value)}" if kind in _EXPECTED else error["msg"], hint


def _unknown_key(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    word = str(loc[-1])
    known = [info.alias or name for name, info in _model_at(loc[:-1], model).model_fields.items()]
    near = did_you_mean(word, known)
    if not near:
        near = f"known here: {', '.join(known)}" if len(loc) > 1 else "an engine argument? Put it under engine_args"
    return f"unknown key {word!r}", near


def _not_a_choice(loc: tuple[int | str, ...], value: object, model: type[BaseModel]) -> tuple[str, str]:
    path = ".".join(str(part) for part in loc)
    known = [str(word) for word in get_args(_model_at(loc[:-1], model).model_fields[str(loc[-1])].annotation)]
    if value in _LATER_VALUES.get(path, ()):
        return f"{value} is not in this version", f"there is {', '.join(known)}"
    hint = did_you_mean(value, known) if isinstance(value, str) else ""
    return f"expected one of {', '.join(known)}, got {shown(value)}", hint


def _model_at(loc: Iterable[int | str], model: type[BaseModel]) -> type[BaseModel]:
    for part in (one for one in loc if not isinstance(one, int)):  # an item of a list: its type was found already
        annotation: Any = model.model_fields[str(part)].annotation
        inner = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
        model = next(one for one in inner if issubclass(one, BaseModel))
    return model
