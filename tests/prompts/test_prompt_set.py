from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.errors import SpecError
from vbench.prompts.jsonl import read_prompts
from vbench.prompts.prompt_set import PromptSet, load_prompt_set, write_jsonl
from vbench.spec.types import PromptSpec, SyntheticPrompts


def synthetic(model: str = "org/name", *, limit: int | None = None, **recipe: int) -> PromptSet:
    recipe = {"count": 3, "input_tokens": 8, **recipe}
    return load_prompt_set(PromptSpec(synthetic=SyntheticPrompts(**recipe), limit=limit, output_tokens=4), model)


def ids(prompts: PromptSet) -> list[list[int]]:
    return [item["prompt_token_ids"] for item in prompts.items]


def of_file(tmp_path: Path, content: str | bytes, **spec: Any) -> PromptSet:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_prompt_set(PromptSpec(file=path, **{"output_tokens": 4, **spec}), "org/name")


def model_folder(tmp_path: Path, config: object) -> str:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return str(tmp_path)


def test_synthetic_prompts_are_the_same_every_time() -> None:
    first = synthetic()

    assert first == synthetic()
    assert [len(one) for one in ids(first)] == [8, 8, 8]
    assert first.num_prompts == 3
    assert first.source == "synthetic: 3 × 8 tokens, seed 0"


def test_synthetic_prompts_stay_the_same_on_other_versions() -> None:
    # random.Random(0) begins 0.84442, 0.75795, 0.42057, 0.25892; an id is 100 + int(that × 29,900).
    assert ids(synthetic(count=1, input_tokens=4)) == [[25348, 22762, 12675, 7841]]


def test_another_seed_is_another_set() -> None:
    assert synthetic(seed=1).sha256 != synthetic().sha256


def test_the_first_tokens_are_shared() -> None:
    prompts = ids(synthetic(shared_prefix_tokens=5))

    assert len({tuple(one[:5]) for one in prompts}) == 1
    assert len({tuple(one) for one in prompts}) == 3


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [
        ({"vocab_size": 300}, 100, 300),
        ({"vocab_size": 64}, 0, 64),
        ({"text_config": {"vocab_size": 400}}, 100, 400),
        ({"vocab_size": 150_000}, 100, 30_000),
        ({"vocab_size": "many"}, 100, 30_000),
        ({}, 100, 30_000),
    ],
)
def test_token_ids_stay_within_the_vocabulary(tmp_path: Path, config: object, low: int, high: int) -> None:
    drawn = [one for prompt in ids(synthetic(model_folder(tmp_path, config), input_tokens=2000)) for one in prompt]

    assert low <= min(drawn) < low + (high - low) // 10
    assert high - (high - low) // 10 < max(drawn) + 1 <= high


def test_a_faulty_config_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"config\.json is not a JSON object"):
        synthetic(model_folder(tmp_path, []))


def test_a_limit_takes_the_first_ones(tmp_path: Path) -> None:
    assert ids(synthetic(limit=2)) == ids(synthetic())[:2]
    assert of_file(tmp_path, '{"prompt": "a"}\n{"prompt": "b"}\nbroken', limit=2).num_prompts == 2


@pytest.mark.parametrize(
    "item",
    [
        {"prompt": "What is 1 + 1?"},
        {"prompt": "Größe 漢字 \u2028 🙂"},
        {"prompt_token_ids": [1, 2, 3]},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
    ],
)
def test_a_line_of_each_kind(tmp_path: Path, item: dict[str, Any]) -> None:
    content = json.dumps({**item, "id": 7, "answer": "2"}, ensure_ascii=False)

    assert of_file(tmp_path, content).items == (item,)


