"""`vbench prompts`: what it writes, what it says of a set, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import Vbench

SHAREGPT = [
    {"conversations": [{"from": "human", "value": f"Question {number}?"}, {"from": "gpt", "value": "Yes."}]}
    for number in range(4)
] + [{"conversations": []}]


def facts(vbench: Vbench, *words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vbench("prompts", "show", *words, "--json", check=0).stdout)
    return found


@pytest.mark.parametrize("verb", ["make", "show", "freeze"])
def test_help_fits_80_columns(vbench: Vbench, verb: str) -> None:
    done = vbench("prompts", verb, "--help", check=0)

    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "<bool>" not in done.stdout


def test_a_set_is_made_and_looked_at(vbench: Vbench) -> None:
    words = ("--count", "20", "--input-tokens", "64±16", "--output-tokens", "8..32", "--shared-prefix-share", "0.5")
    made = vbench("prompts", "make", *words, "--seed", "3", "-o", "a.jsonl", check=0).stdout
    again = vbench("prompts", "make", *words, "--seed", "3", "-o", "b.jsonl", check=0).stdout
    found = facts(vbench, "a.jsonl")

    assert made.split()[-1] == again.split()[-1] == found["sha256"]
    assert (found["num_prompts"], found["kind"], found["duplicates"]) == (20, "prompt_token_ids", 0)
    assert 0.35 < found["common_prefix_share"] < 0.5
    assert 8 <= found["output_tokens"]["min"] <= found["output_tokens"]["max"] <= 32
    assert sum(one["prompts"] for one in found["tokens"]["histogram"]) == 20
    meta = json.loads((vbench.folder / "a.meta.json").read_text())
    assert meta["source"] == "synthetic: 20 × 64±16 tokens, 50% shared, seed 3, output 8..32"


def test_what_is_made_is_what_a_sweep_makes(vbench: Vbench) -> None:
    vbench("prompts", "make", "--count", "3", "--input-tokens", "8", "-o", "a.jsonl", check=0)
    prompts = "{synthetic: {count: 3, input_tokens: 8}, output_tokens: 8}"
    sweep = vbench.write(f"model: org/name\nprompts: {prompts}\n", "s.yaml")

    assert facts(vbench, sweep)["sha256"] == facts(vbench, "a.jsonl")["sha256"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--input-tokens", "many"), "'many' is not a length: write 512, 512±128, 256..1024 or 128,1024"),
        (("--input-tokens", "0"), "input-tokens: must be 1 or more, got 0"),
        (("--shared-prefix-tokens", "900"), "(900) is more than"),
        (("--output-tokens", "9..2"), "output-tokens: low (9) is more than high (2)"),
        (("-o", "nowhere/a.jsonl"), "there is no folder nowhere"),
        (("-o", "a.txt"), "name a .jsonl file"),
    ],
)
def test_what_can_not_be_made(vbench: Vbench, words: tuple[str, ...], expected: str) -> None:
    done = vbench("prompts", "make", "-o", "a.jsonl", *words, check=2)

    assert expected in " ".join(done.stderr.split())
    assert not (vbench.folder / "a.jsonl").exists()


def test_a_file_is_frozen(vbench: Vbench) -> None:
    vbench.write(json.dumps(SHAREGPT), "chats.json")
    done = vbench("prompts", "freeze", "chats.json", "-o", "out.jsonl", "--chat-template", check=0)
    written = (vbench.folder / "out.jsonl").read_bytes()
    meta = json.loads((vbench.folder / "out.meta.json").read_text())

    assert json.loads(written.splitlines()[0]) == {"messages": [{"role": "user", "content": "Question 0?"}]}
    assert meta["sha256"] == hashlib.sha256(written).hexdigest() == done.stdout.split()[-1]
    assert (meta["num_prompts"], meta["kind"], meta["format"]) == (4, "messages", "sharegpt")
    assert "note: 1 conversation passed over: fewer than 2 turns" in done.stderr


def test_a_sweep_refuses_another_content(vbench: Vbench) -> None:
    vbench.write('{"prompt": "a"}\n', "a.jsonl")
    digest = facts(vbench, "a.jsonl")["sha256"]
    sweep = vbench.write(
        f"model: org/name\nengine: fake\nprompts: {{file: a.jsonl, sha256: {digest}, output_tokens: 4}}\n", "s.yaml"
    )
    assert facts(vbench, sweep)["num_prompts"] == 1

    vbench.write('{"prompt": "b"}\n', "a.jsonl")
    done = vbench("run", sweep, check=2)
    assert f"the sweep names sha256 {digest}, they have " in done.stderr


def test_what_is_shown_for_people(vbench: Vbench) -> None:
    vbench.write("one line\n---\nanother line\n---\none line\n", "a.txt")
    done = vbench("prompts", "show", "a.txt", "--separator", "---", check=0)

    assert "3 prompts of kind prompt (text), from a.txt" in done.stdout
    assert "duplicates 1" in done.stdout
    assert "characters: min 8 · median 8 · mean 9.3 · p95 12 · max 12" in done.stdout
    assert "1. one line" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere.jsonl",), "nowhere.jsonl: no such file"),
        (("a.jsonl", "--format", "csv"), "--format csv: there is auto, jsonl, sharegpt, text"),
        (("a.jsonl",), "a.jsonl:1: not JSON"),
    ],
)
def test_what_can_not_be_shown(vbench: Vbench, words: tuple[str, ...], expected: str) -> None:
    vbench.write("broken", "a.jsonl")

    assert expected in vbench("prompts", "show", *words, check=2).stderr


def test_a_model_without_a_tokenizer(vbench: Vbench) -> None:
    (vbench.folder / "empty").mkdir()
    vbench.write('{"prompt": "a"}\n', "a.jsonl")
    done = vbench("prompts", "show", "a.jsonl", "--model", "empty", check=3)

    assert "tokens can't be counted with the tokenizer of empty" in done.stderr
