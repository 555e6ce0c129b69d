"""What `vbench hardware` shows, as plain data: every profile, this machine beside them, and how its GPUs are now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vbench.hardware.gpu_device import GpuDevice
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import HardwareProfile, list_profiles, version_text
from vbench.hardware.this_machine import this_machine
from vbench.units import GIB, MIB

COLUMNS = (
    "name", "title", "gpus", "memory MiB", "CUDA sees GiB", "GB/s", "FP16 TFLOPS", "INT8 TOPS", "FP8 TFLOPS",
    "capability", "link", "W",
)  # fmt: skip


def hardware_view(nvml: Nvml, extra_folder: Path | None = None) -> dict[str, Any]:
    """JSON-able: `this_machine`, `gpus` (facts and the present reading), `profiles`, `warnings`, driver and CUDA.

    Raises SpecError where a user's profile in `extra_folder` is wrong.
    """
    machine = this_machine(nvml)
    return {
        "this_machine": machine.as_json(),
        "driver": nvml.driver_version,
        "max_cuda": version_text(nvml.cuda_version),
        "gpus": [_gpu(device) for device in nvml.devices],
        "profiles": [profile.as_json() for profile in list_profiles(extra_folder)],
        "warnings": nvml.warnings,
    }


def hardware_table(nvml: Nvml, extra_folder: Path | None = None) -> list[dict[str, str]]:
    """Rows of text under COLUMNS, this machine's first; what is unknown is `–`, a derived figure has a `~`."""
    return [table_row(one) for one in (this_machine(nvml), *list_profiles(extra_folder))]


def table_row(profile: HardwareProfile) -> dict[str, str]:
    """One profile as text."""
    memory: float | None = profile.nvml_memory_mib
    if memory is None and profile.host is not None and profile.kind == "cpu":
        memory = profile.host.ram_bytes // MIB
    visible = profile.visible_bytes
    sign = "~" if profile.cuda_visible_bytes is None else ""
    cells = (
        profile.name,
        profile.title + (" (refused)" if profile.refused else ""),
        str(profile.num_gpus),
        _number(memory),
        "–" if visible is None else f"{sign}{visible / GIB:.2f}",
        _number(profile.bandwidth_gb_s),
        _number(profile.gemm_fp16_tflops),
        _number(profile.int8_tops),
        _number(profile.gemm_fp8_tflops),
        version_text(profile.compute_capability) or "–",
        "–" if profile.link is None else profile.link.kind,
        _number(profile.tdp_w),
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,g}" if value < 1e6 else f"{value:,.0f}"


def _gpu(device: GpuDevice) -> dict[str, Any]:
    reading = device.read()
    processes = None if reading.processes is None else [[one.pid, one.used_bytes] for one in reading.processes]
    return {
        **device.facts().as_json(),
        "used_bytes": reading.used_bytes,
        "processes": processes,
        "power_w": reading.power_w,
        "sm_clock_mhz": reading.sm_clock_mhz,
        "temperature_c": reading.temperature_c,
        "clock_reasons": None if reading.clock_reasons is None else list(reading.clock_reasons),
        "is_lost": device.is_lost,
    }
