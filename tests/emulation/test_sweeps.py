"""The shipped sweeps for T4s, and what they say where no such GPU is."""

from __future__ import annotations

from pathlib import Path

import pytest

from vbench.cli.sweep import emulating
from vbench.errors import MachineError, UsageError
from vbench.hardware.nvml import Nvml
from vbench.prompts.prompt_set import load_prompt_set
from vbench.spec.loader import load_spec, parse_spec
from vbench.spec.types import Emulation
from vbench.sweep.target import Target, resolve_target

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["t4", "3090-as-t4"]
BASE = "model: org/name\nprompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\n"


def on_cpu(folder: Path, extra: str = "") -> Target:
    return resolve_target(parse_spec(BASE + extra, folder / "sweep.yaml"), "cpu")


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_and_its_prompts_are_there(name: str) -> None:
    spec = load_spec(ROOT / "sweeps" / f"{name}.yaml")

    assert spec.name == name
    assert load_prompt_set(spec.prompts, spec.model).num_prompts == 64


@pytest.mark.parametrize("name", NAMES)
def test_without_its_gpu_two_lines_say_what_is_missing_and_what_can_be_done(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Nvml() as nvml:
        if nvml.devices:
            pytest.skip("this machine has a GPU")
    monkeypatch.chdir(ROOT)
    spec = load_spec(Path("sweeps") / f"{name}.yaml")

    with pytest.raises(MachineError) as caught:
        resolve_target(spec, "cpu")

    missing, possible = str(caught.value).splitlines()
    assert missing.startswith(f"hardware: {spec.hardware} needs an NVIDIA GPU")
    assert f"`vbench plan sweeps/{name}.yaml`" in possible
    assert caught.value.exit_code == 3


def test_a_card_emulated_on_the_cpu_is_planned_as_that_card(tmp_path: Path) -> None:
    target = on_cpu(tmp_path, "emulate: {profile: t4, memory_fraction: 0.01}\n")

    assert (target.name, target.is_emulated, target.is_cpu, target.is_as_planned) == ("t4", True, True, False)
    assert (target.budget.kind, target.budget.compute_capability) == ("gpu", (7, 5))
    assert target.limit_bytes == target.budget.visible_bytes < 15_636_037_632
    assert any("memory_fraction" in note for note in target.notes)
    said = target.passed({"engine": "vllm", "model": "org/name"}, "0.32.0").notes
    assert said[0].startswith("t4 emulated on the CPU: ")
    with target.holding("a-run", {}) as reserved:
        assert reserved is None


def test_without_emulation_nothing_is_changed(tmp_path: Path) -> None:
    target, config = on_cpu(tmp_path), {"engine": "vllm", "model": "org/name"}

    assert (target.is_emulated, target.limit_bytes, target.is_as_planned) == (False, None, True)
    assert target.passed(config, "0.32.0").config is config


@pytest.mark.parametrize(
    ("name", "expected"),
    [("t5", "no hardware profile 't5'"), ("cpu", "cpu is not a GPU"), ("kaggle-p100", "kaggle-p100")],
)
def test_what_cannot_be_emulated_is_refused(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        on_cpu(tmp_path, f"emulate: {{profile: {name}}}\n")


def test_the_option_is_a_change_of_the_file(tmp_path: Path) -> None:
    assert emulating(None) == []
    spec = parse_spec(BASE, tmp_path / "sweep.yaml", emulating("my card: 4"))
    assert spec.emulate == Emulation(profile="my card: 4")
