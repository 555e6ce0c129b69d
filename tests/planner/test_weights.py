"""Weights by hand, and against figures that vLLM reported elsewhere."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.planner.builders import GIB, shape_of
from vbench.errors import SpecError
from vbench.planner.checkpoint import tensor_bytes, total_bytes
from vbench.planner.shape import ModelShape, Quantization
from vbench.planner.shipped import shipped_shape
from vbench.planner.weights import Placement, bits_per_weight, scheme_for, stage_layers, weights_by_stage


def rank_bytes(shape: ModelShape, dtype: str = "float16", method: str | None = None, tp: int = 1) -> int:
    return weights_by_stage(shape, dtype, scheme_for(shape, method), Placement(tensor_parallel_size=tp))[0]


def test_deepseek_7b_in_float16_is_12_87_gib() -> None:
    # A layer: q, k, v, o 4 x 4,096^2 = 67,108,864; gate, up, down 3 x 4,096 x 11,008 = 135,266,304; two norms 8,192:
    # 202,383,360. Thirty: 6,071,500,800. Embedding and lm_head 2 x 102,400 x 4,096 = 838,860,800. Final norm 4,096.
    # Together 6,910,365,696 x 2 B = 13,820,731,392 B = 12.87 GiB.
    found = rank_bytes(shipped_shape("deepseek-7b"))
    assert found == 2 * (30 * 202_383_360 + 838_860_800 + 4_096)
    assert round(found / GIB, 2) == 12.87


@pytest.mark.parametrize(
    ("shape", "method", "tp", "reported_gib"),
    [
        ("qwen2.5-3b", None, 1, 5.79),  # Kaggle T4, vLLM 0.18.1
        ("qwen2.5-3b", None, 2, 2.93),
        ("qwen2.5-7b", "awq", 1, 5.29),  # Kaggle T4, vLLM 0.30.0
        ("opt-125m", None, 2, 0.12),
    ],
)
def test_what_vllm_reported_on_t4s(shape: str, method: str | None, tp: int, reported_gib: float) -> None:
    # The log rounds to 0.01 GiB and counts the allocator's rounding too.
    assert rank_bytes(shipped_shape(shape), method=method, tp=tp) / GIB == pytest.approx(
        reported_gib, rel=0.022, abs=0.005
    )


def test_bits_of_four_bit_formats_by_group() -> None:
    def bits(group: int) -> float:
        return bits_per_weight(Quantization(method="awq", bits=4, group_size=group, has_zero_points=True), "float16")

    # 4 + 16/g for the scale + 4/g for the zero.
    assert [round(bits(group), 3) for group in (128, 64, 32)] == [4.156, 4.312, 4.625]
    assert bits_per_weight(None, "float16") == 16


def test_awq_leaves_embeddings_and_head_alone() -> None:
    # Linear: 2 layers x (4,096 x 2 + 2,048 x 2 + 3 x 8,192) = 73,728 x 4.5 bits at groups of 128 -> inputs of 64 are
    # one group each, so scales and zeros come to outputs x (2 + 0.5) bytes: (64+32+32+64+128+128) x 2 layers, plus
    # down_proj's 64 x 1 group of its 128 inputs.
    shape = shape_of()
    outputs = 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64)
    plain = (64_000 * 2 + 64 * 5) * 2  # embedding and head padded below
    padded = 2 * (1_024 - 1_000) * 64 * 2
    assert rank_bytes(shape, method="awq") == 73_728 // 2 + outputs * 5 // 2 + plain + padded


def test_the_vocabulary_is_padded_to_64_rows_and_split() -> None:
    shape = shape_of(vocab_size=1_001)
    # 1,001 -> 1,024 rows for embedding and head; over two ranks 512 each. Layers: q, o, gate, up, down halves, one of
    # the two KV heads each; norms whole.
    layer = 2_048 * 2 + 1_024 * 2 + 3 * 4_096 + 128
    assert rank_bytes(shape, tp=2) == 2 * (2 * 512 * 64 + 2 * layer + 64)


def test_kv_heads_are_replicated_when_ranks_outnumber_them() -> None:
    shape = shape_of()  # 2 KV heads of 16
    four = rank_bytes(shape, tp=4)
    layer = 1_024 * 2 + 2 * 16 * 64 + 3 * 2_048 + 128  # one whole KV head a rank, though 32 / 4 = 8 rows
    assert four == 2 * (2 * 256 * 64 + 2 * layer + 64)


def test_pipeline_stages() -> None:
    assert stage_layers(30, 4) == (7, 8, 8, 7)  # vLLM: the remainder to the stages before the last
    assert stage_layers(32, 2) == (16, 16)
    shape = shape_of(tie_word_embeddings=True)
    first, last = weights_by_stage(shape, "float16", None, Placement(pipeline_parallel_size=2))
    assert last - first == 64 * 2  # the final norm; the tied embedding lies on both


def test_other_formats() -> None:
    shape, linear = shape_of(), 73_728
    outputs = 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64)
    rest = rank_bytes(shape) - 2 * linear
    assert rank_bytes(shape, "float32") == 2 * rank_bytes(shape)
    assert rank_bytes(shape, method="fp8") == linear + 4 * outputs + rest
    assert rank_bytes(shape, method="squeezellm") == linear // 2 + 32 * outputs + rest


def header(entries: dict[str, Any]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def test_only_headers_of_safetensors_are_read(tmp_path: Path) -> None:
    entries = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    (tmp_path / "model-1.safetensors").write_bytes(header(entries))  # the data itself needn't be there
    (tmp_path / "model-2.safetensors").write_bytes(
        header({"b": {"dtype": "F16", "shape": [8], "data_offsets": [0, 16]}})
    )
    assert tensor_bytes(tmp_path) == {"a": 4, "b": 16}
    assert total_bytes(tmp_path) == 20
    assert total_bytes(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n", b"", b"\x02\0\0\0\0\0\0\0[]", header({"a": 1}), header({})[:-1]],
)
def test_a_broken_safetensors_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(SpecError, match=r"model\.safetensors"):
        tensor_bytes(tmp_path)
