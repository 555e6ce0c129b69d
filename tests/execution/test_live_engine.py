"""Trials on an engine that an earlier one left alive: when that happens, and what they say of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.execution.bench import is_alive, read_pid_link, temp_folders, wait_until
from tests.execution.live import SLOW, Make, making
from tests.execution.test_trials import RUN_UID, notes
from vbench.execution import leftovers
from vbench.execution.live_engine import LiveEngine
from vbench.execution.trial_process import TrialProcess
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Make]:
    with making(tmp_path) as make:
        yield make


class TestReuse:
    @pytest.mark.parametrize("start", ["fork", "cold"])
    def test_what_is_asked_differs_and_the_engine_is_the_same(self, live: Make, start: str) -> None:
        t = live(f"mode: async\nworker_start: {start}\n")
        first = t.run(0, sampling__temperature=0.0)
        second = t.run(1, sampling__temperature=0.5)
        third = t.run(2, keep=False, load__max_concurrency=2)

        assert [one.outcome for one in (first, second, third)] == [Outcome.COMPLETED] * 3
        assert [one.environment["worker_start"] for one in (first, second, third)] == [start, "reused", "reused"]
        assert len(set(t.pids.values())) == 1
        assert second.config["sampling"] == {"temperature": 0.5}
        assert wait_until(lambda: not is_alive(t.pids[0]))  # the third wasn't to keep it
        assert [one.name for one in third.phases][-1] == "close"
        assert t.t.runner.live_key is None

    @pytest.mark.parametrize("other", [{"max_num_seqs": 2}, {"environment.A": "2"}, {"mode": "server"}])
    def test_another_engine_is_started_for_other_settings(self, live: Make, other: dict[str, Any]) -> None:
        t = live("mode: async\n")
        t.run(0)
        key = t.t.runner.live_key
        record = t.run(1, **other)

        assert not t.is_reused(record)
        assert t.pids[0] != t.pids[1]
        assert not is_alive(t.pids[0])
        assert t.t.runner.live_key not in (None, key)

    def test_none_is_kept_unless_asked(self, live: Make) -> None:
        t = live()
        t.run(0, keep=False)
        record = t.run(1, keep=False)

        assert not t.is_reused(record)
        assert t.t.runner.live_key is None
        assert [one.name for one in record.phases][-1] == "close"

    def test_release_closes_it(self, live: Make) -> None:
        t = live()
        t.run(0)
        assert is_alive(t.pids[0])
        t.t.runner.release()

        assert not is_alive(t.pids[0])
        assert t.t.runner.live_key is None
        assert temp_folders(RUN_UID) == []
        assert not t.is_reused(t.run(1))

    @pytest.mark.parametrize("fail", ["hang@close", "hang_deaf@close", "kill@close"])
    def test_one_that_does_not_close_is_ended(self, live: Make, fail: str) -> None:
        t = live(f"deadlines: {{load: 60s, pass: 60s, close: 0.3s}}\nengine_args: {{fail: {fail}}}\n")
        record = t.run(0)
        t.t.runner.release()

        assert record.outcome is Outcome.COMPLETED  # closing it is no part of the trial
        assert not is_alive(t.pids[0])

    def test_replicas_are_reused_with_it(self, live: Make) -> None:
        t = live("replicas: 2\n")
        t.run(0)
        before = set(leftovers.marked_processes(RUN_UID))
        record = t.run(1, sampling__temperature=0.5)

        assert t.is_reused(record)
        assert record.outcome is Outcome.COMPLETED
        assert set(leftovers.marked_processes(RUN_UID)) == before
        assert len(before) == 4  # keeper, trial, two replicas


class TestRecord:
    def test_says_what_is_its_own_and_who_started_the_engine(self, live: Make) -> None:
        t = live(SLOW)
        first = t.run(3)
        record = t.run(4, sampling__temperature=0.5)

        assert [(one.name, one.index) for one in record.phases] == [("warmup", 0), ("pass", 0), ("pass", 1)]
        assert record.phases[0].start_s >= 0
        assert record.duration_s == pytest.approx(record.phases[-1].end_s, abs=0.01)
        assert record.measurements["startup_s"] is None
        assert first.measurements["startup_s"] > 0
        assert [one.name for one in first.phases] == ["start", "import", "load", "warmup", "pass", "pass"]
        assert record.measurements["peak_memory_bytes"] > 2**20
        assert record.engine.facts == first.engine.facts
        assert notes(record) == ["the engine was started by trial 3"]
        assert record.environment["fork_blocker"] is None
        assert record.measurements["output_throughput_tok_s"] == first.measurements["output_throughput_tok_s"]
        assert record.passes[0].output_sha256 == first.passes[0].output_sha256
        assert TrialRecord.model_validate_json(record.to_json_line()) == record

    def test_what_only_the_log_of_the_start_says_is_copied(self, live: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        t = live()
        t.t.run_folder.log(0).write_text("")
        said = "CPU KV cache size: 77 tokens\n"
        t.run(0, on_event=lambda m: append(t.t.run_folder.log(0), said) if m["event"] == "engine" else None)
        record = t.run(1, sampling__temperature=0.5)

        assert record.engine.facts["kv_cache_tokens"] != 77  # the engine's own word comes first
        monkeypatch.setattr(LiveEngine, "said", property(lambda _: "torch.compile took 3.5 s"), raising=False)
        assert t.run(2, sampling__temperature=0.6).engine.facts["compile_s"] == 3.5

    def test_each_has_its_own_log(self, live: Make) -> None:
        t = live()
        t.run(0)
        t.run(1, sampling__fail="flood")
        t.run(2, sampling__temperature=0.5)

        assert "xxx" in t.log(1)
        assert "xxx" not in t.log(0) + t.log(2)
        assert read_pid_link(t.pids[0], "fd/1") == str(t.t.run_folder.log(2))

    def test_a_probe_is_made_on_it_too(self, live: Make) -> None:
        t = live("search: {probe_prompts: 2}\nparameters: {sampling.temperature: [0.0, 0.5]}\n")
        t.run(0)
        record = t.run(1, sampling__temperature=0.5)

        assert [one.kind for one in record.passes] == ["probe", "warmup", "timed", "timed"]
        assert t.is_reused(record)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_the_engines_processes_say_goes_to_the_trial_that_runs(tmp_path: Path) -> None:
    log, other = tmp_path / "0.log", tmp_path / "1.log"
    log.write_text("start\n")
    other.write_text("own\n")
    engine = LiveEngine(process=cast(TrialProcess, None), log=log, log_end=6, said="start\n", gpus_before=None)
    with log.open("ab") as child:
        child.write(b"second trial\n")
        child.flush()
        engine.move_log(other)
        child.write(b"third trial\n")
        child.flush()
        engine.move_log(tmp_path / "2.log")

    assert log.read_text() == "start\n"
    assert other.read_text() == "own\nsecond trial\n"
    assert (tmp_path / "2.log").read_text() == "third trial\n"
