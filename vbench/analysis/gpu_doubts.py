"""What the GPUs say against a trial's numbers: slowed clocks, other processes, errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vbench.analysis.gpu_work import GpuWork, gpu_works
from vbench.records.record import TrialRecord
from vbench.units import MIB

CLOCK_TOLERANCE = 0.05
"""Clocks that are further apart than this share explain differences that are looked for in settings."""
_IDLE_PERCENT = 5  # a GPU that a trial leaves alone rests at any clock
_POWER_CAP = "software power cap"
_NOTABLE_FOREIGN_BYTES = 64 * MIB  # the contexts of an idle desktop are less


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDoubt:
    """A sentence and the trials that it is about. Not serious is what a card at full load does anyway."""

    text: str
    trials: tuple[int, ...]
    is_serious: bool = True


def gpu_doubts(records: Sequence[TrialRecord]) -> list[GpuDoubt]:
    """Each different doubt once, the serious ones first, its trials in order; empty without GPU data."""
    works = {one.trial: gpu_works(one) for one in sorted(records, key=lambda one: one.trial)}
    fastest = _fastest(works)
    trials: dict[tuple[bool, str], list[int]] = {}
    for trial, gpus in works.items():
        for gpu in gpus:
            serious = [text for texts in own_doubts(gpu).values() for text in texts]
            usual = [*_capped(gpu)]
            # Without the reasons a lower clock may be the load's own doing.
            (usual if gpu.slowed_by is None else serious).extend(_below(gpu, fastest))
            for key in [*((True, text) for text in serious), *((False, text) for text in usual)]:
                trials.setdefault(key, []).append(trial)
    found = [GpuDoubt(text=text, trials=tuple(of), is_serious=serious) for (serious, text), of in trials.items()]
    return sorted(found, key=lambda one: not one.is_serious)


def own_doubts(work: GpuWork) -> dict[str, list[str]]:
    """What one GPU says against its trial's own numbers, other trials aside, by what it is: `slowed`, `unsettled`,
    `strangers`, `errors`."""
    return {
        "slowed": [*_slowed(work)],
        "unsettled": [*_unsettled(work)],
        "strangers": [*_strangers(work)],
        "errors": [*_errors(work)],
    }


def _fastest(works: Mapping[int, Sequence[GpuWork]]) -> dict[int, tuple[float, int]]:
    """By GPU: the highest mean clock of any trial, and that trial."""
    highest: dict[int, tuple[float, int]] = {}
    for trial, gpus in works.items():
        for one in gpus:
            clock = one.mean_sm_clock_mhz
            if clock is not None and _is_used(one) and (one.gpu not in highest or clock > highest[one.gpu][0]):
                highest[one.gpu] = clock, trial
    return highest


def _is_used(work: GpuWork) -> bool:
    return work.mean_utilization_percent is None or work.mean_utilization_percent >= _IDLE_PERCENT


def _slowed(work: GpuWork) -> Iterator[str]:
    reasons = [one for one in work.slowed_by or () if one != _POWER_CAP]
    if reasons:
        yield (
            f"GPU {work.gpu} slowed itself down during timed passes ({', '.join(reasons)}): it can do more than was "
            "measured; see to its cooling and its power supply, then measure again"
        )


def _capped(work: GpuWork) -> Iterator[str]:
    if _POWER_CAP in (work.slowed_by or ()):
        yield (
            f"GPU {work.gpu} was at its power limit during timed passes: usual at full load, where the clock is what "
            "the limit leaves; results compare only under the same limit"
        )


def _unsettled(work: GpuWork) -> Iterator[str]:
    """The same work in each pass needs the same clock."""
    passes = work.pass_sm_clocks_mhz
    if passes and _is_used(work) and min(passes) < (1 - CLOCK_TOLERANCE) * max(passes):
        yield (
            f"GPU {work.gpu}'s clock differed by more than {CLOCK_TOLERANCE:.0%} between timed passes: it hadn't "
            "settled; add warm-up passes"
        )


def _below(work: GpuWork, fastest: Mapping[int, tuple[float, int]]) -> Iterator[str]:
    """Against the trial with the highest clock; not where the power limit alone explains it, as more load lowers the
    clock then: that is the settings' effect."""
    highest, trial = fastest.get(work.gpu, (0.0, -1))
    mean = work.mean_sm_clock_mhz if _is_used(work) else None
    if mean is not None and work.slowed_by != (_POWER_CAP,) and mean < (1 - CLOCK_TOLERANCE) * highest:
        yield (
            f"GPU {work.gpu}'s clock averaged more than {CLOCK_TOLERANCE:.0%} below the {highest:,.0f} MHz of trial "
            f"{trial}: some of the difference between them may be the clock's, not the settings'"
        )


def _strangers(work: GpuWork) -> Iterator[str]:
    pids, held = work.foreign_pids, work.peak_foreign_bytes
    if pids and (held is None or held >= _NOTABLE_FOREIGN_BYTES):
        who = f"pid{'s' if len(pids) > 1 else ''} {', '.join(map(str, pids))}"
        yield f"other processes had memory on GPU {work.gpu} ({who}): speed and memory aren't the trial's alone"


def _errors(work: GpuWork) -> Iterator[str]:
    if work.xids:
        codes = ", ".join(map(str, work.xids))
        yield f"GPU {work.gpu} reported XID {codes}: look it up in NVIDIA's list of XID errors before going on"
