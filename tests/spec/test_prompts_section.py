"""The keys of `prompts` that came after the plain forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.spec.conftest import Parse, Refuse
from vbench.spec.digest import spec_digest
from vbench.spec.prompt_types import Normal, PromptFile, SyntheticPrompts, Uniform, Values, VariedPrompts


def base(prompts: str) -> str:
    return f"model: org/name\nprompts: {prompts}\n"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("512", 512),
        ("{mean: 512, stdev: 128}", Normal(mean=512, stdev=128)),
        ("{mean: 512.5, stdev: 0, min: 16, max: 1024}", Normal(mean=512.5, stdev=0, min=16, max=1024)),
        ("{low: 256, high: 1024}", Uniform(low=256, high=1024)),
        ("{values: [128, 1024]}", Values(values=(128, 1024))),
    ],
)
def test_lengths(parse: Parse, written: str, expected: Any) -> None:
    prompts = parse(
        base=base(f"{{synthetic: {{count: 2, input_tokens: {written}}}, output_tokens: {written}}}")
    ).prompts

    assert prompts.synthetic is not None
    assert (prompts.synthetic.input_tokens, prompts.output_tokens) == (expected, expected)


def test_the_plain_forms_keep_their_types(parse: Parse, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    plain = parse(base=base("{synthetic: {count: 2, input_tokens: 4, num_prefixes: 1}, output_tokens: 1}"))

    assert plain.prompts.synthetic == SyntheticPrompts(count=2, input_tokens=4)
    assert parse(base=base("{file: a.jsonl, format: auto, output_tokens: 1}")).prompts.file == tmp_path / "a.jsonl"


def test_the_digest_of_a_plain_sweep_is_what_it_was(parse: Parse) -> None:
    assert spec_digest(parse()) == spec_digest(
        parse(base=base("{synthetic: {count: 2, input_tokens: 4, seed: 0}, output_tokens: 8, chat_template: false}"))
    )


def test_prefixes(parse: Parse) -> None:
    written = "{synthetic: {count: 9, input_tokens: 40, shared_prefix_share: 0.5, num_prefixes: 3}, output_tokens: 1}"

    assert parse(base=base(written)).prompts.synthetic == VariedPrompts(
        count=9, input_tokens=40, shared_prefix_share=0.5, num_prefixes=3
    )


def test_how_a_file_is_read(parse: Parse, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    digest = "AB" * 32
    written = f"{{file: a.txt, separator: '---', chat_template: true, sha256: {digest}, output_tokens: per_prompt}}"
    prompts = parse(base=base(written)).prompts

    assert prompts.file == PromptFile(
        path=tmp_path / "a.txt", separator="---", chat_template=True, sha256=digest.lower()
    )
    assert prompts.output_tokens == "per_prompt"


def test_a_folder_of_texts(parse: Parse, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")

    assert parse(base=base("{file: texts, output_tokens: 1}")).prompts.file == tmp_path / "texts"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", "must be 1 or more, got 0"),
        ("1.5", "expected a whole number, got 1.5 (write 512, {mean: 512, stdev: 128}"),
        ("true", "expected a whole number, got true"),
        ("[1]", "expected a whole number, got a list"),
        ("{}", "expected a number of tokens, or how they are distributed"),
        ("{mean: 5}", "stdev: expected a number, got nothing (write {mean: 512, stdev: 128})"),
        ("{mean: 0, stdev: 1}", "mean: must be 1 or more, got 0"),
        ("{mean: 5, stdev: -1}", "stdev: must be between 0 and 50,000,000, got -1"),
        ("{mean: 5, stdev: 1, min: 9, max: 2}", "min (9) is more than max (2)"),
        ("{mean: 5, stdev: 1, mx: 2}", "unknown key 'mx' (did you mean max?)"),
        ("{low: 5}", "high: expected a whole number, got nothing"),
        ("{low: 5, high: 4}", "low (5) is more than high (4)"),
        ("{values: []}", "values: expected a list of whole numbers, got a list"),
        ("{values: [1, 0]}", "values: must be 1 or more, got 0"),
    ],
)
@pytest.mark.parametrize("key", ["input_tokens", "output_tokens"])
def test_faulty_lengths(refuse: Refuse, key: str, written: str, expected: str) -> None:
    tokens = {"input_tokens": "4", "output_tokens": "4", key: written}
    synthetic = f"{{count: 1, input_tokens: {tokens['input_tokens']}}}"
    told = refuse(base=base(f"{{synthetic: {synthetic}, output_tokens: {tokens['output_tokens']}}}"))
    where = "prompts.synthetic.input_tokens" if key == "input_tokens" else "prompts.output_tokens"

    assert told.startswith(f"sweep.yaml:2: {where}: {expected}")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("shared_prefix_tokens: 2, shared_prefix_share: 0.5", "has both shared_prefix_tokens and shared_prefix_share"),
        ("shared_prefix_share: 1.5", "prompts.synthetic.shared_prefix_share: must be 1 or less, got 1.5"),
        ("num_prefixes: 2", "num_prefixes needs a prefix"),
        ("shared_prefix_tokens: 5", "shared_prefix_tokens (5) is more than input_tokens (4..99)"),
        ("num_prefixes: 900000, shared_prefix_share: 1", "89,100,198 tokens in all"),
    ],
)
def test_faulty_prefixes(refuse: Refuse, more: str, expected: str) -> None:
    synthetic = f"{{count: 2, input_tokens: {{low: 4, high: 99}}, {more}}}"

    assert expected in refuse(base=base(f"{{synthetic: {synthetic}, output_tokens: 1}}"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("synthetic: {count: 1, input_tokens: 1}, chat_template: true", "chat_template doesn't go with synthetic"),
        ("synthetic: {count: 1, input_tokens: 1}, format: text", "format goes with file"),
        ("synthetic: {count: 1, input_tokens: 1}, separator: x", "separator goes with file"),
        ("synthetic: {count: 1, input_tokens: 1}, sha256: 0123456789ab", "sha256 goes with file"),
        ("file: a.txt, format: jsonl, separator: x", "separator goes with format: text, not jsonl"),
        ("file: a.txt, separator: ' x'", "separator: begins or ends with a space"),
        ("file: a.txt, format: csv", "prompts.format: expected one of auto, jsonl, sharegpt, text"),
        ("file: a.txt, sha256: abc", "prompts.sha256: 'abc' is not a sha256"),
        ("file: b.txt", "no such file: b.txt (did you mean a.txt?)"),
    ],
)
def test_faulty_files(refuse: Refuse, tmp_path: Path, keys: str, expected: str) -> None:
    (tmp_path / "a.txt").write_text("a")

    assert expected in refuse(base=base(f"{{{keys}, output_tokens: 4}}"))


def test_per_prompt_needs_a_file_and_is_spelled_so(refuse: Refuse) -> None:
    synthetic = "synthetic: {count: 1, input_tokens: 1}"

    assert "output_tokens: per_prompt goes with file" in refuse(
        base=base(f"{{{synthetic}, output_tokens: per_prompt}}")
    )
    assert "did you mean per_prompt?" in refuse(base=base(f"{{{synthetic}, output_tokens: per-prompts}}"))
