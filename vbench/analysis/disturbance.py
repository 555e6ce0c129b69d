"""What disturbed a trial, from its phases and passes: other processes, a busy host, quotas, its GPUs' own doings.

Two levels. A `note` says what a reader should know; `spoils` says that the numbers are likely hurt, so that the trial
is worth another attempt. Where the engine can't have had what it needed that is so whatever the passes say; where it
may have, the passes decide: the same work that took the same time in each of them wasn't hurt much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from vbench.analysis.gpu_doubts import own_doubts
from vbench.analysis.gpu_work import GpuWork, Measured, gpu_works
from vbench.records.packed import tells_of_machine
from vbench.records.record import Pass, Phase

MIN_SECONDS = 1.0
"""Of timed passes that tell about the machine: the kernel counts CPU time in ticks of 10 ms, and a second of 100 is the
least of which a few per cent can be told."""
AGREEING = 0.01
"""Passes whose longest is at most so much longer than their shortest agree: quiet machines differ by as much."""
FOREIGN_SHARE = 0.10
"""Of the CPUs, taken by others while some were free. A core has its own, but memory bandwidth, the last cache and the
clock that the power limit leaves are shared: below a tenth that is less than passes differ anyway."""
CROWDED_SHARE = 0.95
"""Of the CPUs, busy: then none was free, but for the moments between a program's own steps."""
FOREIGN_OF_CROWDED = 0.05
"""Of the CPUs, taken by others while none was free: what they took the engine went without, and 5 % is more than the
gains that sweeps are about."""
STEAL_SHARE = 0.02
"""Of the CPUs' time, given to other machines by the hypervisor; a machine that isn't overbooked has less than 1 %."""
STEAL_SPOILS = 0.05
"""From here on whatever the passes say, as `FOREIGN_OF_CROWDED`."""
THROTTLED_SHARE = 0.01
"""CPU time for which a quota held the engine back ÷ time: less is a single period of 100 ms in ten seconds."""
_WORKING = ("probe", "warmup", "pass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """One cause. `cause` is short and goes on a sentence ("as …"); `text` is the sentence with figures and advice."""

    kind: Literal["foreign", "steal", "throttled", "gpu_slowed", "gpu_clock", "gpu_processes", "gpu_errors"]
    level: Literal["note", "spoils"]
    cause: str
    text: str
    amount: float
    """How much of what the engine needed was gone, as a share; to tell which of two attempts was disturbed less."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a trial before its record is put together."""

    passes: Sequence[Pass]
    phases: Sequence[Phase]


def disturbances(trial: Measured) -> list[Disturbance]:
    """What disturbed the timed passes, those that spoil first; empty where nothing is known, or too little."""
    if not tells_of_machine(trial.phases):
        return []
    is_steady = spread_of(trial) <= AGREEING
    found = [*_of_host(_timed_hosts(trial), is_steady=is_steady)]
    for work in gpu_works(trial):
        found += _of_gpu(work, is_steady=is_steady)
    return sorted(found, key=lambda one: one.level != "spoils")


def spoils(trial: Measured) -> list[Disturbance]:
    """Those for which the trial is worth another attempt."""
    return [one for one in disturbances(trial) if one.level == "spoils"]


def spoils_stopped(trial: Measured) -> list[Disturbance]:
    """Of a trial that was stopped early: what kept it from what it needed in all that it did, warm-up included, so that
    it may have been stopped for that. What else may have disturbed it, no passes are there to tell."""
    hosts = [one.host for one in trial.phases if one.name in _WORKING and one.host]
    found = [one for one in _of_host(hosts, is_steady=True) if one.level == "spoils"]
    return [replace(one, text=one.text.replace("during timed passes", "while it ran")) for one in found]


def is_host_known(trial: Measured) -> bool:
    """Whether the record tells what else the machine did in its timed passes."""
    host = _timed_hosts(trial)
    return _seconds(host) >= MIN_SECONDS and _mean(host, "foreign_cores") is not None


def spread_of(trial: Measured) -> float:
    """Longest timed pass ÷ shortest − 1; infinite where there are fewer than two, as nothing shows that they agree."""
    durations = [one.duration_s for one in trial.passes if one.kind == "timed"]
    return max(durations) / min(durations) - 1 if len(durations) > 1 and min(durations) > 0 else float("inf")


def _of_host(host: Sequence[Mapping[str, Any]], *, is_steady: bool) -> Iterator[Disturbance]:
    cpus = max((cpus for one in host if isinstance(cpus := one.get("cpus"), int)), default=0)
    if _seconds(host) < MIN_SECONDS or cpus < 1:
        return
    is_whole = all(one.get("is_whole_machine", True) for one in host)
    foreign, busy = _mean(host, "foreign_cores"), _mean(host, "busy_cores")
    if foreign is not None and busy is not None:
        yield from _foreign(foreign, busy, cpus, _mean(host, "pressure_share"), is_steady=is_steady, is_whole=is_whole)
    steal, throttled = _mean(host, "steal_share"), _mean(host, "throttled_share")
    if steal is not None and steal > STEAL_SHARE:
        yield Disturbance(
            kind="steal",
            level="note" if is_steady and steal <= STEAL_SPOILS else "spoils",
            cause=f"the hypervisor gave {steal:.1%} of the CPUs' time to other machines",
            text=f"the hypervisor gave {steal:.1%} of the CPUs' time to other machines during timed passes (steal): "
            "the host is overbooked; measure at another time, or on a machine of your own",
            amount=steal,
        )
    if throttled is not None and throttled > THROTTLED_SHARE:
        times = sum(count for one in host if isinstance(count := one.get("num_throttled"), int))
        yield Disturbance(
            kind="throttled",
            level="note" if is_steady else "spoils",
            cause=f"the cgroup's CPU quota held the engine back {times} times",
            text=f"the cgroup's CPU quota held its processes back {times} times during timed passes, "
            f"{throttled * _seconds(host):.1f} s in all: what is measured is the quota; raise it, or use fewer threads",
            amount=min(1.0, throttled),
        )


def _foreign(
    foreign: float, busy: float, cpus: int, pressure: float | None, *, is_steady: bool, is_whole: bool
) -> Iterator[Disturbance]:
    share = foreign / cpus
    is_crowded = busy >= CROWDED_SHARE * cpus and share > FOREIGN_OF_CROWDED
    if not is_crowded and share <= FOREIGN_SHARE:
        return
    figures = f"{foreign:.1f} of {cpus} core{'s' if cpus > 1 else ''}"
    room = "none was free" if is_crowded else f"{max(0.0, cpus - busy):.1f} were free"
    waited = "" if pressure is None else f", and some process waited for one {pressure:.0%} of the time"
    whose = "end what else runs here" if is_whole else "they may be another container's, which can't be seen from here"
    yield Disturbance(
        kind="foreign",
        level="spoils" if is_crowded or not is_steady else "note",
        cause=f"other processes took {figures}",
        text=f"other processes took {figures} during timed passes ({room}{waited}): {whose}, and measure again",
        amount=share,
    )


def _of_gpu(work: GpuWork, *, is_steady: bool) -> Iterator[Disturbance]:
    doubts = own_doubts(work)
    for text in doubts["slowed"]:
        cause = f"GPU {work.gpu} slowed itself down"
        yield Disturbance(kind="gpu_slowed", level="spoils", cause=cause, text=text, amount=_clock_lost(work))
    for text in doubts["unsettled"]:
        cause = f"GPU {work.gpu}'s clock differed between them"
        yield Disturbance(kind="gpu_clock", level="spoils", cause=cause, text=text, amount=_clock_lost(work))
    for text in doubts["strangers"]:
        cause = f"other processes were on GPU {work.gpu}"
        level: Literal["note", "spoils"] = "note" if is_steady else "spoils"
        yield Disturbance(kind="gpu_processes", level=level, cause=cause, text=text, amount=AGREEING)
    for text in doubts["errors"]:  # a repeat doesn't mend a card
        cause = f"GPU {work.gpu} reported errors"
        yield Disturbance(kind="gpu_errors", level="note", cause=cause, text=text, amount=AGREEING)


def _clock_lost(work: GpuWork) -> float:
    """How far the lowest pass's mean clock lay below the highest's."""
    clocks = work.pass_sm_clocks_mhz
    return 1 - min(clocks) / max(clocks) if clocks and max(clocks) > 0 else 0.0


def _timed_hosts(trial: Measured) -> list[Mapping[str, Any]]:
    timed = {one.index for one in trial.passes if one.kind == "timed"}
    return [one.host for one in trial.phases if one.name == "pass" and one.index in timed and one.host]


def _seconds(hosts: Sequence[Mapping[str, Any]]) -> float:
    return sum(seconds for one in hosts if (seconds := _number(one.get("seconds"))) is not None)


def _mean(hosts: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Over the passes, each by its length; None where one of them doesn't tell."""
    pairs = [(_number(one.get(name)), _number(one.get("seconds"))) for one in hosts]
    known = [(value, seconds) for value, seconds in pairs if value is not None and seconds is not None and seconds > 0]
    if not known or len(known) < len(pairs):
        return None
    return sum(value * seconds for value, seconds in known) / sum(seconds for _, seconds in known)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
