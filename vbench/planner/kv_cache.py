"""The KV cache: bytes a token takes, how layers share blocks, and how many tokens a pool of bytes holds.

Formulas: vLLM 0.32's `v1/kv_cache_interface.py` and `v1/core/kv_cache_utils.py`, in docs/planner.md, "KV cache".
Error: none, to the block, for one kind of layer or equal pages; a draft model beside a hybrid target is approximate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vbench.planner.shape import ModelShape
from vbench.planner.weights import DTYPE_BYTES

# Hybrid models: beyond this ratio of layer counts the smaller count is the group size (`_get_kv_cache_groups_…`).
_UNEVEN = 1.5
_SCALE_BYTES = 4  # a float32 scale for each token, head and side in the *_per_token_head formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One attention layer's cache: bytes a token on one GPU, and its sliding window (None: everything is kept)."""

    token_bytes: int
    window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the layers of one GPU share a pool. A block id costs `block_bytes`; groups draw ids from the same pool."""

    block_size: int
    block_bytes: int
    windows: tuple[int | None, ...]
    """One entry a group."""
    token_bytes: int
    """Over all layers, as if each kept everything: what one token costs within every window."""

    def blocks_per_request(self, length: int, max_in_flight_tokens: int) -> int:
        """Blocks that one request of `length` tokens holds at most, over all groups.

        Full attention: ceil(length / block). A window w: ceil(min(w - 1 + in flight, length) / block) + 1, as a window
        may begin inside a block.
        """
        total = 0
        for window in self.windows:
            if window is None:
                total += -(-length // self.block_size)
            else:
                total += -(-min(window - 1 + max_in_flight_tokens, length) // self.block_size) + 1
        return total

    def longest(self, num_blocks: int, limit: int, max_in_flight_tokens: int) -> int:
        """The longest request up to `limit` that `num_blocks` hold beside the null block; 0 when none."""
        low, high = 0, limit
        while low < high:
            middle = (low + high + 1) // 2
            if self.blocks_per_request(middle, max_in_flight_tokens) <= num_blocks - 1:
                low = middle
            else:
                high = middle - 1
        return low


def head_token_bytes(head_dim: int, kv_dtype: str, dtype: str, is_cpu: bool = False) -> int:
    """Bytes of K and V of one head and token.

    16-bit: 4 · head_dim. fp8, int8: 2 · head_dim. `*_per_token_head` adds two float32 scales and int4 halves the data
    (TRITON_ATTN's `customize_spec`); the CPU backend stores a byte an element for all of them. nvfp4: half a byte and a
    scale byte for 16. turboquant and other packed formats: an upper bound of one byte an element.
    """
    if kv_dtype == "auto":
        return 2 * head_dim * DTYPE_BYTES[dtype]
    if kv_dtype in DTYPE_BYTES:
        return 2 * head_dim * DTYPE_BYTES[kv_dtype]
    if is_cpu:
        return 2 * head_dim
    if kv_dtype == "int4_per_token_head":
        return head_dim + 2 * _SCALE_BYTES
    if kv_dtype.endswith("_per_token_head"):
        return 2 * head_dim + 2 * _SCALE_BYTES
    if kv_dtype.startswith("nvfp4"):
        return 2 * (head_dim // 2 + head_dim // 16)
    return 2 * head_dim


def layer_token_bytes(
    shape: ModelShape, tensor_parallel_size: int, kv_dtype: str, dtype: str, is_cpu: bool = False
) -> int:
    """Bytes of one token in one layer on one GPU: max(1, kv_heads / TP) heads; MLA's one latent isn't divided."""
    if shape.mla is not None:
        width = shape.mla.kv_lora_rank + shape.mla.qk_rope_head_dim
        return head_token_bytes(width, kv_dtype, dtype, is_cpu) // 2
    heads = max(1, -(-shape.num_kv_heads // tensor_parallel_size))
    return heads * head_token_bytes(shape.head_dim, kv_dtype, dtype, is_cpu)


def layers_of(
    shape: ModelShape, tensor_parallel_size: int, kv_dtype: str, dtype: str, is_cpu: bool = False
) -> tuple[Layer, ...]:
    """Every attention layer of a model, in order."""
    size = layer_token_bytes(shape, tensor_parallel_size, kv_dtype, dtype, is_cpu)
    kinds = {window: Layer(token_bytes=size, window=window) for window in set(shape.layer_windows)}
    return tuple(kinds[window] for window in shape.layer_windows)


def layout(layers: Sequence[Layer], block_size: int, is_hybrid: bool = True) -> Layout:
    """Group layers as vLLM does.

    All of one kind: one group, a block costs the sum of the pages. Sliding beside full: equal groups (padded where the
    counts don't divide), a block costs one group's pages. Without the hybrid manager sliding layers keep everything.
    """
    token_bytes = sum(layer.token_bytes for layer in layers)
    kinds = Counter(layer.window for layer in layers)
    if len(kinds) <= 1 or not is_hybrid:
        window = next(iter(kinds), None) if len(kinds) == 1 else None
        return Layout(
            block_size=block_size, block_bytes=token_bytes * block_size, windows=(window,), token_bytes=token_bytes
        )
    fewest, most = min(kinds.values()), max(kinds.values())
    group_size = most if most < fewest * _UNEVEN else fewest
    groups: list[int | None] = []
    largest = 0
    for window, count in kinds.items():
        number = -(-count // group_size)
        largest = max(largest, -(-count // number))
        groups += [window] * number
    page = max(layer.token_bytes for layer in layers) * block_size
    return Layout(block_size=block_size, block_bytes=largest * page, windows=tuple(groups), token_bytes=token_bytes)


def cache_tokens(layout: Layout, num_blocks: int, length: int, max_in_flight_tokens: int) -> tuple[int, float]:
    """Tokens as vLLM's log counts them, and how many requests of `length` fit at once.

    concurrency = blocks / blocks a request; tokens = concurrency · length. For full attention and a length that is a
    multiple of the block that is blocks · block_size.
    """
    concurrency = num_blocks / layout.blocks_per_request(length, max_in_flight_tokens)
    return int(concurrency * length), concurrency
