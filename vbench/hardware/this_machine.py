"""This machine as a profile: its GPUs through NVML, its CPU and memory otherwise. Nothing is loaded onto a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from vbench.hardware.gpu_device import GpuDevice
from vbench.hardware.gpu_types import GpuFacts
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import HardwareProfile, Host, list_profiles
from vbench.units import MIB

THIS_MACHINE = "this machine"
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def host_of_this_machine() -> Host:
    """Cores this process may use, and the memory it may have: a container's limit where that is less."""
    limits = [limit for path in _CGROUP_LIMITS if (limit := _number_in(Path(path))) is not None]
    return Host(cores=len(os.sched_getaffinity(0)), ram_bytes=min([psutil.virtual_memory().total, *limits]))


def available_ram_bytes() -> int:
    """What new programs may take without swapping, by the kernel's estimate; a container's limit isn't in it."""
    return int(psutil.virtual_memory().available)


def this_machine(nvml: Nvml, devices: Sequence[GpuDevice] | None = None) -> HardwareProfile:
    """What this machine has, of `devices` if given (those that CUDA shows), else of all GPUs; never raises.

    Memory, capability, power limit and driver are NVML's. Bandwidth and rates can't be asked: they come from the
    shipped profile of that card where NVML's name is known, and its name is in the notes. Without a GPU it is a `cpu`.
    """
    facts = [one.facts() for one in (nvml.devices if devices is None else devices)]
    if not facts:
        notes = () if nvml.problem is None else (f"no GPU: {nvml.problem}",)
        return HardwareProfile(
            name=THIS_MACHINE, title=_cpu_model(), kind="cpu", num_gpus=0, host=host_of_this_machine(), notes=notes
        )
    # With unlike GPUs an engine's share of each is that of the smallest.
    smallest = min(facts, key=lambda one: one.total_bytes or 0)
    like = recognised(smallest.name)
    return HardwareProfile(
        name=THIS_MACHINE,
        title=_title(facts),
        nvml_names=tuple(dict.fromkeys(one.name for one in facts if one.name)),
        nvml_memory_mib=None if smallest.total_bytes is None else smallest.total_bytes // MIB,
        cuda_visible_bytes=like.cuda_visible_bytes if like is not None and _is_same_memory(like, smallest) else None,
        bandwidth_gb_s=like.bandwidth_gb_s if like else None,
        fp16_tflops=like.fp16_tflops if like else None,
        fp16_fp32_accumulate_tflops=like.fp16_fp32_accumulate_tflops if like else None,
        int8_tops=like.int8_tops if like else None,
        fp8_tflops=like.fp8_tflops if like else None,
        fp8_fp32_accumulate_tflops=like.fp8_fp32_accumulate_tflops if like else None,
        compute_capability=min((one.compute_capability for one in facts if one.compute_capability), default=None),
        num_gpus=len(facts),
        tdp_w=smallest.power_limit_w,
        host=host_of_this_machine(),
        driver=nvml.driver_version,
        max_cuda=nvml.cuda_version,
        notes=tuple(_notes(facts, like)),
    )


def recognised(nvml_name: str | None) -> HardwareProfile | None:
    """The shipped profile of a card by NVML's name for it."""
    return next((one for one in list_profiles() if nvml_name is not None and nvml_name in one.nvml_names), None)


def _is_same_memory(like: HardwareProfile, facts: GpuFacts) -> bool:
    return like.nvml_memory_mib is not None and facts.total_bytes == like.nvml_memory_mib * MIB


def _title(facts: Sequence[GpuFacts]) -> str:
    names = [one.name or "unnamed GPU" for one in facts]
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())


def _notes(facts: Sequence[GpuFacts], like: HardwareProfile | None) -> list[str]:
    notes = []
    if like is not None:
        notes.append(f"bandwidth and rates as in profile {like.name}")
    if len({(one.name, one.total_bytes) for one in facts}) > 1:
        notes.append("the GPUs differ: memory and capability are the least of them")
    if any(one.mig_enabled for one in facts):
        notes.append("MIG is on: figures are of whole GPUs, and an engine sees a slice")
    if any(one.memory_struct == "v1" for one in facts):
        notes.append("an old driver: used memory is NVML's less what was used when vbench began")
    return notes


def _number_in(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
