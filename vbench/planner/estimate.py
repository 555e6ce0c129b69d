"""One configuration's bytes on its fullest GPU: budget, weights, overhead, and what is left for the KV cache."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vbench.planner.budget import Budget, Version
from vbench.planner.kv_cache import Layout, layers_of, layout
from vbench.planner.learning import NOTHING_LEARNT, Correction
from vbench.planner.overhead import Overhead, cpu_overhead, gpu_overhead
from vbench.planner.settings import AUTO_LEN, Settings
from vbench.planner.shape import ModelShape
from vbench.planner.weights import Placement, scheme_for, stage_layers, weights_by_stage
from vbench.units import GIB

_UNKNOWN_DRAFT_ERROR = round(0.5 * GIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is loaded: the model's shape, the draft's where there is one, and the checkpoint's exact bytes if known."""

    shape: ModelShape
    draft: ModelShape | None = None
    checkpoint_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """All in bytes on the GPU (of the pipeline stage) that has the fewest KV blocks."""

    settings: Settings
    overhead: Overhead
    weights_bytes: int
    budget_bytes: int
    """What the engine may take: utilization × visible; all that is visible where the KV space is given."""
    pool_bytes: int
    """For the KV cache; negative when the weights don't even fit."""
    layout: Layout
    num_blocks: int
    length: int
    """`max_model_len`, or the longest that fits for `-1`; 0 when none does."""
    error_bytes: int
    """Within this of the limit the verdict is `uncertain`."""
    is_pool_given: bool

    @property
    def needed_blocks(self) -> int:
        """For one request of `length`, and the null block that vLLM's pool keeps back."""
        return self.layout.blocks_per_request(max(1, self.length), self.settings.max_in_flight_tokens) + 1

    @property
    def needed_bytes(self) -> int:
        """`needed_blocks` in bytes."""
        return self.needed_blocks * self.layout.block_bytes

    @property
    def total_bytes(self) -> int:
        """The least this takes of `budget_bytes`: with one request's KV, or with the whole pool where it is given."""
        if self.is_pool_given:
            return self.weights_bytes + self.overhead.inside_bytes + self.overhead.outside_bytes + self.pool_bytes
        return self.weights_bytes + self.overhead.inside_bytes + self.needed_bytes

    @property
    def margin_bytes(self) -> int:
        """What is left of the budget; negative is the shortfall."""
        return self.budget_bytes - self.total_bytes

    @property
    def peak_bytes(self) -> int:
        """What NVML (or the process tree) is expected to show at most once the engine runs."""
        return self.total_bytes if self.is_pool_given else self.budget_bytes + self.overhead.outside_bytes


def estimate(
    config: Mapping[str, Any], workload: Workload, settings: Settings, budget: Budget, version: Version,
    correction: Correction = NOTHING_LEARNT,
) -> Estimate:  # fmt: skip
    """The stage with the fewest blocks decides, as vLLM gives every rank the smallest count. One that is left without a
    layer, where there are more stages than layers (`rules` refuses that), decides nothing."""
    weights = _weights(config, workload, settings)
    counts = stage_layers(workload.shape.num_layers, settings.placement.pipeline_parallel_size)
    stages = (stage for stage, count in enumerate(counts) if count)
    return min(
        (_stage(workload, settings, budget, version, correction, stage, weights[stage]) for stage in stages),
        key=lambda found: (found.num_blocks, found.margin_bytes),
    )


def _stage(
    workload: Workload, settings: Settings, budget: Budget, version: Version, correction: Correction, stage: int,
    weights_bytes: int,
) -> Estimate:  # fmt: skip
    weights_bytes = round(weights_bytes * correction.weights_ratio)
    found = _overhead(workload, settings, budget, version, weights_bytes)
    error = found.error_bytes if correction.error_bytes is None else correction.error_bytes
    if settings.has_draft_model and workload.draft is None:
        error += _UNKNOWN_DRAFT_ERROR
    shared = _layout(workload, settings, budget, stage)
    if settings.num_gpu_blocks_override is not None:
        pool = settings.num_gpu_blocks_override * shared.block_bytes
    elif settings.kv_cache_memory_bytes is not None:
        pool = settings.kv_cache_memory_bytes
    else:
        pool = requested_bytes(settings, budget) - weights_bytes - found.inside_bytes - correction.shift_bytes
    blocks = max(0, pool // shared.block_bytes)
    length = settings.max_model_len
    if length == AUTO_LEN:
        length = shared.longest(blocks, workload.shape.max_positions, settings.max_in_flight_tokens)
    # On a CPU all ranks share the one memory.
    ranks = settings.num_gpus if budget.is_cpu else 1
    return Estimate(
        settings=settings,
        overhead=found,
        weights_bytes=weights_bytes,
        budget_bytes=budget.visible_bytes // ranks
        if settings.is_pool_given
        else requested_bytes(settings, budget) - correction.shift_bytes,
        pool_bytes=pool,
        layout=shared,
        num_blocks=blocks,
        length=length,
        error_bytes=error,
        is_pool_given=settings.is_pool_given,
    )


def requested_bytes(settings: Settings, budget: Budget) -> int:
    """What the engine takes for itself: ceil(visible × gpu_memory_utilization)."""
    return math.ceil(budget.visible_bytes * settings.gpu_memory_utilization)


def _overhead(workload: Workload, settings: Settings, budget: Budget, version: Version, weights_bytes: int) -> Overhead:
    if budget.is_cpu:
        return cpu_overhead(workload.shape, settings, weights_bytes)
    return gpu_overhead(workload.shape, settings, version, weights_bytes)


def _weights(config: Mapping[str, Any], workload: Workload, settings: Settings) -> list[int]:
    """By stage; the draft lies on the last. A checkpoint's exact size corrects what the shape doesn't know."""
    shape, placement = workload.shape, settings.placement
    scheme = scheme_for(shape, settings.quantization)
    totals = [*weights_by_stage(shape, settings.dtype, scheme, placement)]
    if workload.checkpoint_bytes is not None and settings.dtype != "float32" and scheme == shape.quantization:
        whole = weights_by_stage(shape, settings.dtype, scheme, Placement())[0]
        totals = [round(total * workload.checkpoint_bytes / whole) for total in totals]
    if workload.draft is not None and settings.has_draft_model:
        speculative = config.get("speculative_config")
        speculative = speculative if isinstance(speculative, Mapping) else {}
        ranks = speculative.get("draft_tensor_parallel_size") or placement.tensor_parallel_size
        method = speculative.get("quantization")
        draft_scheme = scheme_for(workload.draft, method if isinstance(method, str) else None)
        alone = Placement(tensor_parallel_size=ranks if isinstance(ranks, int) else 1)
        totals[-1] += weights_by_stage(workload.draft, settings.dtype, draft_scheme, alone)[0]
    return totals


def _layout(workload: Workload, settings: Settings, budget: Budget, stage: int) -> Layout:
    counts = stage_layers(workload.shape.num_layers, settings.placement.pipeline_parallel_size)
    first = sum(counts[:stage])
    ranks = settings.placement.tensor_parallel_size
    form = (ranks, settings.kv_dtype, settings.dtype, budget.is_cpu)
    layers = layers_of(workload.shape, *form)[first : first + counts[stage]]
    if workload.draft is not None and settings.has_draft_model and stage == len(counts) - 1:
        layers += layers_of(workload.draft, *form)
    return layout(layers, settings.block_size, settings.is_hybrid_cache)
