"""What this machine is: the facts stored with a run."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from vbench.execution.interpreters import Interpreter
from vbench.hardware.this_machine import host_of_this_machine


def machine_facts(interpreter: Interpreter, engine: str, description: dict[str, Any]) -> dict[str, Any]:
    """For `machine.json`: hardware, system, versions. No host or user name."""
    return {
        "cpu": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "memory_bytes": host_of_this_machine().ram_bytes,
        "nvidia_gpus": nvidia_gpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "vbench_version": vbench_version(),
        "python_version": platform.python_version(),
        "engine": engine,
        "engine_version": description.get("version", interpreter.engine_version),
        "engine_distribution": interpreter.distribution,
        "engine_platform": description.get("platform"),
        "engine_python_version": interpreter.python_version,
        "packages": interpreter.packages,
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def vbench_version() -> str:
    """The installed vbench's version; `unknown` when it runs from a bare folder."""
    try:
        return metadata.version("vbench")
    except metadata.PackageNotFoundError:
        return "unknown"


def nvidia_gpu_count() -> int:
    """GPUs that the NVIDIA driver shows, without loading its library."""
    listed = Path("/proc/driver/nvidia/gpus")
    if listed.is_dir():
        return sum(1 for _ in listed.iterdir())
    return sum(1 for device in Path("/dev").glob("nvidia*") if device.name[6:].isdigit())


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
