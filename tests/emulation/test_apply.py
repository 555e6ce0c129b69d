"""What an engine here is given for a configuration of another card: on a GPU by version, and on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vbench.emulation.apply import Passed, apply
from vbench.emulation.stand import emulated_gpu, emulated_on_cpu
from vbench.errors import MachineError
from vbench.hardware.profile import load_profile
from vbench.planner.budget import Budget
from vbench.spec.types import Emulation
from vbench.sweep.target import gpu_budget
from vbench.units import GIB

T4 = gpu_budget(load_profile("t4"))
RTX3090 = gpu_budget(load_profile("rtx3090"))
H200 = gpu_budget(load_profile("h200"))
CPU = Budget(visible_bytes=32 * GIB, kind="cpu", name="cpu")
ON_3090, _ = emulated_gpu(Emulation(profile="t4"), T4, RTX3090)
ON_CPU, _ = emulated_on_cpu(Emulation(profile="t4"), T4, CPU)
QWEN: dict[str, Any] = {"engine": "vllm", "model": "Qwen/Qwen2.5-0.5B-Instruct"}


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def on_3090(version: str = "0.32.0", **config: Any) -> Passed:
    return apply({**QWEN, **config}, ON_3090, version)


def on_cpu(**config: Any) -> Passed:
    return apply({**QWEN, **config}, ON_CPU, "0.32.0+cpu")


def test_a_3090_is_given_a_t4s_share_and_abilities() -> None:
    passed = on_3090(gpu_memory_utilization=0.9)

    assert passed.config == {
        **QWEN, "gpu_memory_utilization": pytest.approx(0.556, abs=0.0005), "dtype": "float16",
        "attention_backend": "TRITON_ATTN",
    }  # fmt: skip
    assert passed.environment == {"VLLM_USE_FLASHINFER_SAMPLER": "0"}
    assert "gpu_memory_utilization 0.9 of t4 passed as 0.556" in passed.notes


def test_the_configuration_itself_is_left_alone() -> None:
    config = {**QWEN, "gpu_memory_utilization": 0.9}
    before = dict(config)
    apply(config, ON_3090, "0.32.0")
    assert config == before


@pytest.mark.parametrize(("version", "default"), [("0.11.0", 0.9), ("0.32.0", 0.92)])
def test_an_unset_share_is_the_versions_default(version: str, default: float) -> None:
    given = on_3090(version).config["gpu_memory_utilization"]
    assert given == pytest.approx(default * T4.visible_bytes / RTX3090.visible_bytes, abs=1e-6)


@pytest.mark.parametrize(
    ("version", "backend"), [("0.8.5", "XFORMERS"), ("0.10.2", "TRITON_ATTN_VLLM_V1"), ("0.11.0", "TRITON_ATTN")]
)
def test_older_versions_take_the_backend_from_a_variable(version: str, backend: str) -> None:
    passed = on_3090(version)
    assert passed.environment["VLLM_ATTENTION_BACKEND"] == backend
    assert "attention_backend" not in passed.config


@pytest.mark.parametrize("named", [{"attention_backend": "FLEX_ATTENTION"}, {"attention_config": {"backend": "X"}}])
def test_a_named_backend_stays(named: dict[str, Any]) -> None:
    passed = on_3090(**named).config
    assert {name: passed[name] for name in named} == named
    assert ("attention_backend" in passed) == ("attention_backend" in named)


def test_other_attention_settings_keep_their_place() -> None:
    assert on_3090(attention_config={"flash_attn_version": 2}).config["attention_config"] == {
        "flash_attn_version": 2, "backend": "TRITON_ATTN"
    }  # fmt: skip


@pytest.mark.parametrize("config", [{"dtype": "bfloat16"}, {"kv_cache_dtype": "fp8"}])
def test_what_is_named_is_never_changed(config: dict[str, Any]) -> None:
    passed = on_3090(**config).config
    assert {name: passed[name] for name in config} == config


def test_a_model_that_refuses_float16_gets_float32() -> None:
    assert on_3090(model="google/gemma-2-2b-it").config["dtype"] == "float32"


def test_a_newer_card_gets_its_memory_only() -> None:
    stand, _ = emulated_gpu(Emulation(profile="a100-40"), gpu_budget(load_profile("a100-40")), H200)
    passed = apply({**QWEN, "gpu_memory_utilization": 0.9}, stand, "0.32.0")
    assert passed.config.keys() == {*QWEN, "gpu_memory_utilization"}
    assert passed.environment == {}


def test_a_value_that_cannot_be_is_passed_on() -> None:
    assert on_3090(gpu_memory_utilization="much").config["gpu_memory_utilization"] == "much"
    assert on_cpu(gpu_memory_utilization="much").config["gpu_memory_utilization"] == "much"


def test_on_a_cpu_the_share_becomes_kv_space() -> None:
    passed = on_cpu(gpu_memory_utilization=0.9)
    space = passed.config["kv_cache_memory_bytes"]
    weights_bytes = 494e6 * 2
    assert 0.9 * T4.visible_bytes - weights_bytes - 4.5 * GIB < space < 0.9 * T4.visible_bytes - weights_bytes
    assert "gpu_memory_utilization" not in passed.config
    assert passed.config["dtype"] == "float16"
    assert "attention_backend" not in passed.config


def test_on_a_cpu_a_given_kv_space_stays() -> None:
    assert on_cpu(kv_cache_memory_bytes=2**24).config["kv_cache_memory_bytes"] == 2**24


def test_on_a_cpu_too_small_a_share_still_starts() -> None:
    stand, _ = emulated_on_cpu(Emulation(profile="t4", memory_fraction=0.01), T4, CPU)
    passed = apply({**QWEN, "max_model_len": 256}, stand, "0.32.0")
    assert 0 < passed.config["kv_cache_memory_bytes"] < 64 * 2**20


def test_on_a_cpu_an_unknown_shape_gets_its_share_of_ram() -> None:
    passed = on_cpu(model="some/unknown", gpu_memory_utilization=0.9)
    assert passed.config["gpu_memory_utilization"] == pytest.approx(
        0.9 * T4.visible_bytes / CPU.visible_bytes, abs=1e-6
    )


def test_another_engine_is_given_what_was_asked() -> None:
    config = {"engine": "fake", "model": "org/name"}
    assert apply(config, ON_CPU, "1").config == config


def test_a_smaller_card_cannot_stand_in() -> None:
    with pytest.raises(MachineError, match=r"rtx3090 has 23.56 GiB and t4 14.56 GiB .*only a smaller card"):
        emulated_gpu(Emulation(profile="rtx3090"), RTX3090, T4)


def test_an_older_card_cannot_stand_in() -> None:
    v100 = gpu_budget(load_profile("v100"))
    with pytest.raises(MachineError, match=r"t4 has compute capability 7.5 and v100 7.0"):
        emulated_gpu(Emulation(profile="t4"), T4, v100)


def test_gpus_that_are_not_here_are_not_planned_for() -> None:
    stand, notes = emulated_gpu(Emulation(profile="kaggle-2xt4"), gpu_budget(load_profile("kaggle-2xt4")), RTX3090)
    assert stand.card.num_gpus == 1
    assert "kaggle-2xt4 has 2 GPUs and 1 are here: plans are for 1" in notes


def test_what_is_not_emulated_is_said() -> None:
    for _, notes in (
        emulated_gpu(Emulation(profile="t4"), T4, RTX3090),
        emulated_on_cpu(Emulation(profile="t4"), T4, CPU),
    ):
        assert any("not emulated: speed" in note and "shared memory" in note for note in notes)
