"""The real pynvml against a C library built here, in a process of its own: the loader looks for it only at start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GIB = 1024**3
T4_TOTAL = 15_360 * 1024**2
T4_RESERVED = 448 * 1024**2
Probe = Callable[..., dict[str, Any]]

_MACHINE = f"""\
nvmlInitWithFlags - 0 0
nvmlSystemGetDriverVersion - 0 0 580.159.04
nvmlSystemGetCudaDriverVersion_v2 - 0 0 13000
nvmlDeviceGetCount_v2 - 0 0 2
nvmlDeviceGetHandleByIndex_v2 - 0 0
nvmlDeviceGetName - 0 0 Tesla T4
nvmlDeviceGetUUID 0 0 0 GPU-aaaa0000-0000-0000-0000-000000000000
nvmlDeviceGetUUID 1 0 0 GPU-bbbb0000-0000-0000-0000-000000000001
nvmlDeviceGetMemoryInfo_v2 - 0 0 {T4_TOTAL} {T4_RESERVED} {2 * GIB}
nvmlDeviceGetMemoryInfo - 0 0 {T4_TOTAL} {2 * GIB + T4_RESERVED}
nvmlDeviceGetUtilizationRates - 0 0 97 45
nvmlDeviceGetPowerUsage 0 0 0 69500
nvmlDeviceGetPowerUsage 1 0 0 12000
nvmlDeviceGetEnforcedPowerLimit - 0 0 70000
nvmlDeviceGetTotalEnergyConsumption - 0 0 500000 +1500
nvmlDeviceGetClockInfo:sm - 0 0 1590
nvmlDeviceGetClockInfo:sm 0 2 0 1005
nvmlDeviceGetClockInfo:memory - 0 0 5000
nvmlDeviceGetTemperature - 0 0 71
nvmlDeviceGetCurrentClocksEventReasons - 0 0 0x4
nvmlDeviceGetCurrentClocksEventReasons 0 2 0 0x44
nvmlDeviceGetCurrentClocksThrottleReasons - 0 0 0x20
nvmlDeviceGetTotalEccErrors - 0 0 0
nvmlDeviceGetEccMode - 0 0 1 1
nvmlDeviceGetMigMode - 0 0 0 0
nvmlDeviceGetPersistenceMode - 0 0 1
nvmlDeviceGetCudaComputeCapability - 0 0 7 5
nvmlDeviceGetMaxPcieLinkGeneration - 0 0 3
nvmlDeviceGetMaxPcieLinkWidth - 0 0 16
nvmlDeviceGetComputeRunningProcesses_v3 - 0 0 self:{2 * GIB}
nvmlDeviceGetComputeRunningProcesses_v2 - 0 0 self:{2 * GIB}
nvmlDeviceGetGraphicsRunningProcesses_v3 - 0 0
nvmlDeviceGetGraphicsRunningProcesses_v2 - 0 0
nvmlEventSetCreate - 0 0
nvmlDeviceRegisterEvents - 0 0
nvmlEventSetWait_v2 - 0 10
"""


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders with a libnvidia-ml.so.1 of a present driver (`new`) and of one before R510 (`old`)."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing: the fake NVML can't be built")
    folders = {}
    for kind, flags in (("new", []), ("old", ["-DOLD_DRIVER"])):
        folders[kind] = tmp_path_factory.mktemp(f"nvml-{kind}")
        library = folders[kind] / "libnvidia-ml.so.1"
        build = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *flags]
        subprocess.run([*build, "-o", str(library), str(HERE / "fake_nvml.c")], check=True)
    return folders


@pytest.fixture
def probe(libraries: dict[str, Path], tmp_path: Path) -> Probe:
    """Two T4s, but for the lines given; returns what the program printed. `driver` is new, old or none."""

    def probe(
        *lines: str, driver: str = "new", environment: dict[str, str] | None = None, without: Iterable[str] = (),
        program: str = "probe.py", **wanted: Any,
    ) -> dict[str, Any]:  # fmt: skip
        kept = [line for line in _MACHINE.splitlines() if line.split()[0] not in set(without)]
        script = tmp_path / "script.txt"
        script.write_text("\n".join([*kept, *lines]) + "\n")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CUDA_", "NVIDIA_"))}
        folder = str(libraries[driver]) if driver in libraries else str(tmp_path)
        variables = {
            **inherited, "LD_LIBRARY_PATH": folder, "FAKE_NVML_SCRIPT": str(script), "PYTHONPATH": str(ROOT),
            **(environment or {}),
        }  # fmt: skip
        command = [sys.executable, "-W", "error", str(HERE / program), json.dumps(wanted)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    return probe