def test_blank_lines_and_a_byte_order_mark_are_no_prompts(tmp_path: Path) -> None:
    assert of_file(tmp_path, b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n  \n{"prompt": "b"}').num_prompts == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{broken", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ('{"prompt": NaN}', "not JSON: NaN is not a number"),
        ("[" * 100_000, "not JSON that can be read: nested too deeply"),
        ("9" * 5000, "not JSON: Exceeds the limit (4300 digits)"),
        ('"text"', 'expected an object such as {"prompt": "…"}'),
        ("[1]", "expected an object"),
        ('{"text": "a"}', "lacks a prompt (prompt, prompt_token_ids, messages)"),
        ('{"prompt": "a", "messages": []}', "has prompt and messages: which is it?"),
        ('{"prompt": 5}', "prompt must be text"),
        ('{"prompt": ""}', "an empty prompt"),
        ('{"prompt": " \\n"}', "an empty prompt"),
        ('{"prompt": "a\\u0000"}', "a NUL character in the prompt"),
        ('{"prompt": "a\\ud800"}', "half a character (a lone surrogate) in the prompt"),
        ('{"prompt": "\0"}', "a NUL byte: this is not a text file"),
        ('{"prompt_token_ids": []}', "an empty prompt"),
        ('{"prompt_token_ids": [1, true]}', "prompt_token_ids must be a list of whole numbers, 0 or more"),
        ('{"prompt_token_ids": [-1]}', "prompt_token_ids must be a list of whole numbers"),
        ('{"prompt_token_ids": [1.5]}', "prompt_token_ids must be a list of whole numbers"),
        ('{"messages": []}', "an empty prompt"),
        ('{"prompt": "a", "n": 1e999}', "the number 1e999 is beyond what a number can hold"),
        ('{"prompt": "a", "prompt": "b"}', "the key 'prompt' is there twice: which is it?"),
        ('{"messages": [{"role": "user", "role": "a", "content": "b"}]}', "the key 'role' is there twice"),
        ('{"messages": "Hi"}', "messages must be a list of"),
        ('{"messages": [{"role": "user"}]}', "each message needs a role and a content"),
        ('{"messages": [{"role": "user", "content": "\\u0000"}]}', "a NUL character in the prompt"),
        ('{"prompt_token_ids": [1]}', "prompt_token_ids among lines of prompt: one kind a file"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        of_file(tmp_path, f'{{"prompt": "first"}}\n\n{line}\n')

    assert str(caught.value).startswith(f"{tmp_path}/p.jsonl:3: {expected}")


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"p\.jsonl:1: not UTF-8 text"):
        of_file(tmp_path, b'{"prompt": "\xff"}')


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(SpecError, match="an empty prompt set: there is nothing to measure"):
        of_file(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="can't be read: No such file or directory"):
        read_prompts(tmp_path / "nowhere.jsonl")


def test_reading_stops_after_twenty_faulty_lines(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        of_file(tmp_path, "broken\n" * 1000)

    assert len(caught.value.problems) == 21
    assert "reading stopped after 20 faulty lines" in str(caught.value)


def test_the_digest_depends_on_what_is_asked_and_not_on_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    content = '{"prompt": "a"}\n'
    first = of_file(tmp_path, content)

    assert of_file(tmp_path / "other", '\n{"id": 1, "prompt": "a"}').sha256 == first.sha256
    assert of_file(tmp_path, '{"prompt": "b"}').sha256 != first.sha256
    assert of_file(tmp_path, content, output_tokens=5).sha256 != first.sha256
    assert of_file(tmp_path, content, output_tokens=None, max_tokens=4).sha256 != first.sha256


def test_synthetic_prompts_survive_the_file_of_the_worker(tmp_path: Path) -> None:
    prompts = synthetic()

    write_jsonl(prompts, tmp_path / "w.jsonl")

    again = load_prompt_set(PromptSpec(file=tmp_path / "w.jsonl", output_tokens=4), "org/name")
    assert (again.items, again.sha256) == (prompts.items, prompts.sha256)


@given(texts=st.lists(st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text), min_size=1))
def test_any_text_survives_the_file_of_the_worker(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "p.jsonl"
    items: tuple[dict[str, Any], ...] = tuple({"prompt": text} for text in texts)

    write_jsonl(PromptSet(items=items, sha256="", source=""), path)

    assert tuple(read_prompts(path)) == items
