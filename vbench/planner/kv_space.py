"""The setting by which a KV space was given instead of left to the engine: its name, its steps, how it is written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vbench.planner.settings import Settings
from vbench.units import GIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSetting:
    """One such setting. Remedies name whole steps: a block, a MiB of an argument in bytes, a GiB of a variable."""

    name: str
    value: int
    """As it is set now."""
    step_bytes: int
    written_per_step: int = 1
    unit: str = ""

    def at_least(self, num_bytes: int) -> int:
        """The least value to write that gives so many bytes."""
        return math.ceil(num_bytes / self.step_bytes) * self.written_per_step

    def at_most(self, num_bytes: int) -> int:
        """The largest value to write that gives no more; 0 or less where there is none."""
        return num_bytes // self.step_bytes * self.written_per_step

    def phrase(self, value: int, relation: str = "") -> str:
        """`kv_cache_memory_bytes ≤ 1,048,576`; without a relation the setting as a sentence names it."""
        return " ".join(word for word in (self.name, relation, f"{value:,}", self.unit) if word)


def given_by(settings: Settings, block_bytes: int) -> SpaceSetting | None:
    """What gives the KV space, in the engine's own order; None where it sizes the space itself."""
    blocks, variable = settings.num_gpu_blocks_override, settings.space_variable
    if blocks is not None:
        return SpaceSetting(name="num_gpu_blocks_override", value=blocks, step_bytes=block_bytes)
    if variable is not None:
        return SpaceSetting(name=variable.name, value=variable.gib, step_bytes=GIB, unit="(GiB)")
    if settings.kv_cache_memory_bytes is None:
        return None
    value = settings.kv_cache_memory_bytes
    return SpaceSetting(name="kv_cache_memory_bytes", value=value, step_bytes=MIB, written_per_step=MIB)
