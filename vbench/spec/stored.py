"""The space of a run from the sweep file that is stored with it, wherever its model and prompts are by now."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vbench.errors import SpecError
from vbench.spec.model import SweepFile
from vbench.spec.overrides import apply_overrides
from vbench.spec.parameters import ParameterReader
from vbench.spec.problems import Problems
from vbench.spec.types import Parameter
from vbench.spec.yaml_lines import read_yaml

_HIDDEN = re.compile(r"(:[ \t]*)\*\*\*(?=[ \t]*(?:[,}#]|$))", re.MULTILINE)
"""A hidden secret as runs have it: `*` begins an alias in YAML, so the whole file couldn't be read."""


def readable(text: str) -> str:
    """A stored sweep file's text with its hidden secrets as the text `***`, which YAML can be read with."""
    return _HIDDEN.sub(r'\1"***"', text)


def stored_parameters(text: str, overrides: Sequence[str] = ()) -> tuple[Parameter, ...]:
    """Every parameter of the file that can be read; none where the file can't be read at all. Nothing is looked up."""
    try:
        document = read_yaml(readable(text), "sweep.yaml")
    except SpecError:
        return ()
    problems = Problems(document.lines, source="sweep.yaml")
    raw = apply_overrides(document.value, overrides, SweepFile.model_fields, problems)
    parameters, fixed = raw.get("parameters"), raw.get("engine_args")
    reader = ParameterReader(
        problems=problems, resolve_model=lambda _, model: model, resolve_python=lambda python: python, is_grid=False
    )
    try:
        return reader.read(parameters if isinstance(parameters, dict) else {}, fixed if isinstance(fixed, dict) else {})
    except SpecError:  # hardly anything of it can be read
        return ()
