"""The model that learns: three forms of the same trained weights, made once, and a tokenizer that knows its texts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tests.tools.checkpoints import ROOT, read_tensors
from vbench.quality.texts import SHIPPED, read_texts

STEPS = 12  # enough for a norm near 1 to change by a step of bfloat16


def learn(out: Path, steps: int) -> str:
    command = [sys.executable, str(ROOT / "tools" / "learned_model.py"), "--out", str(out), "--steps", str(steps)]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "learned"
    assert "trained in" in learn(out, STEPS)
    return out


def test_it_is_made_once_and_again_from_another_recipe(learned: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in learned.rglob("*")}
    assert learn(learned, STEPS) == ""
    assert {path: path.stat().st_mtime_ns for path in learned.rglob("*")} == before

    recipe = json.loads((learned / "recipe.json").read_text())
    (learned / "recipe.json").write_text(json.dumps({**recipe, "text_sha256": "of other texts"}))
    weights = (learned / "base" / "model.safetensors").read_bytes()
    assert "trained in" in learn(learned, STEPS)
    assert json.loads((learned / "recipe.json").read_text()) == recipe
    assert (learned / "base" / "model.safetensors").read_bytes() == weights  # the same weights again


def test_its_forms_have_the_layouts_of_what_they_are(learned: Path) -> None:
    base = read_tensors(learned / "base" / "model.safetensors")
    projections = [name for name in base if name.endswith("_proj.weight")]
    assert len(projections) == 2 * 7
    for form, method in (("awq", "awq"), ("gptq", "gptq")):
        tensors = read_tensors(learned / form / "model.safetensors")
        config = json.loads((learned / form / "config.json").read_text())
        assert config["quantization_config"]["quant_method"] == method
        assert all(f"{name.removesuffix('weight')}qweight" in tensors for name in projections)
    norms = [base[name] for name in base if name.endswith("norm.weight")]
    assert any(np.ptp(norm) > 0 for norm in norms)  # it was trained: random ones are all 1


def test_its_tokenizer_knows_every_shipped_text(learned: Path) -> None:
    tokenizer = Tokenizer.from_file(str(learned / "base" / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 512
    for text in read_texts(SHIPPED):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
