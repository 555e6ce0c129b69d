"""Several engines side by side: dealt out and put together again, on shares that don't overlap, ended together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import Bench, How, Ran, pid_of, wait_until
from vbench.execution import trial_process
from vbench.outcome import Outcome
from vbench.spec.types import Deadlines
from vbench.worker.engines.base import Work
from vbench.worker.engines.replicated import part_of

BOTH = pytest.mark.parametrize("how", ["fork", "cold"])


def prompts(count: int, tokens: Callable[[int], int] = lambda _: 6) -> list[dict[str, Any]]:
    """Each begins with its own number, so that no two are answered alike."""
    return [{"prompt_token_ids": [100 + one, *range(200, 199 + tokens(one))]} for one in range(count)]


def facts_of(ran: Ran) -> dict[str, Any]:
    (message,) = ran.raw.of("engine")
    facts: dict[str, Any] = message["facts"]
    return facts


def durations(ran: Ran) -> list[float]:
    assert ran.outcome is Outcome.COMPLETED, ran.log
    return [one.duration_s for one in ran.passes]


@pytest.fixture
def bench(fake_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(trial_process, "_TERM_GRACE_S", 0.3)
    yield fake_bench
    assert wait_until(lambda: fake_bench.processes() == [])
    assert fake_bench.temp_folders() == []


class TestArithmetic:
    @BOTH
    def test_two_do_it_in_half_the_waves(self, bench: Bench, how: How) -> None:
        settings = {"max_num_seqs": 2}
        single = bench.run(how=how, prompts=prompts(8), engine_args=settings)
        ran = bench.run(how=how, prompts=prompts(8), engine_args=settings, replicas=2)

        # A wave of 2: 2·6·10 µs + 4·11 ms = 0.04412 s; four of them, or two.
        assert durations(single) == pytest.approx([4 * 0.04412] * 3)
        assert durations(ran) == pytest.approx([2 * 0.04412] * 3)

    def test_a_pass_lasts_as_long_as_the_slowest(self, bench: Bench) -> None:
        # 5 prompts one at a time: replica 0 has three of them, replica 1 two. One: 6·10 µs + 4·10.5 ms.
        ran = bench.run(prompts=prompts(5), engine_args={"max_num_seqs": 1}, replicas=2)

        assert durations(ran) == pytest.approx([3 * 0.04206] * 3)

    @pytest.mark.parametrize("replicas", [2, 3])
    def test_results_come_back_in_the_prompts_order(self, bench: Bench, replicas: int) -> None:
        asked = prompts(7, tokens=lambda one: 10 + one)
        single, ran = bench.run(prompts=asked), bench.run(prompts=asked, replicas=replicas)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        for one in ran.passes:
            assert one.requests.input_tokens == [10, 11, 12, 13, 14, 15, 16]
        assert {one.output_sha256 for one in ran.passes} == {one.output_sha256 for one in single.passes}

    def test_counters_are_of_all_together(self, bench: Bench) -> None:
        ran = bench.run(prompts=prompts(5), replicas=2)

        for one in ran.passes:
            assert one.engine_metrics == {"prompt_tokens": 30, "generation_tokens": 20}

    def test_facts_are_one_engines_with_what_they_sum_up_to(self, bench: Bench) -> None:
        single, facts = facts_of(bench.run()), facts_of(bench.run(replicas=2))

        assert {name: facts[name] for name in single} == single
        assert facts["total_weights_bytes"] == 2 * single["weights_bytes"]
        assert facts["total_kv_cache_tokens"] == 2 * single["kv_cache_tokens"]
        assert facts["replicas"] == len(facts["replica_devices"]) == 2


class TestRefusals:
    def test_of_fewer_prompts_than_replicas(self, bench: Bench) -> None:
        ran = bench.run(prompts=prompts(2), replicas=3)

        assert ran.why.evidence == "ValueError: 3 replicas need as many prompts at least; there are 2"

    def test_of_fewer_requests_in_flight_than_replicas(self, bench: Bench) -> None:
        ran = bench.run(prompts=prompts(4), replicas=2, load={"max_concurrency": 1})

        assert "max_concurrency 1 is less than one request for each of 2 replicas" in ran.why.evidence


# As of a single engine (test_runner.py), but for deaths, which are told of instead of died.
FAILURES = {
    "oom": (Outcome.OUT_OF_MEMORY, "gpu_out_of_memory", "RuntimeError: replica 0: CUDA out of memory. Tried"),
    "host_oom": (Outcome.OUT_OF_MEMORY, "host_out_of_memory", "DefaultCPUAllocator: can't allocate"),
    "exception": (Outcome.CRASHED, "exception", "RuntimeError: replica 0: the fake engine was told to fail"),
    "segfault": (Outcome.CRASHED, "exception", "with killed by SIGSEGV"),
    "exit": (Outcome.CRASHED, "exception", "with exit code 7"),
}


class TestFailures:
    @BOTH
    @pytest.mark.parametrize("place", ["load", "pass", "close"])
    @pytest.mark.parametrize("fail", FAILURES)
    def test_are_what_they_are_of_a_single_engine(self, bench: Bench, fail: str, place: str, how: How) -> None:
        ran = bench.run(how=how, engine_args={"fail": f"{fail}@{place}"}, replicas=2)

        outcome, failure_class, evidence = FAILURES[fail]
        assert (ran.outcome, ran.failure_class) == (outcome, failure_class), ran.log
        # Both fail; either may be heard of first.
        assert evidence in ran.why.evidence.replace("replica 1", "replica 0")
        assert ran.why.phase == {"load": "load", "pass": "warmup", "close": "close"}[place]
        assert ran.raw.leftovers == []

    def test_an_unknown_argument_is_named(self, bench: Bench) -> None:
        ran = bench.run(engine_args={"warp_speed": 9}, replicas=2)

        assert ran.raw.of("error")[0]["type"] == "TypeError"
        assert (ran.outcome, ran.failure_class) == (Outcome.INFEASIBLE, "unknown_argument")

    @BOTH
    def test_of_one_end_all(self, bench: Bench, how: How) -> None:
        asked = [*prompts(3), {"prompt_token_ids": 5}]  # the fake engine can't measure that one: replica 1's
        ran = bench.run(how=how, prompts=asked, engine_args={"sleep_scale": 100.0}, replicas=2)

        assert ran.why.evidence == "TypeError: replica 1: object of type 'int' has no len()"
        assert ran.raw.leftovers == []


class Watcher:
    """Does something to the replicas when a phase begins."""

    def __init__(self, bench: Bench, phase: str, act: Callable[[int, list[int]], None]) -> None:
        self.bench, self.phase, self.act = bench, phase, act
        self.trial = 0

    def __call__(self, message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            self.trial = pid_of(message)
        elif message["event"] == "phase" and message["name"] == self.phase:
            self.act(self.trial, sorted(set(self.bench.processes()) - {self.trial}))


class TestDeaths:
    SLOW = {"sleep_scale": 20.0}  # noqa: RUF012 - of 46 ms a pass: about a second

    @BOTH
    def test_of_one_in_mid_pass(self, bench: Bench, how: How) -> None:
        watcher = Watcher(bench, "pass", lambda _, replicas: os.kill(replicas[1], signal.SIGKILL))
        ran = bench.run(how=how, engine_args=self.SLOW, replicas=2, passes=1, on_event=watcher)

        assert ran.outcome is Outcome.CRASHED
        assert ran.why.evidence.startswith("ReplicaDied: replica 1: ended in ")
        assert ran.why.evidence.endswith("with killed by SIGKILL")
        assert ran.raw.leftovers == []

    def test_of_the_trial_take_the_replicas_along(self, bench: Bench) -> None:
        watcher = Watcher(bench, "pass", lambda trial, _: os.kill(trial, signal.SIGKILL))
        ran = bench.run(engine_args=self.SLOW, replicas=2, passes=1, on_event=watcher)

        assert ran.failure_class == "died"
        assert ran.raw.leftovers == []

    @BOTH
    def test_a_hang_of_one_ends_at_the_deadline(self, bench: Bench, how: How) -> None:
        watcher = Watcher(bench, "warmup", lambda _, replicas: os.kill(replicas[1], signal.SIGSTOP))
        limits = Deadlines(load_s=60, pass_s=3, close_s=60)
        ran = bench.run(how=how, engine_args=self.SLOW, replicas=2, deadlines=limits, on_event=watcher)

        assert (ran.outcome, ran.failure_class) == (Outcome.TIMED_OUT, "pass_deadline")
        assert ran.raw.leftovers == []


def allowed_cores(pid: int) -> set[str]:
    """Of all its threads: the lists of logical processors that they may run on."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return {line.split()[1] for text in texts for line in text.splitlines() if line.startswith("Cpus_allowed_list")}


