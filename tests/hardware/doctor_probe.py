"""Run by the tests where the loader finds the fake libnvidia-ml: prints what the doctor says of the GPUs."""

from __future__ import annotations

import json
import os
from typing import Any

from vbench.doctor.gpus import check_gpus
from vbench.hardware.nvml import Nvml


def probe() -> dict[str, Any]:
    with Nvml() as nvml:
        checks, visible = check_gpus(nvml, os.environ)
    return {"checks": [one.as_json() for one in checks], "visible": [device.index for device in visible]}


if __name__ == "__main__":
    print(json.dumps(probe()))
