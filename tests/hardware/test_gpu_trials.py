"""Whole trials with NVML as their memory source: real processes and pynvml, the fake engine, a scripted driver."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from vbench.analysis.disturbance import spoils
from vbench.records.record import TrialRecord

Probe = Callable[..., dict[str, Any]]
GIB, MIB = 1024**3, 1024**2
IDLE = GIB
PEAK = IDLE + 5 * GIB
COOL = ("nvmlDeviceGetClockInfo:sm 0 2 0 1590", "nvmlDeviceGetCurrentClocksEventReasons 0 2 0 0x1")
HOT = ("nvmlDeviceGetClockInfo:sm 0 2 0 1005", "nvmlDeviceGetCurrentClocksEventReasons 0 2 0 0x40")


@pytest.fixture
def trial(probe: Probe, tmp_path: Path) -> Probe:
    return partial(probe, *COOL, program="gpu_trial_probe.py", folder=str(tmp_path))


def phases(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The last of each name."""
    return {one["name"]: one for one in record["phases"]}


def warnings(record: dict[str, Any]) -> list[str]:
    """Those that don't come of a busy machine."""
    machine = ("timed passes differ", "other processes took", "the hypervisor gave", "the cgroup's CPU quota")
    return [one for one in record["warnings"] if not one.startswith(machine)]


def test_a_record_of_a_trial_on_two_gpus(trial: Probe) -> None:
    record = trial()

    assert (record["outcome"], record["failure"]) == ("completed", None)
    assert record["measurements"]["peak_memory_bytes"] == PEAK
    hardware = record["hardware"]
    assert (hardware["profile"], hardware["memory_source"], hardware["driver"]) == ("t4", "NVML", "580.159.04")
    assert [(one["index"], one["name"]) for one in hardware["gpus"]] == [(0, "Tesla T4"), (1, "Tesla T4")]
    by_name = phases(record)
    assert list(by_name) == ["start", "import", "load", "warmup", "pass", "close", "after_close"]
    timed = by_name["pass"]
    assert [one["gpu"] for one in timed["gpus"]] == [0, 1]
    zero = timed["gpus"][0]
    assert (zero["peak_used_bytes"], zero["peak_tree_bytes"], zero["foreign_pids"]) == (PEAK, 5 * GIB, [])
    assert zero["peak_power_w"] == 69.5
    assert by_name["after_close"]["end_s"] == pytest.approx(record["duration_s"], abs=0.01)
    assert warnings(record) == []


def test_samples_are_taken_about_15_times_a_second(trial: Probe) -> None:
    record = trial()

    frame = pd.read_csv(record["samples"])
    gaps = frame["t_s"].diff().dropna()
    assert 0.03 < gaps.median() < 0.15
    assert frame["gpu0_used_bytes"].iloc[0] == IDLE  # before the trial took any
    assert frame["gpu0_used_bytes"].max() == PEAK
    assert frame["gpu0_used_bytes"].iloc[-1] == IDLE
    assert frame["host_bytes"].max() > MIB


def test_memory_that_stays_is_said_with_whose_it_is(trial: Probe) -> None:
    record = trial(leak=True, release_s=0.6)

    (warning,) = warnings(record)
    assert warning.startswith("GPU 0: 2,048 MiB more are in use 1 s after the trial's end than before it")
    assert f"pid {record['trial_pid']} hold it" in warning
    after = phases(record)["after_close"]
    assert after["end_s"] - after["start_s"] >= 0.6
    assert record["outcome"] == "completed"


def test_others_on_the_card_are_named_and_not_waited_for(trial: Probe) -> None:
    record = trial(foreign_bytes=300 * MIB)

    (warning,) = warnings(record)
    assert "held up to 300 MiB of it" in warning
    after = phases(record)["after_close"]
    assert after["end_s"] - after["start_s"] < 5


def test_a_peak_over_the_budget(trial: Probe) -> None:
    record = trial(limit_bytes=PEAK - 128 * MIB)

    assert record["outcome"] == "over_budget"
    assert record["failure"]["class"] == "over_budget"
    assert record["failure"]["evidence"] == "peak 6,144.0 MiB is over the budget of 6,016.0 MiB by 128.0 MiB"
    assert record["measurements"]["output_throughput_tok_s"] > 0


def test_only_the_visible_gpus_are_sampled(trial: Probe) -> None:
    record = trial(spec="environment: {CUDA_VISIBLE_DEVICES: '1'}\n")

    assert [one["index"] for one in record["hardware"]["gpus"]] == [1]
    assert record["measurements"]["peak_memory_bytes"] == 2 * GIB
    assert "gpu1_used_bytes" in pd.read_csv(record["samples"]).columns


def test_a_gpu_that_is_not_there_ends_the_sweep_before_it_begins(trial: Probe) -> None:
    assert "there is no GPU 7" in trial(environment={"CUDA_VISIBLE_DEVICES": "7"})["refused"]


def test_without_a_driver_nothing_is_measured_and_it_is_said(trial: Probe) -> None:
    record = trial(driver="none")

    assert (record["outcome"], record["measurements"]["peak_memory_bytes"]) == ("completed", None)
    assert record["hardware"]["gpus"] == []
    assert "libnvidia-ml.so.1 isn't found" in warnings(record)[0]


def test_a_card_that_slows_itself_down_spoils_its_trial(trial: Probe) -> None:
    record = trial(*HOT)

    (warning,) = warnings(record)
    assert warning.startswith("GPU 0 slowed itself down during timed passes (hardware thermal slowdown)")
    found = spoils(TrialRecord.model_validate(record))
    assert [one.cause for one in found if one.kind.startswith("gpu")] == ["GPU 0 slowed itself down"]


def test_a_gpu_lost_meanwhile_is_a_warning(trial: Probe) -> None:
    record = trial("nvmlDeviceGetPowerUsage 1 4 15")

    assert record["outcome"] == "completed"
    assert any("is lost" in one for one in record["warnings"])
    assert record["measurements"]["output_throughput_tok_s"] > 0
