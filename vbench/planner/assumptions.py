"""What is taken to be so of versions of vLLM that weren't read: a change was seen between two versions, and the one
that made it wasn't located. Every such threshold that decides memory is an `Assumption` here, and a plan that depends
on one says so (`Plan.assumptions`, docs/planner.md "Assumptions").

Thresholds that decide only whether an argument is known (`SEEN_AFTER_0_11` in `abilities`, `rules`) aren't: they are
taken as early as can be, so that they refuse nothing that might run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vbench.planner.budget import SEEN_AFTER_0_11, Budget, Version

if TYPE_CHECKING:
    from vbench.planner.settings import Settings

_UNSCHEDULED_AHEAD = ("ngram", "suffix")  # speculative methods that turn asynchronous scheduling off


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One change. It is known not to be before `unsure_from`, and to be from `unsure_until` on."""

    taken_from: Version
    unsure_from: Version
    unsure_until: Version
    new: str
    """What a plan is made with from `taken_from` on, after "vLLM 0.20.0 is taken to"."""
    old: str

    def holds(self, version: Version) -> bool:
        """Whether plans for that version are made with what is new."""
        return version >= self.taken_from

    def said(self, version: Version) -> str | None:
        """The sentence for a plan that depends on it; None for a version of which it is known."""
        if not self.unsure_from <= version < self.unsure_until:
            return None
        taken = self.new if self.holds(version) else self.old
        return f"vLLM {_dotted(version)} is taken to {taken}: known only of versions before and after it"


DEFAULT_UTILIZATION = Assumption(  # 0.90 in the wheels up to 0.11.0, 0.92 in 0.32.0
    taken_from=SEEN_AFTER_0_11,
    unsure_from=(0, 11, 1),
    unsure_until=(0, 32, 0),
    new="have the default gpu_memory_utilization 0.92 (not 0.9)",
    old="have the default gpu_memory_utilization 0.9 (not 0.92)",
)
HYBRID_CACHE = Assumption(  # V0 had none; read in 0.32.0
    taken_from=(0, 10, 0),
    unsure_from=(0, 8, 0),
    unsure_until=(0, 32, 0),
    new="free what leaves a sliding window (hybrid KV cache manager)",
    old="keep what leaves a sliding window (no hybrid KV cache manager)",
)
ASYNC_SCHEDULING = Assumption(  # off by default in 0.11.0, on in 0.32.0
    taken_from=(0, 14, 0),
    unsure_from=(0, 11, 1),
    unsure_until=(0, 32, 0),
    new="schedule asynchronously by default (one batch more within sliding windows)",
    old="not schedule asynchronously by default (no batch more within sliding windows)",
)


def is_async_by_default(speculative: Mapping[str, Any], budget: Budget, version: Version) -> bool:
    """Whether vLLM schedules a batch ahead where `async_scheduling` isn't given."""
    is_possible = not budget.is_cpu and speculative.get("method") not in _UNSCHEDULED_AHEAD
    return is_possible and ASYNC_SCHEDULING.holds(version)


def depended_on(
    config: Mapping[str, Any], windows: Iterable[int | None], settings: Settings, budget: Budget, version: Version
) -> tuple[str, ...]:
    """The assumptions that this plan's bytes depend on, one sentence each. `windows`: of every attention layer."""
    kinds = set(windows)
    is_mixed, is_sliding = len(kinds) > 1, kinds != {None}
    speculative = config.get("speculative_config")
    method = speculative.get("method") if isinstance(speculative, Mapping) else None
    depends = {
        DEFAULT_UTILIZATION: config.get("gpu_memory_utilization") is None and not settings.is_pool_given,
        HYBRID_CACHE: is_mixed and config.get("disable_hybrid_kv_cache_manager") is not True,
        ASYNC_SCHEDULING: is_sliding and (settings.is_hybrid_cache or not is_mixed) and not budget.is_cpu
        and config.get("async_scheduling") is None and method not in _UNSCHEDULED_AHEAD,
    }  # fmt: skip
    return tuple(said for one, is_so in depends.items() if is_so and (said := one.said(version)) is not None)


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
