"""Sets of drawn lengths and shared beginnings."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from vbench.errors import SpecError
from vbench.prompts.prompt_set import PromptSet, load_prompt_set, write_jsonl
from vbench.prompts.synthetic import draw_lengths
from vbench.spec.prompt_types import (
    PER_PROMPT,
    Lengths,
    Normal,
    PromptSpec,
    SyntheticPrompts,
    Uniform,
    Values,
    VariedPrompts,
)


def varied(output: Any = 4, **recipe: Any) -> PromptSet:
    recipe = {"count": 6, "input_tokens": 8, **recipe}
    return load_prompt_set(PromptSpec(synthetic=VariedPrompts(**recipe), output_tokens=output), "org/name")


def lengths(prompts: PromptSet) -> list[int]:
    return [len(item["prompt_token_ids"]) for item in prompts.items]


def test_the_plain_form_and_the_varied_one_make_the_same_ids() -> None:
    plain = PromptSpec(synthetic=SyntheticPrompts(count=6, input_tokens=8, shared_prefix_tokens=3), output_tokens=4)

    assert load_prompt_set(plain, "org/name").sha256 == varied(shared_prefix_tokens=3).sha256


def test_digests_of_plain_sets_are_what_they_always_were() -> None:
    spec = PromptSpec(synthetic=SyntheticPrompts(count=2, input_tokens=4), output_tokens=8)

    assert load_prompt_set(spec, "org/name").sha256 == PLAIN


PLAIN = "9e7c1eae0ab473eadc90bc3d11ab8264b4662b41cd67d21130585b9f4e17d665"


def test_values_are_taken_in_turn() -> None:
    assert lengths(varied(input_tokens=Values(values=(3, 5, 7)))) == [3, 5, 7, 3, 5, 7]


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (Normal(mean=100, stdev=20), [96, 98, 46, 126, 114, 93]),
        (Uniform(low=1, high=1000), [135, 848, 764, 256, 496, 450]),
    ],
)
def test_drawn_lengths_are_the_same_on_every_python(length: Lengths, expected: list[int]) -> None:
    assert draw_lengths(length, 6, seed=0, stream=1) == expected


def test_normal_lengths_are_normal_and_clipped() -> None:
    many = draw_lengths(Normal(mean=500, stdev=50), 4000, seed=3, stream=1)
    clipped = draw_lengths(Normal(mean=500, stdev=50, min=480, max=520), 4000, seed=3, stream=1)

    assert fmean(many) == pytest.approx(500, abs=3)
    assert stdev(many) == pytest.approx(50, abs=2)
    assert (min(clipped), max(clipped)) == (480, 520)


def test_uniform_lengths_reach_both_ends() -> None:
    many = draw_lengths(Uniform(low=3, high=6), 400, seed=0, stream=1)

    assert set(many) == {3, 4, 5, 6}


def test_the_first_lengths_do_not_depend_on_how_many_follow() -> None:
    few, many = (draw_lengths(Uniform(low=1, high=99), count, seed=1, stream=1) for count in (5, 50))

    assert many[:5] == few


def test_a_share_of_each_prompt_is_shared() -> None:
    prompts = varied(input_tokens=Values(values=(10, 20)), shared_prefix_share=0.5)
    short, long = (prompts.items[index]["prompt_token_ids"] for index in (0, 1))

    assert long[:5] == short[:5]
    assert long[:10] == prompts.items[3]["prompt_token_ids"][:10]
    assert long[10:] != prompts.items[3]["prompt_token_ids"][10:]


def test_several_prefixes_are_taken_in_turn() -> None:
    prompts = varied(shared_prefix_tokens=4, num_prefixes=2)
    begins = [tuple(item["prompt_token_ids"][:4]) for item in prompts.items]

    assert begins[0::2] == [begins[0]] * 3
    assert begins[1::2] == [begins[1]] * 3
    assert begins[0] != begins[1]
    assert prompts.source == "synthetic: 6 × 8 tokens, 4 shared in 2 groups, seed 0"


def test_no_prompt_is_shorter_than_its_prefix() -> None:
    prompts = varied(count=200, input_tokens=Normal(mean=20, stdev=10), shared_prefix_tokens=15)

    assert min(lengths(prompts)) == 15


def test_output_lengths_are_drawn_for_each() -> None:
    prompts = varied(output=Uniform(low=2, high=9))

    assert prompts.output_lengths is not None
    assert len(prompts.output_lengths) == 6
    assert prompts.output_tokens == max(prompts.output_lengths)
    assert prompts.sha256 != varied(output=Uniform(low=2, high=10)).sha256
    assert varied().output_lengths is None


def test_output_lengths_survive_the_file_of_the_worker(tmp_path: Path) -> None:
    prompts = varied(output=Values(values=(2, 3)))
    write_jsonl(prompts, tmp_path / "w.jsonl")

    again = load_prompt_set(PromptSpec(file=tmp_path / "w.jsonl", output_tokens=PER_PROMPT), "org/name")
    assert (again.items, again.sha256, again.output_tokens) == (prompts.items, prompts.sha256, 3)


def test_one_length_for_all_replaces_those_of_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "output_tokens": 5}\n')

    found = load_prompt_set(PromptSpec(file=path, output_tokens=7), "org/name")
    assert (found.items, found.output_tokens, found.output_lengths) == (({"prompt": "a"},), 7, None)


def test_a_prompt_without_a_length_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "output_tokens": 5}\n{"prompt": "b"}\n')

    with pytest.raises(SpecError, match="output_tokens: per_prompt, but prompt 2 of 2 has none"):
        load_prompt_set(PromptSpec(file=path, output_tokens=PER_PROMPT), "org/name")
