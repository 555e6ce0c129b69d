"""Records with GPU data, made of real `GpuPhase`s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.records.builders import MIB, make_record
from vbench.hardware.gpu_phases import GpuPhase
from vbench.records.record import Phase, TrialRecord


def make_gpu_phase(gpu: int = 0, **changes: Any) -> dict[str, Any]:
    """A card that is well: 100 W and 400 J over 4 s, at 1,500 MHz, nobody else on it."""
    fields: dict[str, Any] = {
        "num_samples": 60, "peak_used_bytes": 6000 * MIB, "peak_tree_bytes": 5900 * MIB, "peak_foreign_bytes": 0,
        "mean_utilization_percent": 97.0, "mean_power_w": 100.0, "peak_power_w": 120.0, "energy_j": 400.0,
        "min_sm_clock_mhz": 1400, "mean_sm_clock_mhz": 1500.0, "min_memory_clock_mhz": 5000,
        "mean_memory_clock_mhz": 5000.0, "peak_temperature_c": 70, "slowed_by": (), "foreign_pids": (), "xids": (),
    }  # fmt: skip
    return GpuPhase(gpu=gpu, **{**fields, **changes}).as_json()


def make_gpu_record(
    trial: int = 0,
    passes: Sequence[Mapping[str, Any]] = ({}, {}),
    *,
    gpus: Sequence[int] = (0,),
    load: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **changes: Any,
) -> TrialRecord:
    """A trial with a timed pass of 1,000 tokens for each of `passes`, whose values are those of every GPU in it."""

    def phase(name: str, index: int, values: Mapping[str, Any]) -> Phase:
        return Phase(
            name=name, index=index, start_s=0.0, end_s=4.0, gpus=[make_gpu_phase(gpu, **values) for gpu in gpus]
        )

    phases = [
        Phase(name="start", start_s=0.0, end_s=0.5),
        phase("load", 0, load or {}),
        *(phase("pass", index, values) for index, values in enumerate(passes)),
        phase("after_close", 0, after or {}),
    ]
    rates: Any = changes.pop("throughput", [250.0] * len(passes))
    return make_record(trial, rates, phases=phases, **changes)
