"""docs/reliability.md has the row of every fault, with the promise that its test holds; and the counts add up."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import every
from tests.faults.matrix import PARTS

FOLDER = Path(__file__).parent


def declared() -> Iterator[tuple[str, str, str]]:
    """What the tests' marks say, without running them."""
    for path in sorted(FOLDER.glob("test_*.py")):
        module = importlib.import_module(f"tests.faults.{path.stem}")
        for one in _with_members(vars(module).values()):
            yield from (mark.args for mark in _marks(one) if mark.name == "fault")


def _with_members(found: Iterable[Any]) -> Iterator[Any]:
    for one in list(found):
        yield one
        if isinstance(one, type) and one.__name__.startswith("Test"):
            yield from vars(one).values()


def _marks(one: Any) -> Iterator[pytest.Mark]:
    """A test's own, and those of its parameters."""
    marks = getattr(one, "pytestmark", None)
    for mark in marks if isinstance(marks, list) else []:
        yield mark
        for value in mark.args[1] if mark.name == "parametrize" else ():
            yield from (each.mark for each in getattr(value, "marks", ()))


def row(**changes: Any) -> dict[str, Any]:
    plain = {"part": "engine", "name": "a", "promise": "b", "tests": 1, "skipped": 0, "survived": 2, "faults_tried": 2}
    return {**plain, **dict.fromkeys(every._COUNTED, 0), **changes}


def test_every_fault_stands_on_the_page() -> None:
    lines = every.PAGE.read_text(encoding="utf-8").splitlines()
    rows = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in lines if line.startswith("| ")]
    missing = [(name, promise) for _, name, promise in declared() if (name, promise) not in rows]
    assert not missing, "run `make faults ARGS=--write`"


def test_marks_can_stand_in_a_table() -> None:
    promises: dict[tuple[str, str], str] = {}
    for part, name, promise in declared():
        assert part in PARTS
        assert "|" not in name + promise
        assert "\n" not in name + promise
        assert promises.setdefault((part, name), promise) == promise, f"{name}: two promises"


def test_counts_add_up() -> None:
    fuzzed = {"faults_tried": 100, "survived": 100, "exit_code": 0}
    soaked = {"faults_tried": 7, "survived": 7, "trials": 30, "exit_code": 0}
    found = every.summary([row(), row(name="c", tests=0, skipped=1, faults_tried=0, survived=0)], fuzzed, soaked, 1)
    assert (found["faults_tried"], found["faults_survived"], found["skipped_here"]) == (109, 109, ["c"])
    assert (found["files_fuzzed"], found["trials_soaked"]) == (100, 30)
    assert every.is_clean(found)


def test_one_lost_record_is_not_clean() -> None:
    assert not every.is_clean(every.summary([row(records_lost=1)], None, None, 1))
    assert not every.is_clean(every.summary([row(survived=1)], None, None, 1))
    assert not every.is_clean(every.summary([row()], {"exit_code": 1}, None, 1))


def test_the_page_is_filled_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"head\n{every.BEGIN}\nold\n{every.END}\nfoot\n", encoding="utf-8")
    found = every.summary([row()], None, None, 1)
    every.write(page, [row()], found)
    every.write(page, [row()], found)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"head\n{every.BEGIN}\n")
    assert text.endswith(f"{every.END}\nfoot\n")
    assert "old" not in text
    assert text.count("| a | b | 2 | 2 |") == 1
