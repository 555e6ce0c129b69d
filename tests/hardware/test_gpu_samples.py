"""Samples in the sampler's thread, as a file, and as phases; this machine's own row of the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from vbench.hardware.gpu_phases import energy_at, gpu_phase
from vbench.hardware.gpu_samples import GpuSample, GpuUse
from vbench.hardware.gpu_types import GpuReading

Probe = Callable[..., dict[str, Any]]
GIB = 1024**3
GPU_IS_LOST = 15


def sample(t: float, energy_j: float | None = None, **reading: Any) -> GpuSample:
    use = GpuUse(
        reading=GpuReading(index=0, energy_j=energy_j, **reading), used_bytes=reading.get("used_bytes"),
        tree_bytes=None, foreign_bytes=None, foreign_pids=None,
    )  # fmt: skip
    return GpuSample(t=t, used_bytes=use.used_bytes, num_processes=1, host_bytes=None, gpus=(use,))


def test_sampler_thread_survives_a_lost_gpu(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "gpu.csv"
    said = probe(f"nvmlDeviceGetPowerUsage 1 5 {GPU_IS_LOST}", sampler_s=0.6, csv=str(path))
    assert len(said["sampler"]) >= 8
    assert said["sampler"][0] == 2 * GIB
    assert said["sampler"][-1] is None
    frame = pd.read_csv(path)
    assert len(frame) == len(said["samples"])
    assert frame["gpu0_used_bytes"].eq(2 * GIB).all()
    assert frame["gpu1_power_w"].notna().sum() == 5
    assert frame["gpu1_temperature_c"].isna().iloc[-1]
    assert frame["memory_bytes"].isna().iloc[-1]
    assert frame["t_s"].is_monotonic_increasing


@pytest.mark.parametrize("name", ["gpu.csv", "gpu.csv.gz"])
def test_file_is_read_in_one_line(probe: Probe, tmp_path: Path, name: str) -> None:
    probe(reads=3, csv=str(tmp_path / name))
    frame = pd.read_csv(tmp_path / name)
    assert list(frame.columns[:5]) == ["t_s", "memory_bytes", "num_processes", "host_bytes", "gpu0_used_bytes"]
    assert list(frame["gpu0_clock_reasons"]) == [
        "software power cap", "software power cap", "software power cap|hardware thermal slowdown",
    ]  # fmt: skip
    assert list(frame["gpu1_foreign_pids"]) == ["-"] * 3
    assert frame["host_bytes"].isna().all()


def test_energy_between_samples() -> None:
    samples = [sample(10.0, 100.0), sample(11.0, 160.0), sample(12.0, 260.0)]
    assert energy_at(samples, 0, 10.5) == pytest.approx(130.0)
    assert gpu_phase(samples, 10.5, 11.5)[0].energy_j == pytest.approx(210.0 - 130.0)
    assert gpu_phase(samples, 9.8, 12.3)[0].energy_j == pytest.approx(160.0)  # the edges' nearest samples
    assert gpu_phase(samples, 8.0, 11.0)[0].energy_j is None  # nobody looked at 8.0


def test_a_counter_that_was_reset_gives_no_energy() -> None:
    assert gpu_phase([sample(1.0, 900.0), sample(2.0, 3.0)], 1.0, 2.0)[0].energy_j is None


def test_phase_without_a_sample_is_none_not_zero() -> None:
    phase = gpu_phase([sample(1.0, used_bytes=5, clock_reasons=())], 2.0, 3.0)[0]
    assert phase.num_samples == 0
    assert {value for name, value in phase.as_json().items() if name not in ("gpu", "num_samples")} == {None}
    assert gpu_phase([], 0.0, 1.0) == []


def test_idle_and_chosen_clocks_are_not_slowdowns() -> None:
    phase = gpu_phase([sample(1.0, clock_reasons=("idle", "application clocks setting"))], 0.0, 2.0)[0]
    assert phase.slowed_by == ()


def test_this_machine_as_a_profile(probe: Probe) -> None:
    said = probe(view=True)
    machine = said["machine"]
    assert machine["title"] == "2 × Tesla T4"
    assert (machine["num_gpus"], machine["nvml_memory_mib"], machine["compute_capability"]) == (2, 15_360, "7.5")
    assert (machine["driver"], machine["max_cuda"], machine["tdp_w"]) == ("580.159.04", "13.0", 70.0)
    assert (machine["bandwidth_gb_s"], machine["cuda_visible_bytes"]) == (320, 15_636_037_632)  # as profile t4 says
    assert machine["notes"] == ["bandwidth and rates as in profile t4"]
    assert [one["used_bytes"] for one in said["view"]["gpus"]] == [2 * GIB] * 2
    assert "kaggle-2xt4" in [one["name"] for one in said["view"]["profiles"]]


def test_a_card_unknown_to_the_profiles(probe: Probe) -> None:
    machine = probe("nvmlDeviceGetName - 0 0 NVIDIA Something New", view=True)["machine"]
    assert (machine["bandwidth_gb_s"], machine["notes"]) == (None, [])
    assert machine["visible_bytes"] == (15_360 - 512) * 1024**2


def test_unlike_gpus_count_as_the_smaller(probe: Probe) -> None:
    lines = (
        f"nvmlDeviceGetMemoryInfo_v2 1 0 0 {24_576 * 1024**2} 0 0", "nvmlDeviceGetName 1 0 0 NVIDIA GeForce RTX 3090",
        "nvmlDeviceGetCudaComputeCapability 1 0 0 8 6",
    )  # fmt: skip
    machine = probe(*lines, view=True)["machine"]
    assert machine["title"] == "Tesla T4, NVIDIA GeForce RTX 3090"
    assert (machine["nvml_memory_mib"], machine["compute_capability"]) == (15_360, "7.5")
    assert "the GPUs differ: memory and capability are the least of them" in machine["notes"]
