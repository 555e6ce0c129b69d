"""Finding a model's shape by the name a sweep gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.planner.builders import t4
from vbench.errors import SpecError
from vbench.planner.models import find_model
from vbench.planner.shape import ModelShape, NotModelled
from vbench.planner.shipped import shipped_config
from vbench.planner.verdict import Verdict, plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(shipped_config("opt-125m")), encoding="utf-8")
    return tmp_path


def test_a_folder(folder: Path) -> None:
    found = find_model(str(folder))
    assert isinstance(found.model, ModelShape)
    assert (found.origin, found.is_own_config, found.checkpoint_bytes) == ("config.json", True, None)


def test_a_plain_folder_asked_to_be_awq(folder: Path) -> None:
    found = find_model(str(folder))
    refused = plan({"quantization": "awq"}, found.model, t4(), is_own_config=found.is_own_config)
    assert refused.verdict is Verdict.INFEASIBLE
    assert "the checkpoint isn't quantized: name one that is for awq" in refused.reason
    assert plan({"quantization": "awq"}, found.model, t4()).verdict is Verdict.FITS  # a shape stands for a checkpoint


def test_the_hubs_cache(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub/models--org--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("abc\n", encoding="utf-8")
    assert isinstance(find_model("org/name").model, NotModelled)
    (repository / "snapshots/abc").mkdir(parents=True)
    (folder / "config.json").rename(repository / "snapshots/abc/config.json")
    assert find_model("org/name").origin == "hub cache"


def test_a_hub_id_of_a_shipped_shape(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    found = find_model("Qwen/Qwen2.5-7B-Instruct-AWQ")
    assert (found.origin, found.is_own_config) == ("shape qwen2.5-7b", False)
    assert find_model("org/unheard-of").origin == "unknown"


def test_a_broken_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"has no config\.json"):
        find_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(SpecError, match="is not JSON"):
        find_model(str(tmp_path))
