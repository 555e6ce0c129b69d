"""The real engine, kept alive: a second trial asks otherwise and gets the same answers from the same processes."""

from __future__ import annotations

import pytest

from tests.execution.bench import Bench, Ran, pid_of
from vbench.execution.live_engine import LiveEngine
from vbench.outcome import Outcome

pytestmark = pytest.mark.engine

# Two blocks of 32 and a rest each: an earlier pass's would be found in a cache that nobody had emptied.
PROMPTS = [{"prompt_token_ids": list(range(100 + one, 170 + one))} for one in range(3)]


def run(bench: Bench, max_concurrency: int, engine: LiveEngine | None = None) -> Ran:
    ran = bench.run(
        prompts=PROMPTS, mode="async", load={"max_concurrency": max_concurrency}, warmup_passes=0, passes=1,
        engine_args={"enable_prefix_caching": True}, keep_engine=True, engine=engine,
    )  # fmt: skip
    assert ran.outcome is Outcome.COMPLETED, ran.log
    return ran


def test_another_load_on_the_same_engine(vllm_bench: Bench) -> None:
    first = run(vllm_bench, 1)
    engine = first.raw.engine
    assert engine is not None
    processes = vllm_bench.processes()
    again = run(vllm_bench, 2, engine)

    assert vllm_bench.processes() == processes
    assert len(processes) > 1  # the engine core among them
    vllm_bench.close(engine)
    assert vllm_bench.processes() == []
    assert {pid_of(ran.raw.of("hello")[0]) for ran in (first, again)} == {engine.process.pid}
    assert first.raw.of("engine") == again.raw.of("engine")
    digests = {one.output_sha256 for ran in (first, again) for one in ran.passes}
    assert len(digests) == 1
    assert [one.engine_metrics["prefix_cache_hits"] for ran in (first, again) for one in ran.passes] == [0, 0]
    assert [ran.raw.of("done")[0]["is_kept"] for ran in (first, again)] == [True, True]
