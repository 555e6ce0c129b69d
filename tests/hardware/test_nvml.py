"""NVML as vbench reads it: the real pynvml, real structs and return codes, a scripted driver (fake_nvml.c)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

Probe = Callable[..., dict[str, Any]]
GIB = 1024**3
T4_TOTAL = 15_360 * 1024**2
T4_RESERVED = 448 * 1024**2
NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, GPU_IS_LOST, MISMATCH = 3, 4, 9, 15, 18
LOST_FROM_CALL_3 = [
    f"{name} 0 3 {GPU_IS_LOST}"
    for name in ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetTemperature")
]


def test_two_t4s(probe: Probe) -> None:
    said = probe(reads=3)
    assert (said["problem"], said["driver"], said["cuda"]) == (None, "580.159.04", [13, 0])
    assert said["facts"][1] == {
        "index": 1, "name": "Tesla T4", "uuid": "GPU-bbbb0000-0000-0000-0000-000000000001", "total_bytes": T4_TOTAL,
        "reserved_bytes": T4_RESERVED, "compute_capability": "7.5", "pcie_generation": 3, "pcie_width": 16,
        "power_limit_w": 70.0, "ecc_enabled": True, "persistence_enabled": True, "mig_enabled": False,
        "memory_struct": "v2",
    }  # fmt: skip
    first = said["samples"][0]
    assert first["used_bytes"] == 2 * GIB  # v2's `used`, without the reserved 448 MiB
    reading = first["gpus"][0]["reading"]
    assert {name: value for name, value in reading.items() if name not in ("processes", "energy_j")} == {
        "index": 0, "used_bytes": 2 * GIB, "utilization_percent": 97, "memory_utilization_percent": 45,
        "power_w": 69.5, "sm_clock_mhz": 1590, "memory_clock_mhz": 5000, "temperature_c": 71,
        "clock_reasons": ["software power cap"], "ecc_errors": 0, "xids": [],
    }  # fmt: skip
    assert first["gpus"][0]["tree_bytes"] == 2 * GIB
    assert (first["gpus"][0]["foreign_bytes"], first["gpus"][0]["foreign_pids"]) == (0, [])
    assert first["gpus"][1]["reading"]["power_w"] == 12.0
    assert said["warnings"] == []
    assert said["read_after_close"] == [None, 1]


def test_phase_summary_comes_from_all_samples(probe: Probe) -> None:
    zero, one = probe(reads=3)["phases"]
    assert zero["num_samples"] == 3
    assert (zero["min_sm_clock_mhz"], one["min_sm_clock_mhz"]) == (1005, 1590)
    assert zero["mean_sm_clock_mhz"] == pytest.approx((1590 + 1590 + 1005) / 3)
    assert zero["slowed_by"] == ["software power cap", "hardware thermal slowdown"]
    assert zero["energy_j"] == pytest.approx(3.0)  # 1.5 J a reading
    assert (zero["mean_power_w"], zero["peak_power_w"], zero["peak_temperature_c"]) == (69.5, 69.5, 71)


def test_old_driver_has_no_v2_struct_so_the_idle_baseline_is_subtracted(probe: Probe) -> None:
    # At start NVML's v1 says 448 MiB + 2 GiB, of which processes hold 2 GiB; later it says 3 GiB more.
    later = f"nvmlDeviceGetMemoryInfo - 2 0 {T4_TOTAL} {5 * GIB + T4_RESERVED}"
    said = probe(later, driver="old", reads=2)
    assert said["facts"][0]["memory_struct"] == "v1"
    assert said["facts"][0]["reserved_bytes"] is None
    assert [one[0] for one in said["read"]] == [5 * GIB, 5 * GIB]
    reading = said["samples"][0]["gpus"][0]["reading"]
    assert reading["clock_reasons"] == ["software thermal slowdown"]  # by the old name of the call
    assert reading["processes"][0]["used_bytes"] == 2 * GIB  # by the v2 list
    assert said["warnings"] == []


def test_v2_struct_refused_falls_back_to_v1(probe: Probe) -> None:
    said = probe("nvmlDeviceGetMemoryInfo_v2 - 0 25", reads=1)  # ARGUMENT_VERSION_MISMATCH
    assert said["facts"][0]["memory_struct"] == "v1"
    assert said["read"][0][0] == 2 * GIB


def test_not_supported_is_none_with_one_warning_a_device(probe: Probe) -> None:
    without = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetEccMode",
               "nvmlDeviceGetTotalEccErrors", "nvmlEventSetCreate")  # fmt: skip
    said = probe(without=without, reads=5)
    reading = said["samples"][4]["gpus"][0]["reading"]
    assert [reading[name] for name in ("power_w", "energy_j", "ecc_errors", "xids")] == [None] * 4
    assert said["facts"][0]["ecc_enabled"] is None
    assert said["warnings"] == [
        "GPU 0 (Tesla T4): power, energy can't be read: Not Supported",
        "GPU 1 (Tesla T4): power, energy can't be read: Not Supported",
    ]
    assert said["unread"]["GPU 0 (Tesla T4): Not Supported"] == [
        "XID events", "ECC mode", "power", "energy", "ECC errors",
    ]  # fmt: skip
    assert said["phases"][0]["energy_j"] is None
    assert said["phases"][0]["mean_power_w"] is None
    assert said["phases"][0]["xids"] is None


def test_what_a_card_will_never_answer_is_not_asked_again(probe: Probe) -> None:
    said = probe(f"nvmlDeviceGetPowerUsage 0 0 {NOT_SUPPORTED}", "nvmlDeviceGetPowerUsage 0 1 0 50000", reads=3)
    assert [one["gpus"][0]["reading"]["power_w"] for one in said["samples"]] == [None] * 3


def test_a_passing_failure_is_none_only_while_it_lasts(probe: Probe) -> None:
    said = probe("nvmlDeviceGetPowerUsage 0 1 999", "nvmlDeviceGetPowerUsage 0 2 0 50000", reads=4)
    assert [one["gpus"][0]["reading"]["power_w"] for one in said["samples"]] == [69.5, None, 50.0, 50.0]
    assert said["warnings"] == ["GPU 0 (Tesla T4): power can't be read: Unknown Error"]


def test_events_that_cant_be_registered_leave_xids_unknown(probe: Probe) -> None:
    said = probe(f"nvmlDeviceRegisterEvents - 0 {NOT_SUPPORTED}", reads=1)
    assert said["samples"][0]["gpus"][0]["reading"]["xids"] is None


def test_xid_is_reported_once(probe: Probe) -> None:
    said = probe("nvmlEventSetWait_v2 1 1 0 31", "nvmlEventSetWait_v2 1 2 10", reads=3)
    assert [one["gpus"][1]["reading"]["xids"] for one in said["samples"]] == [[], [31], []]
    assert said["phases"][1]["xids"] == [31]
    assert said["warnings"] == []


def test_gpu_lost_in_mid_run(probe: Probe) -> None:
    said = probe(*LOST_FROM_CALL_3, reads=6)
    used = [one["gpus"][0]["used_bytes"] for one in said["samples"]]
    assert used[:3] == [2 * GIB] * 3
    assert used[4:] == [None, None]  # though the script would go on answering the call for memory
    assert [one["used_bytes"] for one in said["samples"][4:]] == [None, None]  # not the other card's alone
    assert said["samples"][5]["gpus"][1]["used_bytes"] == 2 * GIB
    lost = said["samples"][5]["gpus"][0]
    assert [lost[name] for name in ("tree_bytes", "foreign_bytes", "foreign_pids")] == [None] * 3
    assert {value for name, value in lost["reading"].items() if name != "index"} == {None}
    assert len(said["warnings"]) == 1
    assert said["warnings"][0].startswith("GPU 0 (Tesla T4) is lost")
    assert said["phases"][0]["peak_used_bytes"] == 2 * GIB


def test_gpu_lost_before_the_start(probe: Probe) -> None:
    said = probe(f"nvmlDeviceGetHandleByIndex_v2 0 0 {GPU_IS_LOST}", reads=1)
    assert [one["name"] for one in said["facts"]] == [None, "Tesla T4"]
    assert said["read"] == [[None, 1]]
    assert said["warnings"][0].startswith("GPU 0 is lost")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (NO_PERMISSION, "no permission"),
        (DRIVER_NOT_LOADED, "kernel module isn't loaded"),
        (MISMATCH, "updated while its old kernel module is still loaded: reboot"),
        (999, "NVML doesn't start: Unknown Error"),
    ],
)
def test_nvml_that_doesnt_start(probe: Probe, code: int, words: str) -> None:
    said = probe(f"nvmlInitWithFlags - 0 {code}", reads=2, environment={"CUDA_VISIBLE_DEVICES": "7"})
    assert words in said["problem"]
    assert said["warnings"] == [said["problem"]]
    assert said["read"] == [[None, 0], [None, 0]]


def test_no_library(probe: Probe) -> None:
    said = probe(driver="none", reads=1, view=True)
    assert said["problem"].startswith("libnvidia-ml.so.1 isn't found")
    assert said["machine"]["kind"] == "cpu"
    assert said["machine"]["host"]["ram_bytes"] > 0


def test_memory_without_permission(probe: Probe) -> None:
    lines = [f"{name} - 0 {NO_PERMISSION}" for name in ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo")]
    said = probe(*lines, reads=2)
    assert [one[0] for one in said["read"]] == [None, None]
    assert said["warnings"][0] == "GPU 0 (Tesla T4): memory can't be read: Insufficient Permissions"


def test_foreign_process(probe: Probe) -> None:
    foreign = os.getpid()  # it exists, and isn't of the tree
    said = probe(f"nvmlDeviceGetComputeRunningProcesses_v3 0 0 0 self:{GIB} {foreign}:{3 * GIB}", reads=1)
    gpu = said["samples"][0]["gpus"][0]
    assert (gpu["tree_bytes"], gpu["foreign_bytes"], gpu["foreign_pids"]) == (GIB, 3 * GIB, [foreign])
    assert said["phases"][0]["foreign_pids"] == [foreign]
    assert said["phases"][1]["foreign_pids"] == []


def test_compute_and_graphics_of_one_process_count_once(probe: Probe) -> None:
    said = probe(f"nvmlDeviceGetGraphicsRunningProcesses_v3 0 0 0 self:{2 * GIB}", reads=1)
    assert said["samples"][0]["gpus"][0]["tree_bytes"] == 2 * GIB


def test_process_without_a_figure(probe: Probe) -> None:
    said = probe(f"nvmlDeviceGetComputeRunningProcesses_v3 0 0 0 self:null {os.getpid()}:{GIB}", reads=1)
    gpu = said["samples"][0]["gpus"][0]
    assert (gpu["tree_bytes"], gpu["foreign_bytes"]) == (None, GIB)


def test_pids_of_another_namespace_are_not_taken_for_foreign(probe: Probe) -> None:
    said = probe(f"nvmlDeviceGetComputeRunningProcesses_v3 - 0 0 4194303:{GIB}", reads=3)
    gpu = said["samples"][2]["gpus"][0]
    assert [gpu[name] for name in ("tree_bytes", "foreign_bytes", "foreign_pids")] == [None] * 3
    assert gpu["used_bytes"] == 2 * GIB
    assert len(said["warnings"]) == 1
    assert said["warnings"][0].startswith("GPU 0 (Tesla T4), GPU 1 (Tesla T4): the processes on it can't be told")


def test_empty_process_list_of_a_filling_device_is_unknown_not_nothing(probe: Probe) -> None:
    empty = "nvmlDeviceGetComputeRunningProcesses_v3 - 0 0"
    filled = f"nvmlDeviceGetMemoryInfo_v2 - 3 0 {T4_TOTAL} {T4_RESERVED} {6 * GIB}"
    said = probe(empty, filled, reads=2)
    assert [one["gpus"][0]["tree_bytes"] for one in said["samples"]] == [0, None]
    assert said["warnings"] == []  # memory and list are two calls: a process may have ended between them
    said = probe(empty, filled, reads=5)
    assert [one["gpus"][0]["tree_bytes"] for one in said["samples"]] == [0] + [None] * 4
    assert len(said["warnings"]) == 1


def test_what_vbench_holds_is_neither_the_trials_nor_foreign(probe: Probe) -> None:
    balloon = os.getpid()
    line = f"nvmlDeviceGetComputeRunningProcesses_v3 0 0 0 self:{GIB} {balloon}:{GIB}"
    gpu = probe(line, reads=1, companions=[balloon], held={"0": GIB})["samples"][0]["gpus"][0]
    assert (gpu["used_bytes"], gpu["tree_bytes"], gpu["foreign_pids"]) == (GIB, GIB, [])


def test_visible_devices_reorder_by_uuid(probe: Probe) -> None:
    for visible in ("1,0", "GPU-bbbb,GPU-aaaa"):
        said = probe(reads=1, environment={"CUDA_VISIBLE_DEVICES": visible})
        assert [one["index"] for one in said["facts"]] == [1, 0]
        assert [one["reading"]["power_w"] for one in said["samples"][0]["gpus"]] == [12.0, 69.5]


@pytest.mark.parametrize(
    ("visible", "indexes"), [("1", [1]), ("", []), ("-1", []), ("0,-1,1", [0]), (" 1 , 0 ", [1, 0]), ("NoDevFiles", [])]
)
def test_visible_devices(probe: Probe, visible: str, indexes: list[int]) -> None:
    assert [one["index"] for one in probe(environment={"CUDA_VISIBLE_DEVICES": visible})["facts"]] == indexes


@pytest.mark.parametrize(
    ("visible", "words"),
    [
        ("2", "there is no GPU 2; here are 0 (GPU-aaaa0000"),
        ("GPU-cccc", "GPU-cccc is no GPU here"),
        ("GPU-", "fits more than one GPU"),
        ("MIG-1234", "not MIG slices"),
        ("first", "'first' is neither a number nor a UUID"),
        ("1,1", "names GPU 1 (Tesla T4) twice"),
    ],
)
def test_visible_devices_refused(probe: Probe, visible: str, words: str) -> None:
    assert words in probe(environment={"CUDA_VISIBLE_DEVICES": visible})["refused"]


def test_unlike_gpus_may_be_numbered_otherwise(probe: Probe) -> None:
    other = "nvmlDeviceGetName 1 0 0 NVIDIA GeForce RTX 3090"
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in probe(other)["order_warning"]
    assert probe(other, environment={"CUDA_DEVICE_ORDER": "PCI_BUS_ID"})["order_warning"] is None
    assert probe()["order_warning"] is None


def test_nothing_imports_pynvml_before_it_is_needed() -> None:
    import subprocess
    import sys

    code = "import sys, vbench.hardware.nvml, vbench.hardware.view; sys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
