"""The texts whose likelihood is measured: the shipped ones, and files of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from vbench.errors import SpecError
from vbench.quality.texts import SHIPPED, load_texts, read_texts, text_lines

SHIPPED_SHA256 = "778cf3d7de2a001355e58c6c6ed1ff36656b06898910fe3e5f8719c78e4497f6"
"""Numbers of different sets don't compare: whoever changes the set changes this, knowingly."""


class TestShippedSet:
    def test_is_the_one_that_earlier_numbers_are_of(self) -> None:
        assert load_texts(None, 1000).sha256 == SHIPPED_SHA256

    def test_holds_48_different_texts_of_useful_length(self) -> None:
        texts = read_texts(SHIPPED)

        assert len(set(texts)) == len(texts) == 48
        assert all(150 <= len(text) <= 1000 for text in texts)

    def test_is_of_several_scripts_within_the_first_32(self) -> None:
        texts = "".join(load_texts(None, 32).texts)

        assert all(sign in texts for sign in ("def ", "SELECT", "#include", "×", "ß", "é", "¿"))
        assert any("\u3040" <= char <= "\u30ff" for char in texts)
        assert any("\u4e00" <= char <= "\u9fff" for char in texts)


class TestFiles:
    def test_a_text_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "texts.txt"
        path.write_text("one\n\n  two words  \n", encoding="utf-8")

        assert read_texts(path) == ["one", "two words"]

    def test_json_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "texts.jsonl"
        path.write_text('{"text": "a\\nb", "id": 3}\n\n{"text": ""}\n{"text": "c"}\n', encoding="utf-8")

        assert load_texts(path, 1).texts == ("a\nb",)
        assert read_texts(path) == ["a\nb", "c"]

    def test_what_is_written_is_read_as_the_same_set(self, tmp_path: Path) -> None:
        texts = load_texts(None, 7)
        path = tmp_path / "frozen.jsonl"
        path.write_bytes(text_lines(texts.texts))

        assert load_texts(path, 1000) == texts

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "holds no text"),
            (b'{"text": "a"}\n{"txt": "b"}\n', ":2: lacks a `text`"),
            (b"plain words\n", ":1: not JSON"),
            (b'{"text": "a"}\n\xff\n', ":2: not UTF-8 text"),
        ],
    )
    def test_what_is_wrong_is_said_with_its_line(self, tmp_path: Path, content: bytes, said: str) -> None:
        path = tmp_path / "texts.jsonl"
        path.write_bytes(content)

        with pytest.raises(SpecError) as caught:
            read_texts(path)

        assert said in str(caught.value)
