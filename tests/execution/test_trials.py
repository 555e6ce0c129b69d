"""From a point to its record, through the fake engine: the request, the second try, and what the record says."""

from __future__ import annotations

import os
import re
import signal
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import wait_until
from vbench.errors import MachineError
from vbench.execution import leftovers, trial_record
from vbench.execution.engine_log import log_tail
from vbench.execution.interpreters import find_interpreter
from vbench.execution.runner import OnEvent, RawTrial
from vbench.execution.trial_record import Judging
from vbench.execution.trials import TrialRunner
from vbench.outcome import Outcome
from vbench.prompts.prompt_set import load_prompt_set, write_jsonl
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, create
from vbench.spec.loader import parse_spec
from vbench.spec.space import Point

BASE = """\
engine: fake
model: org/name
prompts: {synthetic: {count: 3, input_tokens: 6}, output_tokens: 4}
measure: {warmup_passes: 1, passes: 2}
"""
RUN_UID = uuid.uuid4().hex


class Trials:
    """A runner in a fresh run folder."""

    def __init__(self, runner: TrialRunner, run: RunFolder) -> None:
        self.runner, self.run_folder = runner, run

    def run(self, number: int = 0, on_event: OnEvent = lambda _: None, **settings: Any) -> TrialRecord:
        parameters = {name: value for name, value in settings.items() if isinstance(value, (str, int, float))}
        point = Point(parameters=parameters, settings=settings)
        return self.runner.run(number, point, "search", on_event)


@contextmanager
def trials(tmp_path: Path, extra: str = "", **limits: Any) -> Iterator[Trials]:
    spec = parse_spec(BASE + extra, tmp_path / "sweep.yaml", ())
    run = create(tmp_path, "sweep", datetime(2026, 11, 3, tzinfo=UTC))
    prompt_set = load_prompt_set(spec.prompts, spec.model)
    write_jsonl(prompt_set, run.prompts_jsonl)
    interpreter = find_interpreter(None, "fake")
    judging = Judging(**{"hardware": "cpu", **limits})
    with TrialRunner(spec, run, prompt_set, interpreter, RUN_UID, judging) as runner:
        yield Trials(runner, run)
    assert wait_until(lambda: leftovers.marked_processes(RUN_UID) == [])


def notes(record: TrialRecord) -> list[str]:
    found: list[str] = record.environment["notes"]
    return found


def failure_class(record: TrialRecord) -> str | None:
    return record.failure.failure_class if record.failure is not None else None


def test_a_record_holds_the_whole_trial(tmp_path: Path) -> None:
    with trials(tmp_path, "engine_args: {block_size: 64}\n") as t:
        record = t.run(7, max_num_seqs=2, sleep_scale=3.0)

    assert (record.trial, record.origin, record.outcome, record.failure) == (7, "search", Outcome.COMPLETED, None)
    assert record.config == {
        "engine": "fake", "model": "org/name", "block_size": 64, "max_num_seqs": 2, "sleep_scale": 3.0,
        "enable_prefix_caching": False,
    }  # fmt: skip
    assert record.parameters == {"max_num_seqs": 2, "sleep_scale": 3.0}
    assert [(one.kind, one.index) for one in record.passes] == [("warmup", 0), ("timed", 0), ("timed", 1)]
    # Two waves of two: 2·(2·6·10 µs + 4·(10 ms + 2·0.5 ms)·0.9) = 0.07944 s for 3·4 = 12 tokens.
    assert record.measurements["output_throughput_tok_s"] == pytest.approx(12 / 0.07944)
    assert record.measurements["peak_memory_bytes"] > 2**20
    assert record.engine.facts["max_num_seqs"] == 2
    assert (record.prompt_set.num_prompts, record.prompt_set.input_tokens) == (3, 18)
    assert record.environment["worker_start"] == "fork"
    # What else the machine does isn't the trial's.
    assert [one for one in record.warnings if "during timed passes" not in one] == []
    assert TrialRecord.model_validate_json(record.to_json_line()) == record
    assert t.run_folder.log(7).exists()
    assert t.run_folder.samples(7).read_text().startswith("t_s,memory_bytes,num_processes\n0.0")


