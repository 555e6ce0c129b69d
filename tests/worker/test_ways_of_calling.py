"""The real vLLM called in this process, whole batches (`offline`) and streamed (`async`): the same work, told apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.execution.bench import Bench, Ran
from tests.worker.adapters import write_adapter
from vbench.outcome import Outcome
from vbench.worker.load import arrival_offsets

OUTPUT_TOKENS = 6
# 70 tokens each, of which 64 (2 blocks of 32) are shared.
PROMPTS = [{"prompt_token_ids": [*range(100, 164), *range(200 + one, 206 + one)]} for one in range(4)]
Runner = Callable[..., Ran]


@dataclass
class Runs:
    """Trials run when first asked for, and kept."""

    bench: Bench
    kept: dict[str, Ran] = field(default_factory=dict)

    def __call__(self, mode: str, **request: Any) -> Ran:
        key = json.dumps([mode, request], sort_keys=True)
        if key not in self.kept:
            whole = {"prompts": PROMPTS, "output_tokens": OUTPUT_TOKENS, **request}
            self.kept[key] = self.bench.run(mode=mode, **whole)
        return self.kept[key]


@pytest.fixture(scope="module")
def run(vllm_bench: Bench) -> Runs:
    return Runs(vllm_bench)


def passes(ran: Ran) -> list[dict[str, Any]]:
    """The passes as the worker said them, warm-up first."""
    assert ran.outcome is Outcome.COMPLETED, ran.log
    return ran.raw.of("pass")


def digests(ran: Ran) -> set[str]:
    return {one["output_sha256"] for one in passes(ran)}


def facts(ran: Ran) -> dict[str, Any]:
    (message,) = ran.raw.of("engine")
    found: dict[str, Any] = message["facts"]
    return found


@pytest.mark.engine
class TestAsync:
    ONE_BY_ONE: ClassVar[dict[str, Any]] = {
        "load": {"max_concurrency": 1},
        "engine_args": {"enable_prefix_caching": True},
    }

    def test_same_tokens_as_offline(self, run: Runs) -> None:
        assert digests(run("async")) == digests(run("offline"))
        assert len(digests(run("async"))) == 1

    def test_each_prompt_is_answered_once_with_the_tokens_asked_for(self, run: Runs) -> None:
        for one in passes(run("async")):
            assert one["requests"]["input_tokens"] == [70] * 4
            assert one["requests"]["output_tokens"] == [OUTPUT_TOKENS] * 4
            assert one["engine_metrics"]["generation_tokens"] == 4 * OUTPUT_TOKENS
            assert one["engine_metrics"]["prompt_tokens"] == 4 * 70

    def test_latencies_agree_with_each_other(self, run: Runs) -> None:
        for one in passes(run("async")):
            columns = one["requests"]
            for index, gaps in enumerate(columns["itl_s"]):
                ttft, tpot, e2e = (columns[name][index] for name in ("ttft_s", "tpot_s", "e2e_latency_s"))
                assert 0 < ttft <= e2e
                assert len(gaps) <= OUTPUT_TOKENS - 1  # chunks may hold several tokens, or all
                assert sum(gaps) == pytest.approx(e2e - ttft, abs=1e-5)  # each is rounded to a microsecond
                assert tpot * (OUTPUT_TOKENS - 1) == pytest.approx(e2e - ttft, abs=1e-5)
                assert 0 <= columns["send_s"][index] + e2e <= one["duration_s"] + 1e-5
            assert any(columns["itl_s"])

    def test_facts_are_those_of_offline(self, run: Runs) -> None:
        here, there = facts(run("async")), facts(run("offline"))
        only_there = {"scheduler_max_num_running_reqs", "scheduler_max_num_scheduled_tokens", "num_workers"}
        process_wide = {"notes", "distributed_executor_backend", "attention_backends_in_use"}  # where the core lives

        assert only_there <= set(there) - set(here)
        for name in set(there) - only_there - process_wide:
            assert here[name] == there[name], name
        assert here["weights_bytes"] > 0

    def test_nothing_is_left_of_it(self, run: Runs, vllm_bench: Bench) -> None:
        ran = run("async")

        assert ran.raw.leftovers == []
        assert max(sample.num_processes for sample in ran.raw.samples) >= 2  # the engine core's own
        assert vllm_bench.processes() == []

    def test_with_one_place_requests_dont_overlap(self, run: Runs) -> None:
        for one in passes(run("async", **self.ONE_BY_ONE)):
            columns = one["requests"]
            ends = [sent + e2e for sent, e2e in zip(columns["send_s"], columns["e2e_latency_s"], strict=True)]
            for end, (_, following) in zip(ends[:-1], pairwise(columns["send_s"]), strict=True):
                assert following >= end - 1e-5

    def test_a_shared_prefix_is_found_within_a_pass_and_forgotten_after_it(self, run: Runs) -> None:
        # 3 of 4 prompts find 2 blocks of 32.
        for one in passes(run("async", **self.ONE_BY_ONE)):
            assert one["engine_metrics"]["prefix_cache_hits"] == 3 * 64
            assert one["engine_metrics"]["prefix_cache_queries"] == 4 * 70

    def test_requests_are_sent_when_the_load_says(self, run: Runs) -> None:
        load = {"request_rate": 10, "seed": 3}
        planned = arrival_offsets(4, load)
        assert planned is not None
        assert planned[-1] == pytest.approx(0.4)
        for one in passes(run("async", load=load, passes=1)):
            late = [sent - due for sent, due in zip(one["requests"]["send_s"], planned, strict=True)]
            assert min(late) > -0.002  # the clock of timers is coarser than the one that is read
            assert max(late) < 5  # on a busy machine

    def test_beam_search_is_refused(self, run: Runs) -> None:
        ran = run("async", sampling={"beam_width": 2}, warmup_passes=0, passes=1)

        (error,) = ran.raw.of("error")
        assert (error["type"], error["phase"]) == ("ValueError", "import")  # before anything is loaded
        assert "beam search is offline only" in error["message"]

    def test_a_prompt_that_is_too_long_is_named(self, run: Runs, vllm_bench: Bench) -> None:
        prompts = [PROMPTS[0], {"prompt_token_ids": [100] * 400}]
        (error,) = run("async", prompts=prompts).raw.of("error")

        assert error["message"].startswith("request 1: ")
        assert "maximum" in error["message"]
        assert error["type"] != "RequestError"
        assert vllm_bench.processes() == []


@pytest.mark.engine
class TestDecoding:
    SAMPLED: ClassVar[dict[str, Any]] = {"n": 2, "temperature": 1.0, "seed": 7}

    @pytest.mark.parametrize("mode", ["offline", "async"])
    def test_all_sequences_count(self, run: Runs, mode: str) -> None:
        for one in passes(run(mode, sampling=self.SAMPLED)):
            columns = one["requests"]
            assert columns["output_tokens"] == [2 * OUTPUT_TOKENS] * 4
            assert one["engine_metrics"]["generation_tokens"] == 4 * 2 * OUTPUT_TOKENS
            for ttft, tpot, e2e in zip(
                columns["ttft_s"], columns["tpot_s"], columns["e2e_latency_s"], strict=True
            ):  # by the longest sequence
                assert tpot * (OUTPUT_TOKENS - 1) == pytest.approx(e2e - ttft, abs=1e-5)

    def test_a_seed_gives_the_same_tokens_each_pass_and_either_way(self, run: Runs) -> None:
        (sampled,) = digests(run("offline", sampling=self.SAMPLED)) | digests(run("async", sampling=self.SAMPLED))

        assert sampled not in digests(run("offline"))

    def test_beams_have_the_tokens_asked_for(self, run: Runs) -> None:
        for one in passes(run("offline", sampling={"beam_width": 3}, passes=1)):
            assert one["requests"]["input_tokens"] == [70] * 4
            assert one["requests"]["output_tokens"] == [3 * OUTPUT_TOKENS] * 4
            assert one["requests"]["ttft_s"] is None

    def test_an_unknown_field_is_named_with_the_nearest(self, run: Runs) -> None:
        (error,) = run("offline", sampling={"temprature": 1}).raw.of("error")

        assert error["type"] == "TypeError"
        assert error["message"] == "SamplingParams has no field 'temprature'; did you mean 'temperature'?"


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("adapters")
    base = tiny_model / "base"
    return {name: str(write_adapter(folder / name, base, seed)) for seed, name in enumerate(("one", "two"))}


@pytest.mark.engine
class TestAdapters:
    ENGINE: ClassVar[dict[str, Any]] = {"enable_lora": True, "max_loras": 2, "max_lora_rank": 8}

    def test_change_the_tokens(self, run: Runs, adapters: dict[str, str]) -> None:
        both = run("offline", lora_modules=adapters, engine_args=self.ENGINE)

        assert digests(both).isdisjoint(digests(run("offline")))
        assert [facts(both)[name] for name in self.ENGINE] == [True, 2, 8]

    def test_are_given_to_the_prompts_in_turn(self, run: Runs, adapters: dict[str, str]) -> None:
        only_one = run("offline", lora_modules={"one": adapters["one"]}, engine_args=self.ENGINE, passes=1)

        assert digests(only_one).isdisjoint(digests(run("offline", lora_modules=adapters, engine_args=self.ENGINE)))

    def test_do_the_same_either_way(self, run: Runs, adapters: dict[str, str]) -> None:
        streamed, whole = (run(mode, lora_modules=adapters, engine_args=self.ENGINE) for mode in ("async", "offline"))

        assert digests(streamed) == digests(whole)


@pytest.mark.engine
def test_levers_are_reported_as_they_took_effect(run: Runs) -> None:
    levers = {
        "max_num_seqs": 4,
        "max_num_batched_tokens": 64,
        "max_model_len": 128,
        "block_size": 64,
        "kv_cache_dtype": "fp8",
        "scheduling_policy": "priority",
        "enable_prefix_caching": True,
        "kv_cache_memory_bytes": 8 * 1024**2,
    }
    found = facts(run("offline", engine_args=levers, passes=1))

    assert {name: found[name] for name in levers} == levers
    assert (found["scheduler_max_num_running_reqs"], found["scheduler_max_num_scheduled_tokens"]) == (4, 64)
    # 8 MiB ÷ (2 (k, v) · 4 layers · 2 heads · 64 · 1 byte) = 8192 tokens, 128 blocks of 64.
    assert (found["num_gpu_blocks"], found["kv_cache_tokens"], found["num_workers"]) == (128, 8192, 1)
