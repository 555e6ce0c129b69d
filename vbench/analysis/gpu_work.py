"""What each GPU did in a trial, put together from its phases (`hardware.gpu_phases.GpuPhase`, as stored).

Records may come from another version or another hand: what isn't of the expected kind counts as not readable.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from vbench.records.packed import tells_of_machine
from vbench.records.record import Pass, Phase

_TIMED_PHASE = "pass"
_WAITING_PHASE = "after_close"  # what is on the card once the engine is gone isn't the trial's
Stored = Mapping[str, Any]
_T = TypeVar("_T")


class Measured(Protocol):
    """A record, or what of one is known before it is put together."""

    @property
    def passes(self) -> Sequence[Pass]:
        """As `TrialRecord.passes`."""

    @property
    def phases(self) -> Sequence[Phase]:
        """As `TrialRecord.phases`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuWork:
    """One GPU in one trial; None is "couldn't be read". Power, energy, clocks and what slowed them are of the timed
    passes; memory, temperature and foreign processes of the trial until its engine had closed."""

    gpu: int
    """NVML's index, as nvidia-smi counts."""
    peak_used_bytes: int | None
    """Of the whole device, less what vbench itself holds."""
    mean_utilization_percent: float | None
    mean_power_w: float | None
    energy_j_per_1000_tokens: float | None
    """The card's own counter over the timed passes ÷ their output tokens × 1,000."""
    lowest_sm_clock_mhz: int | None
    mean_sm_clock_mhz: float | None
    pass_sm_clocks_mhz: tuple[float, ...]
    """The mean of each timed pass that has one."""
    top_temperature_c: int | None
    slowed_by: tuple[str, ...] | None
    foreign_pids: tuple[int, ...] | None
    peak_foreign_bytes: int | None
    xids: tuple[int, ...] | None


def gpu_works(record: Measured) -> list[GpuWork]:
    """Each GPU of the trial, in the order it saw them; empty without GPU data."""
    if not tells_of_machine(record.phases):
        return []
    every = [stored for phase in record.phases for stored in phase.gpus or ()]
    indexes = dict.fromkeys(gpu for stored in every if (gpu := _whole(stored.get("gpu"))) is not None)
    return [_work(record, gpu) for gpu in indexes]


def _work(record: Measured, gpu: int) -> GpuWork:
    tokens = {one.index: sum(one.requests.output_tokens) for one in record.passes if one.kind == "timed"}
    timed = [
        _in_phase(phase, gpu) for phase in record.phases if phase.name == _TIMED_PHASE and phase.index in tokens
    ]  # a pass that didn't end has a phase too
    working = [_in_phase(phase, gpu) for phase in record.phases if phase.name != _WAITING_PHASE]
    clocks = [_number(one.get("mean_sm_clock_mhz")) for one in timed]
    return GpuWork(
        gpu=gpu,
        peak_used_bytes=_top(working, "peak_used_bytes"),
        mean_utilization_percent=_mean(timed, "mean_utilization_percent"),
        mean_power_w=_mean(timed, "mean_power_w"),
        energy_j_per_1000_tokens=_energy(timed, list(tokens.values())),
        lowest_sm_clock_mhz=min(_wholes(timed, "min_sm_clock_mhz"), default=None),
        mean_sm_clock_mhz=_mean(timed, "mean_sm_clock_mhz"),
        pass_sm_clocks_mhz=tuple(one for one in clocks if one is not None),
        top_temperature_c=_top(working, "peak_temperature_c"),
        slowed_by=_union([_texts(one.get("slowed_by")) for one in timed]),
        foreign_pids=_union([_integers(one.get("foreign_pids")) for one in working]),
        peak_foreign_bytes=_foreign_bytes(working),
        xids=_union([_integers(stored.get("xids")) for stored in (_in_phase(phase, gpu) for phase in record.phases)]),
    )


def _in_phase(phase: Phase, gpu: int) -> Stored:
    return next((one for one in phase.gpus or () if _whole(one.get("gpu")) == gpu), {})


def _energy(timed: Sequence[Stored], tokens: Sequence[int]) -> float | None:
    """Only where every timed pass has its energy: a part of it over all tokens would be too little."""
    known = [energy for one in timed if (energy := _number(one.get("energy_j"))) is not None]
    return sum(known) / sum(tokens) * 1000 if known and len(known) == len(tokens) and sum(tokens) > 0 else None


def _foreign_bytes(working: Sequence[Stored]) -> int | None:
    """None also where processes were named whose memory the driver didn't tell: it may be more than what is known."""
    is_told = all(_whole(one.get("peak_foreign_bytes")) is not None for one in working if one.get("foreign_pids"))
    return _top(working, "peak_foreign_bytes") if is_told else None


def _mean(timed: Sequence[Stored], key: str) -> float | None:
    """Over the samples of all passes: each pass's mean counts by its samples."""
    pairs = [(_number(one.get(key)), _number(one.get("num_samples"))) for one in timed]
    known = [(value, count) for value, count in pairs if value is not None and count is not None and count > 0]
    total = sum(count for _, count in known)
    return sum(value * count for value, count in known) / total if total else None


def _top(phases: Iterable[Stored], key: str) -> int | None:
    return max(_wholes(phases, key), default=None)


def _wholes(phases: Iterable[Stored], key: str) -> list[int]:
    return [value for one in phases if (value := _whole(one.get(key))) is not None]


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else None


def _integers(value: Any) -> tuple[int, ...] | None:
    whole = [_whole(one) for one in value] if isinstance(value, list) else None
    return None if whole is None else tuple(one for one in whole if one is not None)


def _union(lists: Sequence[tuple[_T, ...] | None]) -> tuple[_T, ...] | None:
    """Everything in them, in order of first sight; None where none could be read."""
    known = [one for one in lists if one is not None]
    return tuple(dict.fromkeys(each for one in known for each in one)) if known else None
