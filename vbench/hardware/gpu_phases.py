"""What a trial's GPUs did in each of its phases, from the samples: peaks, energy, clocks, and who else was there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, TypeVar

from vbench.hardware.gpu_samples import GpuSample, GpuUse
from vbench.hardware.gpu_types import SLOWING_REASONS

_EDGE_S = 0.5  # a trial's first sample comes a little after its start, its last a little before its end
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPhase:
    """One GPU in one phase. Means are over samples; None is "not readable", as is a phase without a sample."""

    gpu: int
    num_samples: int
    peak_used_bytes: int | None
    peak_tree_bytes: int | None
    peak_foreign_bytes: int | None
    mean_utilization_percent: float | None
    mean_power_w: float | None
    peak_power_w: float | None
    energy_j: float | None
    """From the card's own counter, read between samples at the phase's edges."""
    min_sm_clock_mhz: int | None
    mean_sm_clock_mhz: float | None
    min_memory_clock_mhz: int | None
    mean_memory_clock_mhz: float | None
    peak_temperature_c: int | None
    slowed_by: tuple[str, ...] | None
    """Reasons for lower clocks that were seen: power, heat, hardware."""
    foreign_pids: tuple[int, ...] | None
    xids: tuple[int, ...] | None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def gpu_phase(samples: Sequence[GpuSample], start: float, end: float) -> list[GpuPhase]:
    """Each GPU within [start, end] of the monotonic clock."""
    inside = [one for one in samples if start <= one.t <= end]
    count = len(samples[0].gpus) if samples else 0
    return [_summary(samples, [one.gpus[place] for one in inside], place, start, end) for place in range(count)]


def _summary(samples: Sequence[GpuSample], uses: Sequence[GpuUse], place: int, start: float, end: float) -> GpuPhase:
    readings = [use.reading for use in uses]
    power = _known(one.power_w for one in readings)
    sm, memory = _known(one.sm_clock_mhz for one in readings), _known(one.memory_clock_mhz for one in readings)
    slowed = _seen([one.clock_reasons for one in readings])
    first, last = energy_at(samples, place, start), energy_at(samples, place, end)
    energy = last - first if first is not None and last is not None else None
    return GpuPhase(
        gpu=samples[0].gpus[place].reading.index,
        num_samples=len(uses),
        peak_used_bytes=_max(use.used_bytes for use in uses),
        peak_tree_bytes=_max(use.tree_bytes for use in uses),
        peak_foreign_bytes=_max(use.foreign_bytes for use in uses),
        mean_utilization_percent=_mean(one.utilization_percent for one in readings),
        mean_power_w=fmean(power) if power else None,
        peak_power_w=max(power, default=None),
        energy_j=energy if energy is not None and energy >= 0 else None,  # a reset counter gives no difference
        min_sm_clock_mhz=min(sm, default=None),
        mean_sm_clock_mhz=_mean(sm),
        min_memory_clock_mhz=min(memory, default=None),
        mean_memory_clock_mhz=_mean(memory),
        peak_temperature_c=_max(one.temperature_c for one in readings),
        slowed_by=None if slowed is None else tuple(one for one in slowed if one in SLOWING_REASONS),
        foreign_pids=_seen([use.foreign_pids for use in uses]),
        xids=_seen([one.xids for one in readings]),
    )


def energy_at(samples: Sequence[GpuSample], place: int, t: float) -> float | None:
    """The energy counter at a moment, in J, straight between the samples around it.

    None more than half a second outside them; the nearest one's within.
    """
    known = [(one.t, energy) for one in samples if (energy := one.gpus[place].reading.energy_j) is not None]
    after = bisect_left(known, t, key=lambda pair: pair[0])
    if 0 < after < len(known):
        (t0, e0), (t1, e1) = known[after - 1], known[after]
        return e0 + (e1 - e0) * (t - t0) / (t1 - t0)
    near = [pair for pair in (*known[:1], *known[-1:]) if abs(pair[0] - t) <= _EDGE_S]
    return min(near, key=lambda pair: abs(pair[0] - t))[1] if near else None


def _known(values: Iterable[_T | None]) -> list[_T]:
    return [one for one in values if one is not None]


def _max(values: Iterable[int | None]) -> int | None:
    return max(_known(values), default=None)


def _mean(values: Iterable[int | None]) -> float | None:
    known = _known(values)
    return fmean(known) if known else None


def _seen(lists: Sequence[tuple[_T, ...] | None]) -> tuple[_T, ...] | None:
    """Everything in them, in order of first sight; None where none could be read."""
    known = _known(lists)
    return tuple(dict.fromkeys(one for each in known for one in each)) if known else None
