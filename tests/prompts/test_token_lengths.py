"""Counting tokens in the engine's interpreter, and keeping the counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vbench.errors import MachineError
from vbench.prompts import token_lengths as counting
from vbench.prompts.summary import common_prefix_share, spread, summarize
from vbench.prompts.token_lengths import token_lengths, tokenizer_identity

ROOT = Path(__file__).parent.parent.parent
ITEMS = [{"prompt": "one two three"}, {"prompt": "one"}]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vbench"


@pytest.fixture(scope="module")
def model() -> str:
    """The base model of sweeps/demo.yaml; made once, in seconds."""
    subprocess.run([sys.executable, "tools/demo_model.py"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return str(ROOT / "models" / "demo" / "base")


def test_tokens_are_counted_once(cache: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = token_lengths(ITEMS, model)
    assert len(first) == 2
    assert first[0] > first[1] > 0
    assert len(list(cache.glob("tokens-*.json"))) == 1

    monkeypatch.setattr(counting, "_count", None)  # would fail if it were asked again
    assert token_lengths([{**item, "output_tokens": 9} for item in ITEMS], model) == first


@pytest.mark.usefixtures("cache")
def test_the_chat_template_counts(model: str) -> None:
    messages = [{"messages": [{"role": "user", "content": item["prompt"]}]} for item in ITEMS]

    assert token_lengths(messages, model)[0] > token_lengths(ITEMS, model)[0]


def test_token_ids_need_no_tokenizer() -> None:
    assert token_lengths([{"prompt_token_ids": [1, 2, 3]}], "nowhere") == [3]


@pytest.mark.usefixtures("cache")
def test_a_torn_cache_is_counted_anew(cache: Path, model: str) -> None:
    first = token_lengths(ITEMS, model)
    (kept,) = cache.glob("tokens-*.json")
    kept.write_text("[1")

    assert token_lengths(ITEMS, model) == first
    assert json.loads(kept.read_text()) == first


@pytest.mark.usefixtures("cache")
def test_an_interpreter_that_is_not_there() -> None:
    with pytest.raises(MachineError, match="no-such-python is not an interpreter here"):
        token_lengths(ITEMS, "org/name", "no-such-python")


def test_a_tokenizer_is_known_by_its_files(tmp_path: Path) -> None:
    assert tokenizer_identity(str(tmp_path)) is None
    (tmp_path / "tokenizer.json").write_text("{}")
    first = tokenizer_identity(str(tmp_path))
    (tmp_path / "model.safetensors").write_text("weights don't count")
    assert tokenizer_identity(str(tmp_path)) == first
    (tmp_path / "tokenizer.json").write_text("{ }")
    assert tokenizer_identity(str(tmp_path)) != first


def test_a_hub_id_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert tokenizer_identity("org/name") is None
    refs = tmp_path / "models--org--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("abc\n")
    assert tokenizer_identity("org/name") == "hub:org/name@abc"


def test_a_spread() -> None:
    found = spread([1, 2, 3, 40])

    assert (found["min"], found["median"], found["mean"], found["p95"], found["max"]) == (1, 2.5, 11.5, 40, 40)
    assert found["histogram"][0] == {"from": 1, "to": 5, "prompts": 3}
    assert found["histogram"][-1] == {"from": 36, "to": 40, "prompts": 1}
    assert spread([7, 7])["histogram"] == [{"from": 7, "to": 7, "prompts": 2}]


def test_the_share_of_common_beginnings() -> None:
    assert common_prefix_share([{"prompt": "aaab"}, {"prompt": "zz"}, {"prompt": "aaac"}]) == 0.3
    assert common_prefix_share([{"prompt_token_ids": [1, 2]}, {"prompt_token_ids": [1, 3]}]) == 0.25


def test_duplicates_are_counted_whatever_they_generate() -> None:
    found = summarize([{"prompt": "a", "output_tokens": 1}, {"prompt": "a", "output_tokens": 2}])

    assert (found["duplicates"], found["tokens"], found["output_tokens"]["max"]) == (1, None, 2)