class TestSecondTry:
    def test_a_crash_without_a_known_cause_is_tried_cold(self, tmp_path: Path) -> None:
        with trials(tmp_path) as t:
            record = t.run(fail="segfault")

        assert (record.outcome, failure_class(record)) == (Outcome.CRASHED, "died")
        assert record.environment["worker_start"] == "cold"
        assert notes(record) == ["started cold after a forked start ended as crashed (died)"]

    def test_a_hang_at_load_is_tried_cold(self, tmp_path: Path) -> None:
        with trials(tmp_path, "deadlines: {load: 1s, pass: 60s}\n") as t:
            record = t.run(fail="hang")

        assert (record.outcome, failure_class(record)) == (Outcome.TIMED_OUT, "load_deadline")
        assert notes(record) == ["started cold after a forked start ended as timed_out (load_deadline)"]

    @pytest.mark.parametrize(
        ("fail", "outcome"),
        [("oom", Outcome.OUT_OF_MEMORY), ("hang@pass", Outcome.TIMED_OUT)],
    )
    def test_a_known_cause_is_not(self, tmp_path: Path, fail: str, outcome: Outcome) -> None:
        with trials(tmp_path, "deadlines: {load: 60s, pass: 0.5s}\n") as t:
            record = t.run(fail=fail)

        assert record.outcome is outcome
        assert record.environment["worker_start"] == "fork"
        assert notes(record) == []

    @pytest.mark.parametrize("start", ["fork", "cold"])
    def test_nor_is_anything_when_the_sweep_says_how_to_start(self, tmp_path: Path, start: str) -> None:
        with trials(tmp_path, f"worker_start: {start}\n") as t:
            record = t.run(fail="exit")

        assert failure_class(record) == "died"
        assert record.environment["worker_start"] == start
        assert notes(record) == []

    def test_what_an_earlier_attempt_logged_decides_nothing(self, tmp_path: Path) -> None:
        with trials(tmp_path) as t:
            t.run_folder.log(0).write_text("RuntimeError: CUDA out of memory.\nCPU KV cache size: 77 tokens\n")
            record = t.run(fail="exit")

        assert failure_class(record) == "died"
        assert "kv_cache_tokens" not in record.engine.facts
        assert log_tail(t.run_folder.log(0), 2)[0] == "RuntimeError: CUDA out of memory."


class KillKeeperOnce:
    """Kills the keeper at the first pass it hears of, and never again."""

    def __init__(self, t: Trials) -> None:
        self.t, self.is_done = t, False

    def __call__(self, message: Mapping[str, Any]) -> None:
        pids = self.t.runner._keepers.pids
        if message.get("name") == "warmup" and not self.is_done and pids:
            self.is_done = True
            os.kill(pids[0], signal.SIGKILL)


class TestDeadKeeper:
    def test_its_trial_is_tried_again_and_the_next_one_forks(self, tmp_path: Path) -> None:
        with trials(tmp_path) as t:
            record = t.run(0, KillKeeperOnce(t), sleep_scale=5.0)
            following = t.run(1)

        assert record.outcome is Outcome.COMPLETED
        assert record.environment["worker_start"] == "cold"
        assert notes(record) == ["started cold after a forked start ended as crashed (keeper_gone)"]
        assert (following.outcome, following.environment["worker_start"]) == (Outcome.COMPLETED, "fork")

    def test_a_cold_trial_is_tried_again(self, tmp_path: Path) -> None:
        with trials(tmp_path, "worker_start: cold\n") as t:
            record = t.run(0, KillKeeperOnce(t), sleep_scale=5.0)

        assert record.outcome is Outcome.COMPLETED
        assert notes(record) == ["started cold after a cold start ended as crashed (keeper_gone)"]

    def test_where_all_must_fork_the_loss_is_recorded_and_the_next_one_forks(self, tmp_path: Path) -> None:
        with trials(tmp_path, "worker_start: fork\n") as t:
            record = t.run(0, KillKeeperOnce(t), sleep_scale=5.0)
            following = t.run(1)

        assert (record.outcome, failure_class(record)) == (Outcome.CRASHED, "keeper_gone")
        assert record.environment["worker_start"] == "fork"
        assert (following.outcome, following.environment["worker_start"]) == (Outcome.COMPLETED, "fork")


def test_where_all_must_fork_and_none_can_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with trials(tmp_path, "worker_start: fork\n") as t:
        t.runner.prepare()
        keeper = t.runner._keeper(t.runner.interpreter, {})
        monkeypatch.setattr(keeper, "can_fork", False)
        monkeypatch.setattr(keeper, "fork_blocker", "a platform with a GPU")

        with pytest.raises(MachineError, match="worker_start: fork isn't possible here: a platform with a GPU"):
            t.run()


def test_the_environment_is_recorded_without_its_secrets(tmp_path: Path) -> None:
    with trials(tmp_path, "environment: {HF_TOKEN: abc, MY_API_KEY: def, OMP_NUM_THREADS: '1'}\n") as t:
        record = t.run()

    assert record.config["environment"] == {"HF_TOKEN": "***", "MY_API_KEY": "***", "OMP_NUM_THREADS": "1"}
    assert "abc" not in record.to_json_line()


