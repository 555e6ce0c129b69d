"""The planner beside the real vLLM on this machine's CPU: KV tokens within 1 %, weights within 2 %."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.planner.engine_cases import CASES, Case, Engines
from vbench.planner.verdict import Verdict

TOKENIZER = Path(__file__).parents[2] / "models/tiny/base"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    if not TOKENIZER.is_dir():
        pytest.skip("the small models aren't made: `make models`")
    started = Engines(tmp_path_factory.mktemp("engines"), TOKENIZER)
    yield started
    started.close()


@pytest.mark.engine
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_the_engine_says_what_was_planned(engines: Engines, case: Case) -> None:
    planned = engines.plan(case)
    assert planned.verdict is Verdict.FITS, planned.reason
    assert planned.per_gpu is not None
    said = engines.run(case)
    assert planned.block_size == said["block_size"]
    assert planned.kv_blocks == pytest.approx(said["num_gpu_blocks"], rel=0.01)
    assert planned.per_gpu.kv_tokens == pytest.approx(said["logged_kv_tokens"], rel=0.01)
    if said["weights_bytes"] is not None:  # ranks in processes of their own don't tell
        assert planned.per_gpu.weights_bytes == pytest.approx(said["weights_bytes"], rel=0.02)


@pytest.mark.engine
def test_what_the_planner_calls_infeasible_the_engine_refuses(engines: Engines) -> None:
    # 4 MiB hold 16 blocks of 128 tokens; 15 are left beside the null block, and 2,048 tokens need 16.
    case = Case(model="llama-gqa", kv_bytes=4 * 1024**2, args={"max_model_len": 2048})
    assert engines.plan(case).verdict is Verdict.INFEASIBLE
    with pytest.raises(RuntimeError, match="To serve at least one request"):
        engines.run(case)
    fitting = Case(model="llama-gqa", kv_bytes=4 * 1024**2, args={"max_model_len": 1920})
    assert engines.plan(fitting).verdict is Verdict.FITS
    assert engines.run(fitting)["num_gpu_blocks"] == 16
