"""What finished trials teach about the next: how far a plan was off, and a narrower margin for the same model.

Pure functions of records. Nothing is stored here; a resumed sweep learns the same again from its results.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.units import GIB, MIB

_LEAST_ERROR = 64 * MIB  # runs of one configuration differ by about this
_FEW_ERROR = round(0.25 * GIB)  # one or two trials don't show their spread
_ENOUGH = 3
_SPREAD_FACTOR = 2.0
_MOST_WEIGHTS_CHANGE = 0.25  # a ratio beyond this is a wrong shape, not a lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What to change in the next estimate of the same kind."""

    shift_bytes: int = 0
    """Overhead beyond the estimate's (negative: less)."""
    error_bytes: int | None = None
    """The margin within which a verdict is `uncertain`; None leaves the estimate's own."""
    weights_ratio: float = 1.0
    num_trials: int = 0


NOTHING_LEARNT = Correction()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Trials whose overheads are alike: the same model, ranks, mode and types."""

    model: str
    tensor_parallel_size: int = 1
    is_eager: bool = False
    quantization: str | None = None
    dtype: str = "auto"
    """As the configuration names it: activations of another type take other room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A plan beside what the engine said. Errors are (planned − reported) / reported; None where one is missing."""

    kind: Kind
    weights_error: float | None
    kv_tokens_error: float | None
    overhead_error_bytes: int | None
    """Planned − reported bytes for the KV cache, beyond the weights' part; None where the KV space was given, as then
    the pool says nothing of the overhead."""
    weights_ratio: float | None


def compare(
    kind: Kind, *, weights_bytes: int, kv_blocks: int, block_bytes: int, is_pool_given: bool,
    reported: Mapping[str, Any],
) -> Agreement:  # fmt: skip
    """`reported` is a record's engine facts: `weights_bytes` (one GPU's), `num_gpu_blocks` or, without it,
    `kv_cache_tokens` and `block_size`. Blocks are compared, since token counts of hybrid models depend on the version.
    """
    weights = _positive(reported.get("weights_bytes"))
    blocks = _positive(reported.get("num_gpu_blocks"))
    tokens, block_size = _positive(reported.get("kv_cache_tokens")), _positive(reported.get("block_size"))
    if blocks is None and tokens is not None and block_size is not None:
        blocks = tokens / block_size
    weights_error = None if weights is None else (weights_bytes - weights) / weights
    overhead = None
    if blocks is not None and not is_pool_given:
        overhead = round((kv_blocks - blocks) * block_bytes)
        if weights is not None:
            overhead += round(weights_bytes - weights)
    return Agreement(
        kind=kind,
        weights_error=weights_error,
        kv_tokens_error=None if blocks is None else (kv_blocks - blocks) / blocks,
        overhead_error_bytes=overhead,
        weights_ratio=None if weights is None or not weights_bytes else weights / weights_bytes,
    )


def learn(agreements: Sequence[Agreement], kind: Kind) -> Correction:
    """From the finished trials of `kind`: the median residual as the shift, twice the spread around it as the error.

    Weights are exact bytes: their median ratio is taken over. One or two trials narrow the error to 0.25 GiB at most.
    """
    alike = [one for one in agreements if one.kind == kind]
    ratios = [one.weights_ratio for one in alike if one.weights_ratio is not None]
    ratio = statistics.median(ratios) if ratios else 1.0
    if abs(ratio - 1) > _MOST_WEIGHTS_CHANGE:
        ratio = 1.0
    residuals = [one.overhead_error_bytes for one in alike if one.overhead_error_bytes is not None]
    if not residuals:
        return Correction(weights_ratio=ratio, num_trials=len(alike))
    shift = statistics.median(residuals)
    spread = _SPREAD_FACTOR * max(abs(one - shift) for one in residuals)
    least = _LEAST_ERROR if len(residuals) >= _ENOUGH else _FEW_ERROR
    return Correction(
        shift_bytes=round(shift), error_bytes=round(max(least, spread)), weights_ratio=ratio, num_trials=len(alike)
    )


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        return None
    return float(value)
