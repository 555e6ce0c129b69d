"""vLLM as a server, measured over HTTP: the real one, beside the same work offline.

Each trial here starts a server (2 s forked), so trials are shared by the tests that look at them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import PROMPTS, Bench, Ran, is_alive, pid_of, wait_until
from tests.worker.adapters import write_adapter
from vbench.outcome import Outcome

OUTPUT_TOKENS = 8
CHAT_PROMPT = {"messages": [{"role": "user", "content": "Count to three."}]}
# The tiny model's template makes the same of the chat: "{role}: {content}\n" each, then "assistant: ".
CHAT_AS_TEXT = {"prompt": "user: Count to three.\nassistant: "}
KINDS = (*PROMPTS, CHAT_AS_TEXT, CHAT_PROMPT)


@dataclass
class Trials:
    """Trials by what is asked of them beyond the ordinary, each run when it is first looked at."""

    bench: Bench
    ran: dict[str, Ran] = field(default_factory=dict)

    def __call__(self, mode: str = "server", **more: Any) -> Ran:
        key = repr((mode, more))
        if key not in self.ran:
            ordinary = {"prompts": KINDS, "output_tokens": OUTPUT_TOKENS, **more}
            self.ran[key] = self.bench.run(mode=mode, **ordinary)
        return self.ran[key]


@pytest.fixture(scope="module")
def trials(vllm_bench: Bench) -> Trials:
    return Trials(vllm_bench)


def facts_of(ran: Ran) -> dict[str, Any]:
    (message,) = ran.raw.of("engine")
    facts: dict[str, Any] = message["facts"]
    return facts


@pytest.mark.engine
class TestOrdinaryTrial:
    def test_completes_and_leaves_nothing(self, trials: Trials) -> None:
        ran = trials()

        assert (ran.outcome, ran.failure) == (Outcome.COMPLETED, None), ran.log
        assert ran.raw.exit is not None
        assert ran.raw.exit.code == 0
        assert (ran.raw.garbage, ran.raw.leftovers) == ([], [])
        assert trials.bench.processes() == []

    def test_gives_the_same_tokens_as_offline(self, trials: Trials) -> None:
        server, offline = trials(), trials("offline")

        assert {one.output_sha256 for one in server.passes} == {one.output_sha256 for one in offline.passes}
        assert [one.requests.input_tokens for one in server.passes] == [
            one.requests.input_tokens for one in offline.passes
        ]

    def test_counts_are_exact_and_the_engines_own(self, trials: Trials) -> None:
        for one in trials().passes:
            assert one.requests.output_tokens == [OUTPUT_TOKENS] * len(KINDS)
            assert one.engine_metrics["generation_tokens"] == OUTPUT_TOKENS * len(KINDS)
            assert one.engine_metrics["prompt_tokens"] == sum(one.requests.input_tokens)
            assert set(one.engine_metrics) >= {"num_preemptions", "prefix_cache_queries", "prefix_cache_hits"}

    def test_has_all_latencies(self, trials: Trials) -> None:
        for message in trials().raw.of("pass"):
            columns = message["requests"]
            for ttft, tpot, e2e, gaps in zip(
                columns["ttft_s"], columns["tpot_s"], columns["e2e_latency_s"], columns["itl_s"], strict=True
            ):
                assert 0 < ttft <= e2e < message["duration_s"]
                assert tpot * (OUTPUT_TOKENS - 1) == pytest.approx(e2e - ttft, abs=1e-5)
                # A gap for each event after the first; tokens may come in one (on a busy machine all of an answer),
                # never more events than tokens.
                assert len(gaps) <= OUTPUT_TOKENS - 1
                assert sum(gaps) == pytest.approx(e2e - ttft, abs=1e-5)
            assert any(columns["itl_s"])

    def test_reports_what_took_effect(self, trials: Trials, tiny_model: Path) -> None:
        facts, offline = facts_of(trials()), facts_of(trials("offline"))

        same = ("max_num_seqs", "max_model_len", "block_size", "num_gpu_blocks", "kv_cache_tokens", "dtype",
                "weights_bytes", "quantization", "enable_prefix_caching", "tensor_parallel_size")  # fmt: skip
        assert {name: facts[name] for name in same} == {name: offline[name] for name in same}
        assert facts["version"]
        assert any("generation_config=vllm" in note for note in facts["notes"])

    def test_its_log_has_no_line_for_each_request(self, trials: Trials) -> None:
        assert "POST /v1/" not in trials().log


@pytest.mark.engine
class TestWork:
    def test_one_at_a_time_never_overlaps(self, trials: Trials) -> None:
        ran = trials(load={"max_concurrency": 1})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        for message in ran.raw.of("pass"):
            columns = message["requests"]
            spans = sorted(zip(columns["send_s"], columns["e2e_latency_s"], strict=True))
            for (sent, took), (following, _) in pairwise(spans):
                assert following >= sent + took - 1e-5

    def test_several_sequences_are_counted_together(self, trials: Trials) -> None:
        ran = trials(sampling={"n": 2, "temperature": 1.0, "seed": 7})

        assert ran.outcome is Outcome.COMPLETED, ran.log
        for one in ran.passes:
            assert one.requests.output_tokens == [2 * OUTPUT_TOKENS] * len(KINDS)
            assert one.engine_metrics["generation_tokens"] == 2 * OUTPUT_TOKENS * len(KINDS)

    def test_beam_search_is_answered_whole(self, trials: Trials) -> None:
        ran = trials(sampling={"beam_width": 2}, prompts=PROMPTS)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        for message in ran.raw.of("pass"):
            columns = message["requests"]
            assert columns["output_tokens"] == [2 * OUTPUT_TOKENS] * len(PROMPTS)
            # In one piece: there is no first token to time, but an end.
            assert (columns["ttft_s"], columns["tpot_s"], columns.get("itl_s")) == (None, None, None)
            assert all(taken > 0 for taken in columns["e2e_latency_s"])

    def test_adapters_are_given_in_turn(self, trials: Trials, tiny_model: Path, tmp_path: Path) -> None:
        adapters = {
            name: str(write_adapter(tmp_path / name, tiny_model / "base", one)) for one, name in enumerate("ab")
        }
        prompts = [PROMPTS[0]] * 4
        ran = trials(
            prompts=prompts,
            lora_modules=adapters,
            engine_args={"enable_lora": True, "max_loras": 2, "max_lora_rank": 8},
        )

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert ran.passes[0].output_sha256 == ran.passes[1].output_sha256
        plain = trials(prompts=prompts)
        assert ran.passes[0].output_sha256 != plain.passes[0].output_sha256


@pytest.mark.engine
class TestFailures:
    def test_an_unknown_argument_is_named_as_offline(self, trials: Trials) -> None:
        ran = trials(engine_args={"max_num_sequences": 4})

        (error,) = ran.raw.of("error")
        assert (error["phase"], error["type"]) == ("load", "UnsupportedArgument")
        assert (ran.outcome, ran.failure_class) == (Outcome.INFEASIBLE, "unknown_argument")
        assert "max_num_sequences" in ran.why.evidence

    def test_what_the_client_relies_on_cant_be_set(self, trials: Trials) -> None:
        ran = trials(engine_args={"port": 8000})

        assert ran.outcome is Outcome.CRASHED
        assert "argument 'port' can't be set in server mode" in ran.why.evidence

    @pytest.mark.parametrize(
        ("engine_args", "failure_class"),
        [
            ({"kv_cache_memory_bytes": 400_000}, "kv_cache_too_small"),
            ({"max_model_len": 4096}, "max_model_len_beyond_model"),
        ],
    )
    def test_a_failing_start_is_classified_by_its_cause(
        self, trials: Trials, engine_args: Mapping[str, Any], failure_class: str
    ) -> None:
        ran = trials(engine_args=engine_args)

        assert ran.failure_class == failure_class, ran.log
        assert trials.bench.processes() == []

    def test_a_prompt_beyond_the_model_is_the_servers_to_refuse(self, trials: Trials) -> None:
        ran = trials(prompts=[{"prompt_token_ids": list(range(100, 400))}])

        assert (ran.outcome, ran.failure_class) == (Outcome.INFEASIBLE, "prompt_too_long"), ran.log

    def test_a_sampling_field_that_the_server_would_ignore_is_refused(self, trials: Trials) -> None:
        ran = trials(sampling={"temprature": 0.5})

        assert "has no field 'temprature'; did you mean 'temperature'?" in ran.why.evidence


@pytest.mark.engine
class TestKilled:
    def test_nothing_outlives_a_trial_killed_in_mid_pass(self, vllm_bench: Bench) -> None:
        ran = vllm_bench.run(mode="server", passes=20, output_tokens=200, on_event=Killer(vllm_bench, victim="trial"))

        assert ran.raw.exit is not None
        assert ran.raw.exit.signal == signal.SIGKILL
        assert vllm_bench.processes() == []

    def test_a_server_killed_in_mid_pass_ends_the_trial(self, vllm_bench: Bench) -> None:
        ran = vllm_bench.run(mode="server", passes=20, output_tokens=200, on_event=Killer(vllm_bench, victim="server"))

        assert ran.outcome is Outcome.CRASHED, ran.log
        assert "the server's process ended with signal 9" in ran.why.evidence
        assert vllm_bench.processes() == []


class Killer:
    """Ends the trial's process, or its server's, once the first timed pass has begun."""

    def __init__(self, bench: Bench, victim: str) -> None:
        self.bench, self.victim = bench, victim
        self.trial_pid = 0

    def __call__(self, message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            self.trial_pid = pid_of(message)
        if message["event"] == "phase" and message["name"] == "pass":
            pid = self.trial_pid if self.victim == "trial" else self.server_pid()
            os.kill(pid, signal.SIGKILL)
            assert wait_until(lambda: not is_alive(pid))

    def server_pid(self) -> int:
        (server,) = [pid for pid in self.bench.processes() if parent_of(pid) == self.trial_pid]
        return server


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])


@pytest.mark.engine
@pytest.mark.slow
def test_a_server_started_cold_does_the_same(trials: Trials) -> None:
    forked, cold = trials(), trials(how="cold")

    assert cold.outcome is Outcome.COMPLETED, cold.log
    assert {one.output_sha256 for one in cold.passes} == {one.output_sha256 for one in forked.passes}
    # Its engine core is spawned, out of reach of what counts the weights in a forked one.
    assert facts_of(cold) == {**facts_of(forked), "weights_bytes": None}
    assert trials.bench.processes() == []
