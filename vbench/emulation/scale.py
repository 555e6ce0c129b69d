"""The arithmetic of standing in for another card: how much memory it has, and what to ask of an engine here for it.

Pure, in bytes of one GPU (docs/emulation.md). An engine's `gpu_memory_utilization` counts from the bytes that CUDA
shows, so that is what everything here counts from; NVML's total is larger by what the driver keeps back (448 MiB of a
T4), which no program can use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vbench.units import format_bytes

DISAGREEMENT = 0.01
"""A memory fraction that is further than this from the profile is worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a trial may have of this machine's memory."""

    bytes: int
    notes: tuple[str, ...] = ()


def emulated_share(target_bytes: int, local_bytes: int, fraction: float | None, name: str) -> Share:
    """The smaller of the target's bytes and `fraction` of the local ones, both as CUDA shows them.

    0.625 of an RTX 3090 (23.56 GiB to CUDA) is 14.73 GiB, 1.1 % more than a T4 has: the ratio of what NVML calls total
    (15,360 of 24,576 MiB) isn't the ratio of what can be used.
    """
    if fraction is None:
        return Share(bytes=min(target_bytes, local_bytes))
    asked = int(local_bytes * fraction)
    notes = []
    if abs(asked - target_bytes) > DISAGREEMENT * target_bytes:
        smaller = "the profile's" if target_bytes < asked else "memory_fraction's"
        notes.append(
            f"memory_fraction {fraction:g} of {format_bytes(local_bytes)} is {format_bytes(asked)}, and {name} has "
            f"{format_bytes(target_bytes)} ({asked / target_bytes - 1:+.1%}): {smaller} is used, the smaller"
        )
    return Share(bytes=min(asked, target_bytes, local_bytes), notes=tuple(notes))


def scaled_utilization(utilization: float, emulated_bytes: int, local_bytes: int) -> float:
    """What to pass here for `utilization` of the emulated card: u · visible(emulated) / visible(local), rounded down to
    a millionth, so that it never asks for more.

    >>> round(scaled_utilization(0.9, 15_636_037_632, 25_297_357_373), 3)
    0.556
    """
    return math.floor(utilization * emulated_bytes / local_bytes * 1e6) / 1e6


def balloon_bytes(emulated_bytes: int, local_bytes: int) -> int:
    """What has to be held on a GPU so that the rest is as large as the emulated card; 0 where nothing is left over."""
    return max(0, local_bytes - emulated_bytes)
