"""KV arithmetic by hand, and the bytes a token that Kaggle's T4 logs show."""

from __future__ import annotations

import pytest

from tests.planner.builders import shape_of
from vbench.planner.kv_cache import Layer, cache_tokens, head_token_bytes, layer_token_bytes, layers_of, layout
from vbench.planner.shipped import shipped_shape


@pytest.mark.parametrize(
    ("shape", "tp", "expected"),
    [
        ("qwen2.5-3b", 1, 36_864),  # 36 layers x 2 heads x 2 x 128 x 2 B; logged: 7.10 GiB / 206,736 tokens
        ("qwen2.5-3b", 2, 18_432),  # one head a rank; 6.66 GiB / 387,680
        ("qwen2.5-7b", 1, 57_344),  # 28 x 4 x 2 x 128 x 2; 6.58 GiB / 123,184
        ("qwen2.5-3b", 4, 18_432),  # two heads over four ranks: each is kept twice
        ("deepseek-7b", 1, 491_520),  # 30 x 32 x 2 x 128 x 2
    ],
)
def test_bytes_a_token_as_logged(shape: str, tp: int, expected: int) -> None:
    assert layout(layers_of(shipped_shape(shape), tp, "auto", "float16"), 16).token_bytes == expected


def test_kv_dtypes() -> None:
    assert head_token_bytes(128, "auto", "float16") == 512
    assert head_token_bytes(128, "auto", "float32") == 1024
    assert head_token_bytes(128, "fp8_e4m3", "float16") == 256
    assert head_token_bytes(128, "bfloat16", "float32") == 512
    assert head_token_bytes(128, "int8_per_token_head", "float16") == 256 + 8  # two float32 scales
    assert head_token_bytes(128, "int4_per_token_head", "float16") == 128 + 8
    assert head_token_bytes(128, "int4_per_token_head", "float16", is_cpu=True) == 256
    assert head_token_bytes(128, "nvfp4", "float16") == 2 * (64 + 8)


def test_latent_attention_keeps_one_vector_that_ranks_repeat() -> None:
    shape = shape_of(
        model_type="deepseek_v3", kv_lora_rank=512, q_lora_rank=1536, qk_nope_head_dim=128, qk_rope_head_dim=64,
        v_head_dim=128,
    )  # fmt: skip
    assert layer_token_bytes(shape, 1, "auto", "bfloat16") == 576 * 2
    assert layer_token_bytes(shape, 4, "auto", "bfloat16") == 576 * 2


def test_one_kind_of_layer() -> None:
    found = layout([Layer(token_bytes=512)] * 4, 16)
    assert (found.block_bytes, found.windows) == (4 * 16 * 512, (None,))
    assert found.blocks_per_request(100, 8192) == 7  # ceil(100 / 16)
    assert cache_tokens(found, 70, 100, 8192) == (1000, 10.0)


def test_a_window_ends_a_requests_growth() -> None:
    found = layout([Layer(token_bytes=512, window=256)] * 2, 16)
    # min(256 - 1 + 512, 4,096) = 767 -> 48 blocks, and one since the window may begin inside a block.
    assert found.blocks_per_request(4096, 512) == 49
    assert found.blocks_per_request(100, 512) == 8
    assert found.longest(50, 100_000, 512) == 100_000
    assert found.longest(49, 100_000, 512) == 752  # 47 blocks and one; the null block takes the 49th


def test_hybrid_groups() -> None:
    full, slide = Layer(token_bytes=512), Layer(token_bytes=512, window=128)
    even = layout([slide, full] * 3, 16)
    assert (even.block_bytes, sorted(map(str, even.windows))) == (3 * 16 * 512, ["128", "None"])
    # Gemma 3: 11 sliding and 2 full -> groups of 2: six sliding ones (of 2, one padded) and one full.
    uneven = layout([slide] * 11 + [full] * 2, 16)
    assert uneven.block_bytes == 2 * 16 * 512
    assert len(uneven.windows) == 7
    # 13 and 12 differ by less than half: groups of 13.
    assert layout([slide] * 12 + [full] * 13, 16).block_bytes == 13 * 16 * 512
    apart = layout([slide, full] * 3, 16, is_hybrid=False)
    assert (apart.block_bytes, apart.windows) == (6 * 16 * 512, (None,))


def test_draft_layers_share_the_blocks() -> None:
    found = layout([Layer(token_bytes=512)] * 4 + [Layer(token_bytes=128)], 16)
    assert found.block_bytes == 16 * (4 * 512 + 128)
