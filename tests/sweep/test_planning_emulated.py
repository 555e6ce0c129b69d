"""The record of a trial that an emulated card can't run notes what would have been passed, though no engine started."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.cli.process import BASE
from tests.sweep.conftest import Recorder
from vbench.emulation.apply import Stand, apply
from vbench.outcome import Outcome
from vbench.planner.budget import Budget
from vbench.spec.loader import parse_spec
from vbench.spec.types import Emulation
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

CARD = Budget(visible_bytes=15_636_037_632, num_gpus=1, compute_capability=(7, 5), name="t4")


def stand(*, is_on_cpu: bool = False) -> Stand:
    return Stand(card=CARD, local_bytes=24 * 1024**3, is_on_cpu=is_on_cpu, emulation=Emulation(profile="t4"))


def test_a_refused_trial_notes_what_the_card_stands_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    text = BASE.replace("org/name", "deepseek-ai/deepseek-llm-7b-chat")
    text += "engine_args: {dtype: auto, gpu_memory_utilization: 0.5, max_model_len: 4096}\n"
    prepared = prepare(parse_spec(text, tmp_path / "small.yaml"))
    notes = ("t4 emulated here",)
    target = dataclasses.replace(
        prepared.target, budget=CARD, is_emulated=True, notes=notes, stand=stand(is_on_cpu=True)
    )
    result = run_sweep(dataclasses.replace(prepared, target=target), tmp_path / "results", Recorder())
    (record,) = result.records
    assert record.outcome is Outcome.INFEASIBLE
    assert record.environment["notes"] == ["t4 emulated here", "engine fake: nothing of t4 is passed"]


@pytest.mark.parametrize("is_on_cpu", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {"pipeline_parallel_size": 64},
        {"tensor_parallel_size": 3},
        {"tensor_parallel_size": 1000},
        {"gpu_memory_utilization": "most"},
        {"dtype": "floot16"},
        {"max_model_len": 10**9},
        {"speculative_config": {"model": "org/unheard-of", "num_speculative_tokens": 2}},
    ],
)
def test_settings_that_can_not_be_are_noted_too(settings: dict[str, object], is_on_cpu: bool) -> None:
    config = {"engine": "vllm", "model": "Qwen/Qwen2.5-7B-Instruct", **settings}
    passed = apply(config, stand(is_on_cpu=is_on_cpu), "0.32.0")
    assert passed.config["model"] == config["model"]
