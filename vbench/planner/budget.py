"""What a machine allows, as the planner needs it. A hardware profile or this machine is turned into one of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Version = tuple[int, int, int]
LATEST: Version = (0, 33, 0)  # the newest vLLM whose rules the tables here describe
# Not in 0.11.0, in 0.32.0, and what came between wasn't read: taken to have come right after 0.11.
SEEN_AFTER_0_11: Version = (0, 12, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes and abilities of one machine; GPUs are alike. On a CPU `visible_bytes` is the RAM, `num_gpus` 1."""

    visible_bytes: int
    """Of each GPU, as CUDA shows them to a program (`mem_get_info`): `gpu_memory_utilization` counts from here."""
    nvml_bytes: int | None = None
    """Of each GPU, as NVML reports them: what a peak is judged by."""
    num_gpus: int = 1
    compute_capability: tuple[int, int] | None = None
    kind: Literal["gpu", "cpu"] = "gpu"
    name: str = ""
    bandwidth_bytes_s: float | None = None
    """Of each GPU's memory; for the cost model, not used in a plan."""
    free_bytes: int | None = None
    """Free now, where this very machine is planned for; None for a card that is only described."""

    @property
    def is_cpu(self) -> bool:
        """Whether the engine runs on the processor and in RAM."""
        return self.kind == "cpu"


def parse_version(text: str | None) -> Version:
    """The release numbers of `0.8.5.post1`, `0.32.0+cpu` or `v0.10`; LATEST when there are none.

    >>> parse_version("0.32.0+cpu"), parse_version("0.10")
    ((0, 32, 0), (0, 10, 0))
    """
    numbers: list[int] = []
    for part in (text or "").strip().removeprefix("v").split("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    if not numbers:
        return LATEST
    major, minor, patch = (*numbers, 0, 0)[:3]
    return (major, minor, patch)
