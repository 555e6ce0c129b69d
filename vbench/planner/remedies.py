"""The nearest settings that would fit where a configuration doesn't: each is checked by the same estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vbench.planner.abilities import EngineAbilities, refusal
from vbench.planner.budget import Budget
from vbench.planner.estimate import Estimate, Workload, estimate
from vbench.planner.kv_space import given_by
from vbench.planner.learning import Correction
from vbench.planner.rules import contradiction
from vbench.planner.settings import SettingsError, resolve

_ROUND_TOKENS = 256
_LEAST_TOKENS = 128
_MOST_UTILIZATION = 0.95  # above it a T4 runs out of memory under load
_LOWER_BATCH = 2048


def remedies(
    config: Mapping[str, Any], workload: Workload, budget: Budget, engine: EngineAbilities, correction: Correction,
    found: Estimate,
) -> list[str]:  # fmt: skip
    """As phrases ("max_model_len ≤ 5,120", "quantization awq", "tensor_parallel_size 2"), cheapest change first."""
    variable = found.settings.space_variable

    def fits(**changes: Any) -> bool:
        space = variable
        if variable is not None and variable.name in changes:
            space = replace(variable, gib=changes.pop(variable.name))
        other = {**config, **changes}
        try:
            settings = resolve(other, workload.shape, budget, engine.version, space)
        except SettingsError:
            return False
        if contradiction(other, workload.shape, settings, budget, engine.version):
            return False
        if refusal(other, workload.shape, settings, budget, engine):
            return False
        tried = estimate(other, workload, settings, budget, engine.version, correction)
        return tried.length > 0 and tried.margin_bytes >= 0 and tried.num_blocks >= tried.needed_blocks

    phrases = []
    length = _round_down(found.layout.longest(found.num_blocks, found.length, found.settings.max_in_flight_tokens))
    if length >= _LEAST_TOKENS and fits(max_model_len=length):
        phrases.append(f"max_model_len ≤ {length:,}")
    phrases += _kv_space(found, fits)
    if not found.is_pool_given and found.settings.gpu_memory_utilization < _MOST_UTILIZATION:
        phrases += ["gpu_memory_utilization 0.95"] if fits(gpu_memory_utilization=_MOST_UTILIZATION) else []
    if found.settings.max_num_batched_tokens > _LOWER_BATCH and fits(max_num_batched_tokens=_LOWER_BATCH):
        phrases.append(f"max_num_batched_tokens {_LOWER_BATCH:,}")
    if workload.shape.quantization is None and found.settings.quantization is None and fits(quantization="awq"):
        phrases.append("quantization awq")
    ranks = found.settings.placement.tensor_parallel_size
    more = next((n for n in range(ranks + 1, budget.num_gpus + 1) if fits(tensor_parallel_size=n)), None)
    if more is not None:
        phrases.append(f"tensor_parallel_size {more}")
    return phrases


def _kv_space(found: Estimate, fits: Callable[..., bool]) -> list[str]:
    """Of a given KV space: more where it doesn't hold one request, less where it doesn't fit beside the weights."""
    given = given_by(found.settings, found.layout.block_bytes)
    if given is None:
        return []
    if found.num_blocks < found.needed_blocks:
        value, relation = given.at_least(found.needed_bytes), "≥"
    else:
        value, relation = given.at_most(found.pool_bytes + found.margin_bytes), "≤"
    return [given.phrase(value, relation)] if value > 0 and fits(**{given.name: value}) else []


def _round_down(length: int) -> int:
    return length // _ROUND_TOKENS * _ROUND_TOKENS if length >= _ROUND_TOKENS else length
