"""docs/reliability.md has the row of every fault, with the promise that its test holds; and the counts add up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults import every
from tests.faults.matrix import PARTS

FOLDER = Path(__file__).parent


def declared() -> Iterator[tuple[str, str, str]]:
    """What the tests' marks say, read without running them."""
    for path in sorted(FOLDER.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fault":
                part, name, promise = (ast.literal_eval(one) for one in node.args)
                yield part, name, promise


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
