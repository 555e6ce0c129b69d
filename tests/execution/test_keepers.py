"""Several keepers in one run: by interpreter and environment, and none harms another."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execution.bench import is_alive
from vbench.execution.interpreters import Interpreter, find_interpreter
from vbench.execution.keepers import Keepers
from vbench.spec.loader import parse_spec

SPEC = "engine: fake\nmodel: org/name\nprompts: {synthetic: {count: 3, input_tokens: 6}, output_tokens: 4}\n"


@pytest.fixture
def interpreter() -> Interpreter:
    return find_interpreter(None, "fake")


@pytest.fixture
def keepers(tmp_path: Path) -> Iterator[Keepers]:
    made = Keepers(parse_spec(SPEC, tmp_path / "sweep.yaml", ()), uuid.uuid4().hex, tmp_path / "keeper.log")
    yield made
    made.close()


def test_one_for_each_environment_and_the_same_again(keepers: Keepers, interpreter: Interpreter) -> None:
    first = keepers.running(interpreter, {"A": "1"}, preload=True)
    second = keepers.running(interpreter, {"A": "2"}, preload=True)

    assert first is not second
    assert keepers.running(interpreter, {"A": "1"}, preload=True) is first
    assert set(keepers.pids) == {first.pid, second.pid}


def test_one_that_stops_leaves_the_others(keepers: Keepers, interpreter: Interpreter) -> None:
    first = keepers.running(interpreter, {"A": "1"}, preload=True)
    second = keepers.running(interpreter, {"A": "2"}, preload=True)

    keepers.drop(first)

    assert not is_alive(first.pid)
    assert is_alive(second.pid)
    assert keepers.running(interpreter, {"A": "2"}, preload=True) is second


def test_of_more_than_three_the_longest_unused_stops(keepers: Keepers, interpreter: Interpreter) -> None:
    made = [keepers.running(interpreter, {"A": str(number)}, preload=True) for number in range(3)]
    keepers.running(interpreter, {"A": "0"}, preload=True)
    keepers.running(interpreter, {"A": "3"}, preload=True)

    assert [is_alive(one.pid) for one in made] == [True, False, True]
