"""What any engine in the worker keeps, asked of the fake one and of the real vLLM, forked and started cold."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.execution.bench import PROMPTS, Bench, How, Ran
from vbench.outcome import Outcome

OUTPUT_TOKENS = 5
WARMUP_PASSES, PASSES = 1, 2
MIB = 1024**2


@dataclass
class Trials:
    """A bench with one ordinary trial of each way of starting, run when it is first asked for."""

    bench: Bench
    ran: dict[str, Ran]

    def __getitem__(self, how: How) -> Ran:
        if how not in self.ran:
            self.ran[how] = self.bench.run(
                how=how, output_tokens=OUTPUT_TOKENS, warmup_passes=WARMUP_PASSES, passes=PASSES
            )
        return self.ran[how]


@pytest.fixture(scope="module")
def fake_trials(fake_bench: Bench) -> Trials:
    return Trials(fake_bench, {})


@pytest.fixture(scope="module")
def vllm_trials(vllm_bench: Bench) -> Trials:
    return Trials(vllm_bench, {})


@pytest.fixture(params=["fake", pytest.param("vllm", marks=pytest.mark.engine)])
def trials(request: pytest.FixtureRequest) -> Trials:
    trials: Trials = request.getfixturevalue(f"{request.param}_trials")
    return trials


@pytest.fixture(params=["fork", "cold"])
def ran(trials: Trials, request: pytest.FixtureRequest) -> Ran:
    return trials[request.param]


def facts_of(ran: Ran) -> dict[str, Any]:
    (message,) = ran.raw.of("engine")
    facts: dict[str, Any] = message["facts"]
    return facts


class TestOrdinaryTrial:
    def test_completes(self, ran: Ran) -> None:
        assert (ran.outcome, ran.failure) == (Outcome.COMPLETED, None), ran.log
        assert ran.raw.exit is not None
        assert ran.raw.exit.code == 0
        assert ran.raw.garbage == []
        assert ran.raw.leftovers == []

    def test_says_everything_in_order(self, ran: Ran) -> None:
        said = [(m["event"], m.get("name") or m.get("kind"), m.get("index")) for m in ran.raw.messages]

        assert said == [
            ("hello", None, None),
            ("phase", "import", 0),
            ("phase", "load", 0),
            ("engine", None, None),
            ("phase", "warmup", 0),
            ("pass", "warmup", 0),
            ("phase", "pass", 0),
            ("pass", "timed", 0),
            ("phase", "pass", 1),
            ("pass", "timed", 1),
            ("settled", None, None),
            ("phase", "close", 0),
            ("done", None, None),
        ]

    def test_times_go_forward_on_one_clock(self, ran: Ran) -> None:
        times = [message["t"] for message in ran.raw.messages if "t" in message]

        assert times == sorted(times)
        assert ran.raw.started_t <= times[0]
        assert times[-1] <= ran.raw.ended_t

    def test_each_prompt_is_answered_once_with_the_tokens_asked_for(self, ran: Ran) -> None:
        assert [(one.kind, one.index) for one in ran.passes] == [("warmup", 0), ("timed", 0), ("timed", 1)]
        for one in ran.passes:
            assert one.requests.input_tokens == [len(prompt["prompt_token_ids"]) for prompt in PROMPTS]
            assert one.requests.output_tokens == [OUTPUT_TOKENS] * len(PROMPTS)
            assert one.requests.asked_tokens == OUTPUT_TOKENS
            assert one.requests.given_tokens == one.requests.input_tokens
            assert one.requests.finish_reasons == ["length"] * len(PROMPTS)
            assert one.duration_s > 0

    def test_each_latency_column_has_a_value_for_each_prompt(self, ran: Ran) -> None:
        for one in ran.passes:
            requests = one.requests
            for ttft, tpot, e2e in zip(
                requests.ttft_s or (), requests.tpot_s or (), requests.e2e_latency_s or (), strict=True
            ):
                assert ttft is not None
                assert tpot is not None
                assert e2e is not None
                assert 0 < ttft <= e2e
                # TPOT = (E2E − TTFT) ÷ (tokens − 1); each of the three is rounded to a microsecond.
                assert tpot * (OUTPUT_TOKENS - 1) == pytest.approx(e2e - ttft, abs=5e-6)
            assert len(requests.ttft_s or ()) == len(PROMPTS)

    def test_counters_are_differences_over_one_pass(self, ran: Ran) -> None:
        for one in ran.passes:
            assert one.engine_metrics["prompt_tokens"] == sum(one.requests.input_tokens)
            assert one.engine_metrics["generation_tokens"] == sum(one.requests.output_tokens)

    def test_greedy_output_is_the_same_in_every_pass(self, ran: Ran) -> None:
        (digest,) = {one.output_sha256 for one in ran.passes}

        assert digest is not None
        assert len(digest) == len(hashlib.sha256().hexdigest())

    def test_reports_what_took_effect(self, ran: Ran) -> None:
        facts = facts_of(ran)

        for name in ("max_num_seqs", "max_model_len", "weights_bytes", "kv_cache_tokens"):
            assert isinstance(facts[name], int), name
            assert facts[name] > 0, name
        assert facts["quantization"] is None


def test_forked_and_cold_starts_do_the_same_work(trials: Trials) -> None:
    forked, cold = trials["fork"], trials["cold"]

    assert {one.output_sha256 for one in forked.passes} == {one.output_sha256 for one in cold.passes}
    assert [one.engine_metrics for one in forked.passes] == [one.engine_metrics for one in cold.passes]
    assert facts_of(forked) == facts_of(cold)


def test_settings_take_effect(trials: Trials) -> None:
    facts = facts_of(trials.bench.run(engine_args={"max_num_seqs": 2, "max_model_len": 128}))

    assert (facts["max_num_seqs"], facts["max_model_len"]) == (2, 128)


def test_an_unknown_argument_is_named(trials: Trials) -> None:
    ran = trials.bench.run(engine_args={"max_num_sequences": 4})

    (error,) = ran.raw.of("error")
    assert "max_num_sequences" in error["message"]
    assert (error["phase"], error["type"] in ("TypeError", "UnsupportedArgument")) == ("load", True)
    assert (ran.outcome, ran.failure_class) == (Outcome.INFEASIBLE, "unknown_argument")
    assert "max_num_sequences" in ran.why.evidence


def test_until_stop_generates_at_most_max_tokens(trials: Trials) -> None:
    ran = trials.bench.run(output_tokens=None, max_tokens=7)

    assert ran.outcome is Outcome.COMPLETED, ran.log
    for one in ran.passes:
        assert all(1 <= count <= 7 for count in one.requests.output_tokens)
    assert len({one.output_sha256 for one in ran.passes}) == 1


class TestKindsOfPrompts:
    MESSAGES: ClassVar = [{"role": "user", "content": "Count to three."}]

    @pytest.mark.parametrize(
        "prompt",
        [
            pytest.param({"prompt": "The river was high that year."}, id="text"),
            pytest.param({"prompt_token_ids": [101, 102, 103]}, id="token ids"),
            pytest.param({"messages": MESSAGES}, id="chat"),
        ],
    )
    def test_is_answered(self, trials: Trials, prompt: dict[str, Any]) -> None:
        ran = trials.bench.run(prompts=[prompt], warmup_passes=0, passes=1)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        (one,) = ran.passes
        assert one.requests.output_tokens == [4]
        assert one.requests.input_tokens[0] > 0

    @pytest.mark.engine
    def test_chat_goes_through_the_models_own_template(self, vllm_bench: Bench) -> None:
        # The tiny model's template: "{role}: {content}\n" each, then "assistant: ".
        text = {"prompt": "user: Count to three.\nassistant: "}
        ran = vllm_bench.run(prompts=[text, {"messages": self.MESSAGES}], warmup_passes=0, passes=1)

        (one,) = ran.passes
        assert one.requests.input_tokens[0] == one.requests.input_tokens[1]


def test_no_new_pass_starts_once_max_seconds_are_spent(fake_bench: Bench) -> None:
    # A pass of 3 prompts × 6 tokens, 4 out: 3·6·10 µs + 4·(10 ms + 3·0.5 ms) = 0.04618 s; two of them make 0.09236 s.
    ran = fake_bench.run(passes=5, max_seconds=0.09)

    assert [one.duration_s for one in ran.passes if one.kind == "timed"] == pytest.approx([0.04618, 0.04618])


def test_one_timed_pass_is_always_made(fake_bench: Bench) -> None:
    ran = fake_bench.run(passes=5, max_seconds=1e-9)

    assert [one.kind for one in ran.passes] == ["warmup", "timed"]


@pytest.mark.engine
class TestVllm:
    def test_weights_are_counted_to_the_byte(self, vllm_bench: Bench, tiny_model: Path) -> None:
        # What the checkpoint's own index says: the end of the last tensor. (Nothing is tied in the tiny model.)
        data = (tiny_model / "base" / "model.safetensors").read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        stored = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")

        assert facts_of(vllm_bench.run(passes=1))["weights_bytes"] == stored

    def test_kv_space_is_what_the_bytes_hold(self, vllm_bench: Bench) -> None:
        # 16 MiB ÷ (2 (k, v) · 4 layers · 2 heads · 64 · 2 bytes) = 8192 tokens.
        assert facts_of(vllm_bench.run(passes=1))["kv_cache_tokens"] == 8192

    @pytest.mark.parametrize("how", ["fork", "cold"])
    def test_memory_holds_weights_and_kv_space(self, vllm_trials: Trials, how: How) -> None:
        ran = vllm_trials[how]
        readings = [sample.used_bytes for sample in ran.raw.samples if sample.used_bytes is not None]

        assert max(readings) > facts_of(ran)["weights_bytes"] + 16 * MIB

    @pytest.mark.parametrize("method", ["awq", "gptq"])
    def test_quantized_checkpoints_run_and_are_smaller(self, vllm_bench: Bench, tiny_model: Path, method: str) -> None:
        ran = vllm_bench.run(model=tiny_model / method, engine_args={"quantization": method, "dtype": "float16"})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        facts = facts_of(ran)
        assert facts["dtype"] == "float16"
        assert method in facts["quantization"]
        assert facts["weights_bytes"] < (tiny_model / "base" / "model.safetensors").stat().st_size

    def test_a_draft_model_proposes_and_the_output_stays_the_same(self, vllm_bench: Bench, tiny_model: Path) -> None:
        draft = {"model": str(tiny_model / "draft"), "num_speculative_tokens": 3}
        plain = vllm_bench.run(output_tokens=8)
        ran = vllm_bench.run(output_tokens=8, engine_args={"speculative_config": draft})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert {one.output_sha256 for one in ran.passes} == {one.output_sha256 for one in plain.passes}
        for one in ran.passes:
            metrics = one.engine_metrics
            assert metrics["spec_decode_num_draft_tokens"] == 3 * metrics["spec_decode_num_drafts"] > 0
            assert 0 <= metrics["spec_decode_num_accepted_tokens"] <= metrics["spec_decode_num_draft_tokens"]

    def test_a_prefix_cache_is_emptied_before_each_pass(self, vllm_bench: Bench) -> None:
        # One prompt of 70 tokens, 2 blocks of 32 and a rest: nothing but an earlier pass could be found in the cache.
        prompts = [{"prompt_token_ids": list(range(100, 170))}]
        ran = vllm_bench.run(prompts=prompts, engine_args={"enable_prefix_caching": True}, passes=3)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert [one.engine_metrics["prefix_cache_hits"] for one in ran.passes] == [0, 0, 0, 0]

    def test_a_shared_prefix_is_found_within_a_pass(self, vllm_bench: Bench) -> None:
        # Two prompts one after the other (one sequence at a time) share 2 blocks of 32: 64 tokens are found once.
        shared = list(range(100, 164))
        prompts = [{"prompt_token_ids": [*shared, last]} for last in (200, 201)]
        ran = vllm_bench.run(prompts=prompts, engine_args={"enable_prefix_caching": True, "max_num_seqs": 1})

        assert [one.engine_metrics["prefix_cache_hits"] for one in ran.passes] == [64, 64, 64]

    def test_two_ranks_are_started_and_ended(self, vllm_bench: Bench) -> None:
        ran = vllm_bench.run(engine_args={"tensor_parallel_size": 2}, passes=1)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert facts_of(ran)["tensor_parallel_size"] == 2
        assert ran.raw.leftovers == []
        assert max(sample.num_processes for sample in ran.raw.samples) >= 3
        assert vllm_bench.processes() == []

    def test_passes_begin_after_one_another(self, vllm_bench: Bench) -> None:
        ran = vllm_bench.run(passes=3)

        for one, following in pairwise(ran.passes):
            assert one.start_s + one.duration_s <= following.start_s