def test_settings_that_hold_the_word_token_are_no_secrets(tmp_path: Path) -> None:
    with trials(tmp_path, "environment: {TOKENIZERS_PARALLELISM: 'false', AWS_ACCESS_KEY_ID: abc}\n") as t:
        record = t.run()

    assert record.config["environment"] == {"TOKENIZERS_PARALLELISM": "false", "AWS_ACCESS_KEY_ID": "***"}


@pytest.mark.parametrize("n", ["null", "'2'"])
def test_a_number_of_answers_that_is_none_is_the_engines_to_refuse(tmp_path: Path, n: str) -> None:
    with trials(tmp_path, f"sampling: {{n: {n}}}\n") as t:
        record = t.run()

    assert record.outcome is Outcome.COMPLETED


def test_a_load_that_does_not_go_together_is_noted(tmp_path: Path) -> None:
    with trials(tmp_path, "mode: async\nparameters: {load.burst_size: [2, 4]}\n") as t:
        settings: dict[str, Any] = {"load.burst_size": 2}
        record = t.run(**settings)

    assert record.environment["notes"] == ["load: burst_size needs a request_rate"]


class TestConstraints:
    def violations(self, tmp_path: Path, constraint: str, **settings: Any) -> dict[str, float]:
        searched = "parameters: {max_model_len: [1024, 4096]}\n"
        with trials(tmp_path, f"{searched}constraints: ['{constraint}']\n") as t:
            return t.run(**settings).constraint_violations

    def test_a_metric_kept_and_broken(self, tmp_path: Path) -> None:
        # One wave takes 0.04618 s, of which each of 4 steps is 0.011545 s: the time to first token.
        (kept,) = self.violations(tmp_path / "a", "p95_ttft_s <= 0.02309").values()
        (broken,) = self.violations(tmp_path / "b", "p95_ttft_s <= 0.0057725").values()

        assert kept == pytest.approx(-0.5)  # half of the bound is left
        assert broken == pytest.approx(1.0)  # twice the bound

    def test_an_argument_is_judged_by_what_took_effect(self, tmp_path: Path) -> None:
        # Left to the engine, which says 2048: half of the bound is missing.
        assert list(self.violations(tmp_path, "max_model_len >= 4096").values()) == [0.5]

    def test_what_was_not_measured_counts_as_broken(self, tmp_path: Path) -> None:
        assert list(self.violations(tmp_path, "num_preemptions <= 5").values()) == [1.0]

    def test_a_failed_trial_has_none(self, tmp_path: Path) -> None:
        assert self.violations(tmp_path, "max_model_len >= 4096", fail="oom") == {}


def test_a_peak_over_the_budget_is_measured_all_the_same(tmp_path: Path) -> None:
    with trials(tmp_path, limit_bytes=1024**2) as t:
        record = t.run(load_seconds=0.3)
    assert (record.outcome, failure_class(record)) == (Outcome.OVER_BUDGET, "over_budget")
    assert record.failure is not None
    assert re.fullmatch(r"peak [\d.,]+ MiB is over the budget of 1\.0 MiB by [\d.,]+ MiB", record.failure.evidence)
    assert record.measurements["output_throughput_tok_s"] > 0
    assert all(phase.gpus is None for phase in record.phases)


def test_within_the_budget_or_failed_for_another_reason_nothing_changes(tmp_path: Path) -> None:
    with trials(tmp_path, limit_bytes=1024**4) as t:
        assert t.run().outcome is Outcome.COMPLETED
    with trials(tmp_path, limit_bytes=1024**2) as t:
        assert t.run(load_seconds=0.3, fail="oom@pass").outcome is Outcome.OUT_OF_MEMORY


def test_an_emulated_card_on_a_cpu_is_measured_by_the_process_tree(tmp_path: Path) -> None:
    with trials(tmp_path, limit_bytes=1024**2, is_cpu=True, hardware="t4") as t:
        record = t.run(load_seconds=0.3)

    expected = {"profile": "t4", "memory_source": "process tree PSS"}
    assert (record.outcome, record.hardware) == (Outcome.OVER_BUDGET, expected)


def test_on_a_cpu_each_engine_of_several_has_a_card_of_its_own(tmp_path: Path) -> None:
    with trials(tmp_path, limit_bytes=1024**2, is_cpu=True, hardware="kaggle-2xt4") as t:
        record = t.run(load_seconds=0.3, replicas=2)

    assert record.outcome is Outcome.OVER_BUDGET
    assert record.failure is not None
    assert "over the budget of 2.0 MiB" in record.failure.evidence


def test_facts_are_stored_with_short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw = RawTrial(started_t=0.0, how="cold")
    raw.messages.append({"event": "engine", "facts": {"speculative_model": str(tmp_path / "draft"), "notes": ["a"]}})

    assert trial_record._facts(raw, "") == ({"speculative_model": "draft"}, ["a"])
