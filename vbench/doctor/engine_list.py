"""What each interpreter holds, side by side: for `vbench engines`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from vbench.doctor.engines import shown_path
from vbench.errors import MachineError
from vbench.execution.interpreters import Interpreter, describe_engine, find_interpreter
from vbench.spec.model import SweepFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEngine:
    """An interpreter that was asked. `problem` is None where a sweep could use it; then the other two are there."""

    python: str
    """As a person would type it here."""
    is_named: bool
    """Whether a person or a sweep asked for it; else it was found."""
    interpreter: Interpreter | None = None
    description: Mapping[str, Any] | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data; what isn't known is null."""
        held, said = self.interpreter, self.description
        return {
            "python": self.python,
            "named": self.is_named,
            "usable": self.problem is None,
            "problem": self.problem,
            "engine": held.distribution if held else None,
            "version": held.engine_version if held else None,
            "platform": said.get("platform") if said else None,
            "python_version": held.python_version if held else None,
            "torch": held.packages.get("torch") if held else None,
            "transformers": held.packages.get("transformers") if held else None,
            "arguments": len(said.get("arguments", {})) if said else None,
            "modes": modes_of(said) if said else None,
        }


def modes_of(description: Mapping[str, Any]) -> list[str]:
    """The ways of calling it that vbench has, less those that the engine said it lacks."""
    return [str(one) for one in description.get("modes") or get_args(SweepFile.model_fields["mode"].annotation)]


def list_engines(found: Iterable[str], named: Iterable[str], engine: str) -> list[ListedEngine]:
    """Ask each interpreter once, those named last unless they were found too. Never raises for a broken one."""
    asked: dict[str, tuple[str, bool]] = {}
    for python in found:
        asked.setdefault(_place(python), (python, False))
    for python in named:
        place = _place(python)
        asked[place] = (asked[place][0] if place in asked else python, True)
    return [_ask(python, engine, is_named=is_named) for python, is_named in asked.values()]


def all_named_usable(listed: Sequence[ListedEngine]) -> bool:
    """Whether what was asked for can be used: every one that was named, or any where none was."""
    named = [one.problem is None for one in listed if one.is_named]
    return all(named) if named else any(one.problem is None for one in listed)


def _ask(python: str, engine: str, *, is_named: bool) -> ListedEngine:
    shown = shown_path(python)
    held: Interpreter | None = None
    try:
        held = find_interpreter(python, engine)
        said = describe_engine(held, engine)
    except MachineError as error:  # its advice is for a sweep that has no other interpreter
        reason = str(error).replace(held.path if held else python, shown).replace(python, shown)
        return ListedEngine(python=shown, is_named=is_named, interpreter=held, problem=reason)
    return ListedEngine(python=shown, is_named=is_named, interpreter=held, description=said)


def _place(python: str) -> str:
    """The same for two ways to write one interpreter. Not resolved to the end: every virtual environment's python is
    a link to the same one."""
    path = shutil.which(os.path.expanduser(python)) or python
    return os.path.realpath(os.path.dirname(os.path.abspath(path)))
