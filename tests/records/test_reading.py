"""Reading one by one, and single lines again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.builders import make_record
from vbench.errors import Problem, StoreError
from vbench.records.store import RecordStore


def stored(tmp_path: Path, count: int) -> RecordStore:
    store = RecordStore(tmp_path / "trials.jsonl")
    for trial in range(count):
        store.append(make_record(trial, 200.0 + trial))
    return store


def test_each_gives_what_read_gives_and_where_it_begins(tmp_path: Path) -> None:
    store = stored(tmp_path, 3)
    with store.path.open("ab") as file:
        file.write(b"\n{torn")
    problems: list[Problem] = []
    lines = list(store.each(problems))
    assert tuple(line.record for line in lines) == store.read().records
    assert tuple(problems) == store.read().problems
    assert store.at(line.offset for line in reversed(lines)) == [line.record for line in reversed(lines)]


def test_lines_are_counted_up_to_a_limit(tmp_path: Path) -> None:
    store = stored(tmp_path, 3)
    assert (store.num_lines(10), store.num_lines(2)) == (3, 2)
    assert RecordStore(tmp_path / "none.jsonl").num_lines(2) == 0


def test_a_file_that_changed_meanwhile_is_said(tmp_path: Path) -> None:
    store = stored(tmp_path, 2)
    offsets = [line.offset for line in store.each([])]
    store.path.write_bytes(b"{}\n")
    with pytest.raises(StoreError, match="changed while it was read"):
        store.at(offsets)
