"""Bytes of weights that one GPU holds: each matrix by its storage scheme and its share under TP and PP.

Formulas: docs/planner.md, "Weights". Error: exact to the parameter for the families of `families` (measured against
vLLM: within 0.1 %); 10 % where the shape was guessed; 5 % for formats whose layout isn't modelled (gguf).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vbench.planner.parameters import VOCAB_PADDING, Matrix, Split, matrices
from vbench.planner.shape import ModelShape, Quantization

DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float": 4, "half": 2}
_KERNELS = {"awq_marlin": "awq", "auto_awq": "awq", "gptq_marlin": "gptq", "auto_gptq": "gptq", "marlin": "gptq"}
# Methods that quantize an unquantized checkpoint while loading it: bits, and whether each output has its own scale.
ONLINE = {
    "fp8": 8, "fp8_per_tensor": 8, "fp8_per_channel": 8, "fp8_per_block": 8, "bitsandbytes": 4, "ptpc_fp8": 8,
    "mxfp8": 8, "modelopt": 8,
}  # fmt: skip
_SQUEEZE_LEVELS = 16  # squeezellm: a table of 2^4 float16 values for each output


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a model is spread: tensor-parallel ranks in each of the pipeline's stages."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1

    @property
    def num_gpus(self) -> int:
        """GPUs of one engine."""
        return self.tensor_parallel_size * self.pipeline_parallel_size


def scheme_for(shape: ModelShape, method: str | None) -> Quantization | None:
    """How the linear layers will be stored: as the checkpoint says, else by the engine's `quantization` argument.

    A method that needs a quantized checkpoint, asked of a plain shape, is planned as its usual checkpoint: 4 bits in
    groups of 128 (E2's AWQ and GPTQ). None: not quantized.
    """
    if shape.quantization is not None:
        return shape.quantization
    method = _KERNELS.get(method or "", method or "")
    if method in ("", "none"):
        return None
    if method in ("awq", "gptq"):
        return Quantization(method=method, bits=4, group_size=128, has_zero_points=True)
    if method in ONLINE:
        return Quantization(method=method, bits=ONLINE[method], group_size=64 if method == "bitsandbytes" else None)
    bits = 8 if method in ("compressed-tensors", "experts_int8", "int8_per_channel_weight_only") else 4
    return Quantization(method=method, bits=bits, group_size=None if bits == 8 else 128)


def bits_per_weight(scheme: Quantization | None, dtype: str) -> float:
    """Average bits of a linear weight with its scales and zeros: AWQ in groups of 128 is 4 + 16/128 + 4/128 = 4.156."""
    if scheme is None:
        return 8.0 * DTYPE_BYTES[dtype]
    if scheme.group_size is None:
        return float(scheme.bits)
    zeros = scheme.bits if scheme.has_zero_points else 0
    return scheme.bits + (16 + zeros) / scheme.group_size


@lru_cache(maxsize=4096)
def weights_by_stage(
    shape: ModelShape, dtype: str, scheme: Quantization | None, placement: Placement
) -> tuple[int, ...]:
    """Bytes on each GPU of every pipeline stage, in order. Ranks of a stage hold the same."""
    last = placement.pipeline_parallel_size - 1
    stage_of = [stage for stage, count in enumerate(stage_layers(shape.num_layers, last + 1)) for _ in range(count)]
    totals = [0] * (last + 1)
    for matrix in matrices(shape):
        size = _rank_bytes(matrix, dtype, scheme, placement.tensor_parallel_size)
        if matrix.layer is not None:
            totals[stage_of[matrix.layer]] += size
        elif matrix.part == "embedding":
            totals[0] += size
            # A tied embedding is the lm_head too, so the last stage has a copy of its own.
            if shape.is_tied and last and matrix.name == "embed_tokens":
                totals[last] += size
        else:
            totals[last] += size
    return tuple(totals)


def stage_layers(num_layers: int, stages: int) -> tuple[int, ...]:
    """Layers of each pipeline stage: even, the remainder to the stages before the last (vLLM's `get_pp_indices`)."""
    even, rest = divmod(num_layers, stages)
    counts = [even] * stages
    for place in range(2, rest + 2):
        counts[-place] += 1
    return tuple(counts)


def _rank_bytes(matrix: Matrix, dtype: str, scheme: Quantization | None, ranks: int) -> int:
    outputs, inputs, bias = matrix.outputs, matrix.inputs, matrix.outputs
    if matrix.split is Split.VOCAB:
        outputs = -(-outputs // VOCAB_PADDING) * VOCAB_PADDING
        outputs = bias = -(-outputs // ranks)
    elif matrix.split is Split.COLUMN:
        outputs = bias = -(-outputs // ranks)
    elif matrix.split is Split.KV_HEADS:
        heads = outputs // matrix.head_size
        outputs = bias = max(1, -(-heads // ranks)) * matrix.head_size
    elif matrix.split is Split.ROW:
        inputs = -(-inputs // ranks)
    width = DTYPE_BYTES[dtype]
    is_quantized = scheme is not None and matrix.is_linear and (matrix.part != "lm_head" or scheme.quantizes_lm_head)
    if scheme is not None and is_quantized:
        size = _quantized_bytes(outputs, inputs, scheme)
    else:
        size = outputs * inputs * width
    return matrix.copies * (size + (bias * width if matrix.has_bias else 0))


def _quantized_bytes(outputs: int, inputs: int, scheme: Quantization) -> int:
    """Packed weights, then scales (two bytes a group, four a channel), zeros and GPTQ's group index."""
    packed = outputs * inputs * scheme.bits // 8
    if scheme.method == "squeezellm":
        return packed + outputs * _SQUEEZE_LEVELS * 2
    groups = 1 if scheme.group_size is None else -(-inputs // scheme.group_size)
    if scheme.method == "bitsandbytes":
        return packed + outputs * groups * 4  # float32 absmax of 64 weights
    scale_bytes = 4 if scheme.group_size is None and scheme.bits == 8 else 2
    zeros = outputs * groups * scheme.bits // 8 if scheme.has_zero_points else 0
    index = inputs * 4 if scheme.has_group_index else 0
    return packed + outputs * groups * scale_bytes + zeros + index
