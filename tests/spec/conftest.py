"""A sound sweep file to add to: two lines, so that what a test adds begins on line 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vbench.errors import SpecError
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec

BASE = """\
model: org/name
prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}
"""
Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    def parse(extra: str = "", overrides: Sequence[str] = (), base: str = BASE) -> SweepSpec:
        return parse_spec(base + extra, tmp_path / "sweep.yaml", overrides)

    return parse


@pytest.fixture
def refuse(tmp_path: Path) -> Refuse:
    """What the user reads, the folder left out."""

    def refuse(extra: str = "", overrides: Sequence[str] = (), base: str = BASE) -> str:
        with pytest.raises(SpecError) as caught:
            parse_spec(base + extra, tmp_path / "sweep.yaml", overrides)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refuse
