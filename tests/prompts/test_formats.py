"""ShareGPT, text and the choice between formats; digests that are asked for; the chat template."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from vbench.errors import SpecError
from vbench.prompts.reading import FileContent, content_digest, format_of, read_file
from vbench.prompts.summary import common_prefix_share
from vbench.spec.prompt_types import PromptFile

GOOD = {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]}


def read(path: Path, limit: int | None = None, **how: Any) -> FileContent:
    return read_file(PromptFile(path=path, **how), limit)


def write(tmp_path: Path, name: str, content: object) -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return path


def prompts(content: FileContent) -> list[str]:
    return [item["prompt"] for item in content.items]


class TestShareGpt:
    def test_the_first_human_turn_is_the_prompt(self, tmp_path: Path) -> None:
        second = {"id": "x", "conversations": [{"from": "system", "value": "S"}, {"from": "user", "value": "Who?"}]}
        found = read(write(tmp_path, "a.json", [GOOD, second]))

        assert (found.format, prompts(found), found.notes) == ("sharegpt", ["Why?", "Who?"], ())

    def test_what_is_passed_over_is_said(self, tmp_path: Path) -> None:
        short = {"conversations": GOOD["conversations"][:1]}
        deaf = {"conversations": [{"from": "gpt", "value": "a"}] * 2}
        found = read(write(tmp_path, "a.json", [short, GOOD, short, deaf]))

        assert prompts(found) == ["Why?"]
        assert found.notes == (
            "2 conversations passed over: fewer than 2 turns",
            "1 conversation passed over: no turn of a human",
        )

    def test_a_limit_counts_prompts_and_stops_before_what_is_broken(self, tmp_path: Path) -> None:
        text = json.dumps([GOOD, GOOD])[:-1] + ", broken"

        assert prompts(read(write(tmp_path, "a.json", text), limit=2)) == ["Why?", "Why?"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('[\n{"conversations": 5}\n]', ":2: lacks conversations (expected ["),
            ('[\n\n{"conversations": [{"from": "human"}]}]', ":3: each turn needs from and value"),
            ('[\n{"a": 1}', ":2: lacks conversations"),
            ("[\n{]", ":2: not JSON: Expecting property name"),
            ("[]", ": an empty prompt set: no conversation has a prompt"),
            ('[{"conversations": []}]', "(1 conversation passed over: fewer than 2 turns)"),
            ('[{"conversations": [{"from": "human", "value": "\\u0000"}, {"from": "gpt", "value": ""}]}]', "NUL"),
        ],
    )
    def test_faults_are_named(self, tmp_path: Path, text: str, expected: str) -> None:
        with pytest.raises(SpecError) as caught:
            read(write(tmp_path, "a.json", text), format="sharegpt")

        assert expected in str(caught.value)

    def test_an_object_is_no_list(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="not a JSON list"):
            read(write(tmp_path, "a.json", GOOD), format="sharegpt")


class TestText:
    def test_a_file_is_one_prompt(self, tmp_path: Path) -> None:
        assert prompts(read(write(tmp_path, "a.txt", "one\n\n---\ntwo\n"))) == ["one\n\n---\ntwo"]

    def test_a_separator_cuts_it(self, tmp_path: Path) -> None:
        found = read(write(tmp_path, "a.txt", "one\nmore\n---\n\ntwo\r\n--- \n"), separator="---")

        assert prompts(found) == ["one\nmore", "two"]

    def test_nothing_between_two_separators(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match=r"a\.txt:3: an empty prompt"):
            read(write(tmp_path, "a.txt", "one\n---\n\n---\ntwo"), separator="---")

    def test_a_folder_has_a_prompt_a_file(self, tmp_path: Path) -> None:
        write(tmp_path, "b.txt", "second")
        write(tmp_path, "a.txt", "first\n")
        write(tmp_path, "notes.md", "not a prompt")

        assert prompts(read(tmp_path)) == ["first", "second"]
        assert prompts(read(tmp_path, limit=1)) == ["first"]

    def test_a_faulty_file_of_a_folder_is_named(self, tmp_path: Path) -> None:
        write(tmp_path, "a.txt", " \n")
        (tmp_path / "b.txt").write_bytes(b"\xff")

        with pytest.raises(SpecError) as caught:
            read(tmp_path)
        assert "a.txt: an empty prompt" in str(caught.value)
        assert "b.txt: not UTF-8 text" in str(caught.value)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="an empty prompt set"):
            read(tmp_path)

    def test_a_separator_is_for_text(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="a separator is for text, this is jsonl"):
            read(write(tmp_path, "a.jsonl", '{"prompt": "a"}'), format="jsonl", separator="---")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.jsonl", "[", "jsonl"),
        ("a.txt", "Hello", "text"),
        ("a.txt", '{"prompt": "a"}\n{"prompt": "b"}', "jsonl"),
        ("a.json", ' \n[ {"conversations": []}]', "sharegpt"),
        ("a.json", '{"prompt": "a"}', "jsonl"),
        ("a", "[]", "sharegpt"),
        ("a", "[1, 2]", "jsonl"),
    ],
)
def test_the_format_is_seen(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert format_of(PromptFile(path=write(tmp_path, name, text))) == expected


def test_a_digest_that_fits_by_either_way_of_taking_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"id": 1, "prompt": "a"}\n{"prompt": "b"}\n')
    items = [{"prompt": "a"}, {"prompt": "b"}]

    for digest in (content_digest(items), hashlib.sha256(path.read_bytes()).hexdigest()[:12]):
        assert read(path, limit=1, sha256=digest).items == items[:1]


def test_a_changed_file_is_refused_with_both_digests(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"prompt": "a"}\n')

    with pytest.raises(SpecError) as caught:
        read(path, sha256="0" * 64)
    assert f"the sweep names sha256 {'0' * 64}, they have {content_digest([{'prompt': 'a'}])}" in str(caught.value)


def test_the_digest_is_that_of_the_canonical_file() -> None:
    assert content_digest([{"prompt": "é"}]) == hashlib.sha256(b'{"prompt":"\\u00e9"}\n').hexdigest()


def test_plain_prompts_become_messages(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"prompt": "a", "output_tokens": 5}')

    assert read(path, chat_template=True).items == [
        {"messages": [{"role": "user", "content": "a"}], "output_tokens": 5}
    ]


def test_messages_stay_what_they_are(tmp_path: Path) -> None:
    item = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]}

    assert read(write(tmp_path, "a.jsonl", json.dumps(item)), chat_template=True).items == [item]


def test_token_ids_have_no_chat_template(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="chat_template doesn't go with prompt_token_ids"):
        read(write(tmp_path, "a.jsonl", '{"prompt_token_ids": [1]}'), chat_template=True)


@pytest.mark.parametrize("value", ["0", "true", '"8"', "1.5"])
def test_an_output_length_is_a_whole_number(tmp_path: Path, value: str) -> None:
    with pytest.raises(SpecError, match=r"a\.jsonl:1: output_tokens must be a whole number, 1 or more"):
        read(write(tmp_path, "a.jsonl", f'{{"prompt": "a", "output_tokens": {value}}}'))


def test_lines_behind_one_that_is_too_long_keep_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.prompts.jsonl.MAX_LINE_BYTES", 100)
    monkeypatch.setattr("vbench.prompts.jsonl._SKIPPED_BYTES", 7)
    fits = json.dumps({"prompt": "a" * 85}) + "\n"  # exactly as long as a line may be
    path = tmp_path / "p.jsonl"
    path.write_text(f'{fits}{{"prompt": "{"a" * 1000}"}}\n{fits}nonsense\n')
    assert len(fits) == 100
    with pytest.raises(SpecError) as caught:
        read_file(PromptFile(path=path))
    assert [problem.line for problem in caught.value.problems] == [2, 4]


def test_ids_that_are_there_twice_are_told(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(f'{{"prompt": "p", "id": {one}}}\n' for one in (1, 2, '"2"', 2, "[3]", "[3]", 1)))
    content = read_file(PromptFile(path=path))
    assert len(content.items) == 7
    (note,) = content.notes
    assert note.startswith("line 4 has the id of line 2, and 1 more such line")


@pytest.mark.parametrize("name", ["pipe.jsonl", "pipe.txt", "pipe.json", "/dev/null", "folder"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
        os.mkfifo(path / "a.txt")
    elif not path.exists():
        os.mkfifo(path)
    with pytest.raises(SpecError, match="it is a pipe or a device"):
        read_file(PromptFile(path=path))


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [("", "", 0), ("a", "b", 0), ("ab", "ab", 2), ("ab", "abc", 2), ("abcdx", "abcdyz", 4), ("xbcd", "abcd", 0)],
)
def test_common_beginnings_are_found_by_halves(one: str, other: str, shared: int) -> None:
    total = len(one) + len(other)
    share = common_prefix_share([{"prompt": one}, {"prompt": other}])
    assert share == (round(shared / total, 4) if total else 0.0)
