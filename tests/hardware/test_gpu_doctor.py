"""What the doctor says of GPUs: the real pynvml, a scripted driver."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

Probe = Callable[..., dict[str, Any]]
T4_TOTAL = 15_360 * 1024**2
IDLE = (
    f"nvmlDeviceGetMemoryInfo_v2 - 0 0 {T4_TOTAL} {448 * 1024**2} 0", "nvmlDeviceGetComputeRunningProcesses_v3 - 0 0",
    "nvmlDeviceGetCurrentClocksEventReasons - 0 0 0x1",
)  # fmt: skip


@pytest.fixture
def look(probe: Probe) -> Probe:
    return partial(probe, program="doctor_probe.py")


def worst(said: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["status"], one["says"]) for one in said["checks"] if one["status"] != "ok"]


def test_two_idle_gpus_are_well(look: Probe) -> None:
    said = look(*IDLE)

    assert worst(said) == []
    assert said["visible"] == [0, 1]
    assert said["checks"][0]["says"] == "driver 580.159.04 runs CUDA up to 13.0"
    assert said["checks"][1]["says"] == "15.00 GiB, 0 MiB in use, compute capability 7.5"


def test_busy_and_hot_gpus(look: Probe) -> None:
    said = look()  # 2 GiB of a process, held down by power

    assert [status for status, _ in worst(said)] == ["warn"] * 4
    assert any("processes have memory on it: pid" in says for _, says in worst(said))
    assert any(says == "its clocks are held down now: software power cap" for _, says in worst(said))


def test_memory_of_nobody_listed(look: Probe) -> None:
    said = look(*IDLE, f"nvmlDeviceGetMemoryInfo_v2 1 0 0 {T4_TOTAL} 0 {1024**3}")

    assert worst(said) == [("warn", "1,024 MiB are in use by nobody listed")]


@pytest.mark.parametrize(
    ("value", "says"), [("7", "there is no GPU 7"), ("", "hides every GPU"), ("MIG-1", "not MIG slices")]
)
def test_cuda_visible_devices(look: Probe, value: str, says: str) -> None:
    said = look(*IDLE, environment={"CUDA_VISIBLE_DEVICES": value})

    ((status, text),) = worst(said)
    assert (status, said["visible"]) == ("fail", [])
    assert says in text


def test_a_lost_gpu(look: Probe) -> None:
    said = look(*IDLE, "nvmlDeviceGetUtilizationRates 1 0 15")

    assert worst(said) == [("fail", "it has fallen off the bus")]


def test_no_driver_is_no_failure_without_a_card(look: Probe) -> None:
    said = look(driver="none")

    assert said["visible"] == []
    assert "engines built for the CPU run here" in said["checks"][0]["says"]
