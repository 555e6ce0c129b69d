from __future__ import annotations

import pytest

from vbench.metrics import metric_names
from vbench.spec.suggest import closest, did_you_mean

ARGUMENTS = [
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "max_num_seqs",
    "max_num_batched_tokens",
    "max_model_len",
    "gpu_memory_utilization",
    "enable_prefix_caching",
]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("tensor_paralel_size", "tensor_parallel_size"),
        ("max_num_sequences", "max_num_seqs"),
        ("max-model-len", "max_model_len"),
        ("gpu_memory_utilisation", "gpu_memory_utilization"),
        ("GPU_MEMORY", "gpu_memory_utilization"),
        ("xyz", None),
        ("", None),
    ],
)
def test_the_closest_argument(word: str, meant: str | None) -> None:
    assert closest(word, ARGUMENTS) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [("throughput", "output_throughput_tok_s"), ("p95_ttft", "p95_ttft_s"), ("memory", "peak_memory_bytes")],
)
def test_the_closest_metric(word: str, meant: str) -> None:
    assert closest(word, metric_names()) == meant


def test_did_you_mean_is_empty_when_nothing_is_near() -> None:
    assert did_you_mean("xyz", ARGUMENTS) == ""
