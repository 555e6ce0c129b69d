"""Run by the tests in a process of its own, where the loader finds the fake libnvidia-ml: prints what vbench reads.

The first argument is JSON: `reads` (how often), `csv` (a path), `sampler_s`, `view`, `companions`, `held`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vbench.errors import MachineError
from vbench.execution.memory import MemorySampler
from vbench.hardware.gpu_phases import gpu_phase
from vbench.hardware.gpu_samples import GpuSource, write_gpu_samples
from vbench.hardware.nvml import Nvml
from vbench.hardware.this_machine import this_machine
from vbench.hardware.view import hardware_view
from vbench.hardware.visible import order_warning, visible_gpus


def probe(wanted: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    with Nvml() as nvml:
        said["problem"], said["driver"], said["cuda"] = nvml.problem, nvml.driver_version, nvml.cuda_version
        try:
            devices = visible_gpus(nvml.devices, os.environ)
        except MachineError as error:
            return {"refused": str(error)}
        said["facts"] = [device.facts().as_json() for device in devices]
        said["order_warning"] = order_warning(devices, os.environ)
        source = GpuSource(
            devices, lambda: {os.getpid()}, companions=wanted.get("companions", ()),
            held_bytes={int(index): held for index, held in wanted.get("held", {}).items()},
        )  # fmt: skip
        start = time.monotonic()
        if "sampler_s" in wanted:
            sampler = MemorySampler(source, interval_s=0.02)
            sampler.start()
            time.sleep(wanted["sampler_s"])
            said["sampler"] = [one.used_bytes for one in sampler.stop()]
        said["read"] = [source.read() for _ in range(wanted.get("reads", 0))]
        said["samples"] = [asdict(one) for one in source.samples]
        said["phases"] = [one.as_json() for one in gpu_phase(source.samples, start, time.monotonic())]
        if "csv" in wanted:
            write_gpu_samples(source.samples, Path(wanted["csv"]), start)
        if wanted.get("view"):
            said["view"] = hardware_view(nvml)
            said["machine"] = this_machine(nvml, devices).as_json()
        said["warnings"], said["unread"] = [*nvml.warnings, *source.warnings], nvml.unread
    said["read_after_close"] = source.read()
    return said


if __name__ == "__main__":
    print(json.dumps(probe(json.loads(sys.argv[1]))))
