from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from vbench.report.contents import RunContents, read_run
from vbench.report.marks import Mark, mark_of, mark_of_page

EMULATED = {"profile": "t4", "is_emulated": True, "limit_bytes": 15 << 30, "notes": ["an RTX 3090 stood in"]}


def contents(tmp_path: Path, engine: str = "vllm", target: dict[str, Any] | None = None) -> RunContents:
    return read_run(make_run(tmp_path, [make_record(0, engine=engine)], target=target))


def test_a_plain_measurement_has_no_mark(tmp_path: Path) -> None:
    assert mark_of(contents(tmp_path, target={"profile": "t4", "is_emulated": False}), is_fake=False) is None


@pytest.mark.parametrize("notes", [[], "text", None, 3])
def test_an_emulated_card_is_named_and_says_what_stood_in(tmp_path: Path, notes: Any) -> None:
    mark = mark_of(contents(tmp_path, target=EMULATED), is_fake=False)
    assert mark is not None
    assert (mark.word, mark.sentences) == ("emulated", ("an RTX 3090 stood in",))
    assert "t4" in mark.text
    odd = mark_of(contents(tmp_path, target={**EMULATED, "notes": notes, "profile": None}), is_fake=False)
    assert odd is not None
    assert odd.sentences


def test_the_strongest_gives_the_word_and_all_have_their_sentences(tmp_path: Path) -> None:
    mark = mark_of(contents(tmp_path, "fake", EMULATED), is_fake=True)
    assert mark is not None
    assert mark.word == "fake"
    assert "an RTX 3090 stood in" in mark.sentences
    simulated = mark_of(contents(tmp_path, "simulated", EMULATED), is_fake=False)
    assert simulated is not None
    assert simulated.word == "simulated"
    assert "an RTX 3090 stood in" in simulated.sentences


def test_a_page_of_parts_says_which_part_isn_t_measured() -> None:
    fake = Mark(word="fake", text="fake engine", sentences=("x",))
    emulated = Mark(word="emulated", text="emulated t4", sentences=("y",))
    assert mark_of_page([None, None]) is None
    assert mark_of_page([fake, fake]) == fake
    some = mark_of_page([None, fake])
    assert some is not None
    assert (some.word, some.text, some.sentences) == ("partly-fake", "partly fake engine", ("Part 2: fake engine.",))
    both = mark_of_page([emulated, fake])
    assert both is not None
    assert both.word == "emulated+fake"
    assert len(both.sentences) == 2
