"""What a sweep lets the engine run of others' code: said before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vbench.analysis.foreign_code import foreign_code_note
from vbench.spec.config import effective_config
from vbench.spec.parameters import domains
from vbench.spec.types import Choice, SweepSpec


def foreign_code_of(spec: SweepSpec) -> list[str]:
    """A note, or none: of the fixed settings, of the baseline's, and of every option that may be tried."""
    note = foreign_code_note(_settings(spec))
    return [] if note is None else [note]


def _settings(spec: SweepSpec) -> Iterator[Mapping[str, Any]]:
    yield effective_config(spec, {})
    yield spec.baseline or {}
    for path, domain in domains(spec.parameters):
        for option in domain.options if isinstance(domain, Choice) else ():
            yield {path.rpartition(".")[2]: option.value}
            yield {name: value for name, value in option.settings.items() if not isinstance(value, Choice)}
