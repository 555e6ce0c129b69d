"""Secrets that vbench hid, in a sweep that is to be run: a command that it printed was pasted, or a run's own file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.records.redaction import HIDDEN
from vbench.spec.types import SweepSpec

_HINT = "write the secret in its place, or leave it out and have it in your own environment, which trials inherit"


def refuse_hidden_values(spec: SweepSpec, path: Path) -> None:
    """Raises SpecError where the engine would be given `***` for a token, which it would then believe."""
    problems = [
        Problem(message=f"{HIDDEN} stands for a secret that vbench keeps back", key=key, line=line, hint=_HINT)
        for key, line in _hidden(spec)
    ]
    if problems:
        raise SpecError(str(path), problems)


def _hidden(spec: SweepSpec) -> Iterator[tuple[str, int | None]]:
    for section in ("environment", "engine_args", "baseline"):
        settings: dict[str, Any] = dict(getattr(spec, section) or {})
        for name, value in settings.items():
            text = json.dumps(value, default=str)
            if f'"{HIDDEN}"' in text or f":{HIDDEN}@" in text:
                yield f"{section}.{name}", spec.lines.get(f"{section}.{name}")
