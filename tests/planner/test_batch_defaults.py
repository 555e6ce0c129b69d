"""vLLM's default batch depends on the card and on the way of calling (`EngineArgs.get_batch_defaults`, 0.32)."""

from __future__ import annotations

import pytest

from tests.planner.builders import rtx3090
from vbench.planner.budget import Budget, parse_version
from vbench.planner.settings import resolve
from vbench.planner.shipped import shipped_shape
from vbench.units import GIB

CPU = Budget(visible_bytes=32 * GIB, num_gpus=1, kind="cpu", name="cpu")
H200 = Budget(visible_bytes=139 * GIB, num_gpus=1, compute_capability=(9, 0), kind="gpu", name="h200")


@pytest.mark.parametrize(
    ("budget", "mode", "tokens", "seqs"),
    [
        (rtx3090(), "offline", 8192, 256),
        (rtx3090(), "server", 2048, 256),
        (H200, "offline", 16384, 1024),
        (H200, "server", 8192, 1024),
        (H200, "async", 2048, 128),
        (CPU, "offline", 4096, 256),
        (CPU, "async", 2048, 128),
        (CPU, "server", 2048, 128),
    ],
)
def test_depends_on_the_way_of_calling(budget: Budget, mode: str, tokens: int, seqs: int) -> None:
    found = resolve({"mode": mode}, shipped_shape("qwen2.5-7b"), budget, parse_version("0.32.0"))

    assert (found.max_num_batched_tokens, found.max_num_seqs) == (tokens, seqs)
