"""What a GPU holds besides weights and KV: activations, captured graphs, the CUDA context and libraries.

Fitted to published logs (docs/planner.md, "Overhead", has each with its residual); these are estimates, and
`error_bytes` is the margin within which a plan says `uncertain`.
"""

from __future__ import annotations

from dataclasses import dataclass

from vbench.planner.budget import Version
from vbench.planner.settings import Settings
from vbench.planner.shape import ModelShape
from vbench.planner.weights import DTYPE_BYTES
from vbench.units import GIB, MIB

_NON_TORCH_BYTES = round(0.14 * GIB)  # cuBLAS, workspaces: 0.14 GiB on a T4 (0.30), 0.20 on a 3090
_NCCL_BYTES = round(0.10 * GIB)
_COMPILED_BYTES = round(0.50 * GIB)  # inductor's temporaries: between 0 and 0.9 GiB in the logs
_CONTEXT_BYTES = round(0.31 * GIB)  # T4, Kaggle: NVML peak 310 MiB above the budget
_GRAPH_BYTES = 5 * MIB  # each captured graph: 0.44 GiB / 86, 0.04 GiB / 12
_V0_GRAPHS_BYTES = round(1.5 * GIB)  # V0 captured 35 sizes: 0.5 to 2.4 GiB
_EAGER_ERROR, _COMPILED_ERROR = round(0.3 * GIB), round(0.6 * GIB)
_GUESSED_SHAPE_ERROR = 0.10
_PROCESS_BYTES = round(1.6 * GIB)  # resident before weights: torch and vLLM imported, CPU build 0.32 (measured)
_CPU_ERROR = round(0.5 * GIB)
_GROWTH_BYTES = round(0.5 * GIB)  # seen at run time above the start-up peak: 0 to 0.9 GiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Bytes on each GPU. `context` lies outside the engine's budget except where `is_context_inside`."""

    activation_bytes: int
    graph_bytes: int
    context_bytes: int
    error_bytes: int
    is_graph_inside: bool = True
    is_context_inside: bool = False
    growth_bytes: int = 0

    @property
    def inside_bytes(self) -> int:
        """What the engine takes off its budget besides weights and KV."""
        graphs = self.graph_bytes if self.is_graph_inside else 0
        return self.activation_bytes + graphs + (self.context_bytes if self.is_context_inside else 0)

    @property
    def outside_bytes(self) -> int:
        """What comes on top of the budget: an NVML peak is budget + this."""
        return self.activation_bytes + self.graph_bytes + self.context_bytes - self.inside_bytes


def gpu_overhead(shape: ModelShape, settings: Settings, version: Version, weights_bytes: int) -> Overhead:
    """Estimate for vLLM on a GPU. Graphs count within the budget from 0.21; the context did from 0.7 to 0.9."""
    error = _EAGER_ERROR if settings.is_eager else _COMPILED_ERROR
    if shape.guesses:
        error += round(weights_bytes * _GUESSED_SHAPE_ERROR)
    ranks = settings.placement.tensor_parallel_size
    return Overhead(
        activation_bytes=activation_bytes(shape, settings) + _NON_TORCH_BYTES + (_NCCL_BYTES if ranks > 1 else 0),
        graph_bytes=graph_bytes(settings, version),
        context_bytes=_CONTEXT_BYTES,
        error_bytes=error,
        is_graph_inside=version >= (0, 21, 0),
        is_context_inside=(0, 7, 0) <= version < (0, 10, 0),
        growth_bytes=_GROWTH_BYTES,
    )


def activation_bytes(shape: ModelShape, settings: Settings) -> int:
    """The widest moment of a forward pass: batch · max(3 · intermediate / TP, 4 · hidden) · 2 B, and the sampler's
    float32 logits, sequences · vocabulary · 4 B. Compiled code adds a constant."""
    ranks = settings.placement.tensor_parallel_size
    inner = shape.intermediate_size
    if shape.moe is not None:
        inner = max(inner, shape.moe.intermediate_size * shape.moe.experts_per_token)
    width = max(3 * inner // ranks, 4 * shape.hidden_size)
    forward = settings.max_num_batched_tokens * width * DTYPE_BYTES[settings.dtype]
    logits = settings.max_num_seqs * shape.vocab_size * 4
    return forward + logits + (0 if settings.is_eager else _COMPILED_BYTES)


def graph_bytes(settings: Settings, version: Version) -> int:
    """Captured CUDA graphs: one piecewise for each size, one full for each size up to `max_num_seqs`."""
    if settings.is_eager:
        return 0
    if version < (0, 8, 0):
        return _V0_GRAPHS_BYTES
    decode = 1 + settings.num_speculative_tokens
    sizes = capture_sizes(min(settings.max_num_seqs * decode * 2, 512))
    full = sum(1 for size in sizes if size <= settings.max_num_seqs)
    return (len(sizes) + full) * _GRAPH_BYTES


def capture_sizes(most: int) -> list[int]:
    """vLLM 0.33's default batch sizes: 1, 2, 4, by 8 to 255, by 16 to 512, capped."""
    return [size for size in (1, 2, 4, *range(8, 256, 8), *range(256, 513, 16)) if size <= most]


def cpu_overhead(shape: ModelShape, settings: Settings, weights_bytes: int) -> Overhead:
    """Estimate for vLLM's CPU backend: its `gpu_memory_utilization` is a share of RAM from which the process's
    resident bytes (interpreter, weights, warm-up activations) are taken (`cpu_worker.py`)."""
    error = _CPU_ERROR + (round(weights_bytes * _GUESSED_SHAPE_ERROR) if shape.guesses else 0)
    return Overhead(
        activation_bytes=activation_bytes(shape, settings),
        graph_bytes=0,
        context_bytes=_PROCESS_BYTES,
        error_bytes=error,
        is_context_inside=True,
    )
