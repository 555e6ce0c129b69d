"""Subjects for tests of single sections, and what a section says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.records.builders import make_run
from vbench.records.record import TrialRecord
from vbench.report.blocks import Block, Bullets, Grid, Plot, Prose, Section, walk
from vbench.report.contents import read_run
from vbench.report.plots_render import render
from vbench.report.subject import Subject

_Kind = TypeVar("_Kind", bound=Block)


def make_subject(root: Path, records: Sequence[TrialRecord], **run_facts: Any) -> Subject:
    """Of a run with these records."""
    run = make_run(root, records, **run_facts)
    return Subject(folder=run, contents=read_run(run))


def blocks_in(section: Section | None, kind: type[_Kind]) -> list[_Kind]:
    """Every block of that kind, folded ones too."""
    assert section is not None
    return [block for block in walk(section.blocks) if isinstance(block, kind)]


def plots_of(section: Section | None) -> dict[str, Plot]:
    """By name; each has been drawn once, with the mark of an emulated card."""
    found = {plot.name: plot for plot in blocks_in(section, Plot)}
    for plot in found.values():
        picture = render(plot.draw, "emulated t4: memory, not speed")
        assert picture.png.startswith(b"\x89PNG")
        assert b"emulated t4" in picture.svg
    return found


def words_of(section: Section | None) -> str:
    """All sentences of paragraphs and lists."""
    lists = [item for block in blocks_in(section, Bullets) for item in block.items]
    return "\n".join([*(block.text for block in blocks_in(section, Prose)), *lists])


def rows_of(section: Section | None, caption: str) -> list[tuple[str, ...]]:
    """The cells of the table with that caption."""
    (grid,) = (grid for grid in blocks_in(section, Grid) if grid.caption == caption)
    return [row.cells for row in grid.table.rows]
