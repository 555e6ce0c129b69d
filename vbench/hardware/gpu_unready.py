"""Why no trial can be run on its GPUs now: memory that wasn't given back, or others took; a GPU or driver that is gone.

A trial may count on what a GPU had free when the session began: foreign processes that were there from the start are
part of the machine as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vbench.hardware.gpu_samples import GpuSample, GpuUse
from vbench.units import MIB

RELEASED_WITHIN_BYTES = 128 * MIB
"""Contexts of a desktop come and go by about as much."""
ANSWER_S = 30.0
"""A driver answers within milliseconds; without persistence mode the first question of all takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What of the machine keeps a trial from running."""

    failure_class: str
    evidence: str
    advice: str


LOST_ADVICE = "`dmesg | grep -i xid` says why; a reboot usually brings it back. Then run the same command again"
STUCK = Fault(
    failure_class="nvml_stuck",
    evidence="the NVIDIA driver no longer answers: a question of NVML was waited for in vain",
    advice="see whether `nvidia-smi` answers: if not, the driver hangs, and a reboot helps",
)


def answers(ask: Callable[[], object]) -> bool:
    """Whether it returns within ANSWER_S. It runs in a thread of its own, which is left behind where it doesn't: a call
    that blocks in a driver can't be ended. What it raises is raised here."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            ask()
        except BaseException as error:  # handed over
            raised.append(error)

    thread = threading.Thread(target=run, name="nvml-question", daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    if raised:
        raise raised[0]
    return not thread.is_alive()


def excess(first: GpuSample, last: GpuSample) -> list[tuple[GpuUse, int]]:
    """The GPUs that hold more than at first without foreign processes having taken it, and how many bytes."""
    held = []
    for before, now in zip(first.gpus, last.gpus, strict=True):
        was, has = _not_foreign(before), _not_foreign(now)
        if was is not None and has is not None and has - was > RELEASED_WITHIN_BYTES:
            held.append((now, has - was))
    return held


def holders(use: GpuUse, first: GpuSample) -> str:
    """Who holds what is too much, as a clause."""
    before = {one.pid for gpu in first.gpus for one in gpu.reading.processes or ()}
    others = before | set(use.foreign_pids or ())
    pids = [one.pid for one in use.reading.processes or () if one.pid not in others]
    if not pids:
        return "the driver names no process that holds it"
    return f"{pids_of(pids)} hold it"


def not_released(held: Sequence[tuple[GpuUse, int]], first: GpuSample, waited_s: float) -> Fault:
    """Memory that earlier trials left."""
    said = [
        f"GPU {use.reading.index}: {kept / MIB:,.0f} MiB more are in use than when the session began, and "
        f"{holders(use, first)}"
        for use, kept in held
    ]
    return Fault(
        failure_class="gpu_memory_not_released",
        evidence=f"{'; '.join(said)} (waited {waited_s:.0f} s)",
        advice="end what holds it (`nvidia-smi`) or restart the machine, and run the same command again; "
        "`deadlines: {release: …}` waits longer",
    )


def more_of_others(first: GpuSample, samples: Sequence[GpuSample]) -> dict[int, int]:
    """How much more foreign processes held in these samples than at first, by the GPU's place; what is worth a word."""
    found = {}
    for place, before in enumerate(first.gpus):
        most = max((one.gpus[place].foreign_bytes or 0 for one in samples if len(one.gpus) > place), default=0)
        if (more := most - (before.foreign_bytes or 0)) > RELEASED_WITHIN_BYTES:
            found[place] = more
    return found


def taken_meanwhile(first: GpuSample, samples: Sequence[GpuSample], evidence: str) -> Fault | None:
    """Others' memory that came since the session began, where a trial ran out of it; None where there is none."""
    said = []
    for place, more in more_of_others(first, samples).items():
        before = first.gpus[place]
        new = {pid for one in samples for pid in one.gpus[place].foreign_pids or ()} - set(before.foreign_pids or ())
        who = pids_of(sorted(new)) if new else "processes"
        said.append(f"{who} of others took {more / MIB:,.0f} MiB of GPU {before.reading.index} meanwhile")
    if not said:
        return None
    return Fault(
        failure_class="gpu_memory_taken",
        evidence=f"{'; '.join(said)}: {evidence}",
        advice="end what you can of it, or run the same command again once it has ended",
    )


def pids_of(pids: Sequence[int]) -> str:
    """`pid 7`, `pids 7, 9`."""
    return f"{'pid' if len(pids) == 1 else 'pids'} {', '.join(map(str, pids))}"


def _not_foreign(use: GpuUse) -> int | None:
    return None if use.used_bytes is None else use.used_bytes - (use.foreign_bytes or 0)