@pytest.mark.parametrize(("replicas", "adapters"), [(2, 2), (2, 3), (3, 2), (4, 6), (2, 0)])
def test_each_prompt_keeps_the_adapter_of_a_single_engine(replicas: int, adapters: int) -> None:
    modules = {f"adapter-{one}": f"folder-{one}" for one in range(adapters)}
    whole = list(modules) or ["none"]
    for index in range(replicas):
        own = list(part_of(Work({"lora_modules": modules}), index, replicas)["lora_modules"]) or ["none"]
        for turn in range(12):
            assert own[turn % len(own)] == whole[(index + turn * replicas) % len(whole)]


@pytest.mark.engine
class TestVllm:
    @BOTH
    def test_two_answer_as_one_does_each_on_cores_of_its_own(self, vllm_bench: Bench, how: How) -> None:
        asked = prompts(6, tokens=lambda one: 20 + one)
        cores: list[set[str]] = []
        # In the first of many passes: a short trial may have ended before it is looked at.
        watcher = Watcher(vllm_bench, "warmup", lambda _, replicas: cores.extend(map(allowed_cores, replicas)))
        single = vllm_bench.run(how="fork", prompts=asked, passes=1)
        limits = Deadlines(load_s=180, pass_s=60, close_s=20)  # two imports of vLLM at once, where others work too
        ran = vllm_bench.run(how=how, prompts=asked, passes=12, replicas=2, on_event=watcher, deadlines=limits)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        assert ran.passes[0].output_sha256 == single.passes[0].output_sha256
        assert ran.passes[0].engine_metrics["prompt_tokens"] == sum(20 + one for one in range(6))
        assert ran.raw.leftovers == vllm_bench.processes() == []
        facts = facts_of(ran)
        assert facts["total_kv_cache_tokens"] == 2 * facts["kv_cache_tokens"] == 2 * 8192
        if len(os.sched_getaffinity(0)) >= 2:
            assert all(len(each) == 1 for each in cores), cores
            assert ["cores " + each.pop() for each in cores] == facts["replica_devices"]
            assert len(set(facts["replica_devices"])) == 2

    def test_requests_are_sent_when_they_are_due_whoever_takes_them(self, vllm_bench: Bench) -> None:
        load = {"request_rate": 10.0, "arrival": "constant"}
        ran = vllm_bench.run(prompts=prompts(6), passes=1, replicas=2, mode="async", load=load)

        assert ran.outcome is Outcome.COMPLETED, ran.log
        sent = ran.raw.of("pass")[-1]["requests"]["send_s"]
        # Due every 0.1 s; never before, and on a busy machine a little after.
        assert all(at + 1e-6 >= 0.1 * (index + 1) for index, at in enumerate(sent)), sent
        assert ran.passes[-1].duration_s >= sent[-1]
        assert vllm_bench.processes() == []

    def test_an_error_of_one_keeps_its_class(self, vllm_bench: Bench) -> None:
        asked = [*prompts(3), {"prompt_token_ids": [100, 9_999_999]}]
        ran = vllm_bench.run(prompts=asked, passes=1, replicas=2)

        assert (ran.outcome, ran.failure_class) == (Outcome.INFEASIBLE, "bad_token_ids"), ran.log
        assert "replica 1: " in ran.why.evidence
        assert vllm_bench.processes() == []
