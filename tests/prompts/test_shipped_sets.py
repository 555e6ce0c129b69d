"""The sets that ship: each reads, holds nothing twice, and is what its script writes."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from vbench.prompts.reading import read_file
from vbench.prompts.summary import summarize
from vbench.spec.prompt_types import PromptFile

ROOT = Path(__file__).parent.parent.parent
SETS = ROOT / "sweeps" / "prompts"
SCRIPT = runpy.run_path(str(ROOT / "tools" / "arc_prompts.py"))
PUZZLES = [json.loads(line) for line in (SETS / "arc.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("name", "kind", "number"), [("chat", "messages", 40), ("code", "prompt", 24), ("arc", "prompt", 24)]
)
def test_a_set(name: str, kind: str, number: int) -> None:
    found = summarize(read_file(PromptFile(path=SETS / f"{name}.jsonl")).items)

    assert (found["kind"], found["num_prompts"], found["duplicates"]) == (kind, number, 0)


def test_the_puzzles_are_what_the_script_writes() -> None:
    assert (SETS / "arc.jsonl").read_text(encoding="utf-8").splitlines() == SCRIPT["lines"]()


@pytest.mark.parametrize("puzzle", PUZZLES, ids=lambda puzzle: puzzle["id"])
def test_a_puzzle_has_one_answer_among_the_rules(puzzle: dict[str, str]) -> None:
    """Every rule that explains all pairs gives the same output for the test."""
    *pairs, test = puzzle["prompt"].split("Input:\n")[1:]
    examples = [pair.split("\n\n")[0].split("\nOutput:\n") for pair in pairs]
    fitting = [rule for rule in SCRIPT["RULES"] if all(applied(rule, one) == other for one, other in examples)]

    assert 2 <= len(examples) <= 4
    assert fitting
    assert {applied(rule, test.strip()) for rule in fitting} == {puzzle["answer"]}


def applied(rule: Callable[[list[list[int]]], list[list[int]]], text: str) -> str:
    return "\n".join(
        " ".join(map(str, row)) for row in rule([[int(cell) for cell in row.split()] for row in text.splitlines()])
    )
