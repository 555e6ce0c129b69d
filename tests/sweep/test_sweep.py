"""A whole sweep with the fake engine: what is run, in which order, what is kept, and when it stops."""

from __future__ import annotations

import getpass
import json
import os
import platform
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import SMALL, Vbench, config_of, records_of, run_facts
from tests.sweep.conftest import Recorder, Sweeps
from vbench.execution.leftovers import marked_processes
from vbench.outcome import Outcome

SPACE = """\
parameters:
  max_num_seqs: [1, 2, 4]
  quantization: [none, awq, gptq]
"""
FIELDS = {
    "schema_version", "trial", "config", "parameters", "outcome", "failure", "measurements", "constraint_violations",
    "passes", "engine", "prompt_set", "hardware", "environment", "phases", "warnings", "started_at", "duration_s",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Vbench:
    """A sweep of every kind of parameter, run by the installed command."""
    vbench = Vbench(tmp_path_factory.mktemp("finished"))
    text = SMALL.replace("  block_size", "  fail: [none, oom]\n  block_size").replace("trials: 5", "trials: 12")
    vbench("sweep", vbench.write(text), check=0)
    return vbench


def test_every_planned_trial_has_a_record_the_baseline_first(finished: Vbench) -> None:
    records = records_of(finished.run())
    assert [record["trial"] for record in records] == list(range(12))
    assert [record["origin"] for record in records] == ["baseline"] + ["search"] * 11
    assert records[0]["parameters"] == {}


def test_no_configuration_is_tried_twice(finished: Vbench) -> None:
    records = records_of(finished.run())
    assert len({config_of(record) for record in records}) == 12


def test_a_record_has_every_field_of_the_contract(finished: Vbench) -> None:
    for record in records_of(finished.run()):
        assert record.keys() >= FIELDS
        assert record["schema_version"] == 1
        assert record["config"]["engine"] == "fake"
        assert record["config"]["enable_prefix_caching"] is False
        assert record["engine"]["name"] == "fake"
        assert record["prompt_set"]["num_prompts"] == 4
        assert record["hardware"]["profile"] == "cpu"
        assert record["environment"]["worker_start"] == "fork"
        assert record["phases"][0]["name"] == "start"
        assert record["started_at"].endswith("+00:00")
        if record["outcome"] == "completed":
            assert record["failure"] is None
            assert [one["kind"] for one in record["passes"]] == ["timed", "timed"]
        else:
            assert record["outcome"] == "out_of_memory"
            assert record["failure"]["class"] == "gpu_out_of_memory"
            assert record["failure"]["advice"]
            assert record["passes"] == []


def test_the_best_of_the_file_is_what_the_command_says(finished: Vbench) -> None:
    completed = [record for record in records_of(finished.run()) if record["outcome"] == "completed"]
    # 4 prompts of 8 tokens in each pass: 32 tokens over its duration; the passes of this engine take the same time.
    best = max(completed, key=lambda record: 32 / record["passes"][0]["duration_s"])
    said = json.loads(finished("best", "--as", "json", check=0).stdout)
    assert said["trial"] == best["trial"]
    assert said["measurements"]["output_throughput_tok_s"] == pytest.approx(32 / best["passes"][0]["duration_s"])


def test_the_run_folder_holds_all_that_it_promises(finished: Vbench) -> None:
    run = finished.run()
    assert (run / "sweep.yaml").read_bytes() == (finished.folder / "small.yaml").read_bytes()
    names = [f"{trial:04d}" for trial in range(12)]
    assert sorted(path.name for path in (run / "logs").iterdir()) == [*(f"{name}.log" for name in names), "keeper.log"]
    assert sorted(path.name for path in (run / "samples").iterdir()) == [f"{name}.csv" for name in names]
    assert all(path.read_text().startswith("t_s,memory_bytes,num_processes\n") for path in (run / "samples").iterdir())
    assert len((run / "prompts.jsonl").read_text().splitlines()) == 4
    assert run_facts(run)["status"] == "finished"
    assert run_facts(run)["num_trials_planned"] == 12
    assert not (run / "pending.json").exists()
    assert "CUDA out of memory" in "".join(path.read_text() for path in (run / "logs").iterdir())


def test_machine_json_names_no_host_and_no_user(finished: Vbench) -> None:
    facts = json.loads((finished.run() / "machine.json").read_text())
    text = json.dumps(facts)
    assert {"cpu", "memory_bytes", "engine_version", "python_version", "vbench_version"} <= facts.keys()
    assert platform.node() not in text
    assert getpass.getuser() not in text
    assert os.path.expanduser("~") not in text


def test_nothing_is_left_in_the_temporary_folder(finished: Vbench) -> None:
    assert list((finished.folder / "tmp").iterdir()) == []


def test_records_are_on_disk_before_the_search_hears_of_them(sweep: Sweeps) -> None:
    def kept(message: dict[str, Any]) -> None:
        assert sweep.heard.info is not None
        (pending,) = json.loads(sweep.heard.info.run.pending_json.read_text())["trials"]
        assert pending["trial"] == sum(one.startswith("trial_finished") for one in sweep.heard.said)

    result = sweep(f"{SPACE}search: {{method: random, trials: 3}}\n", listener=Recorder(kept))
    assert [record.trial for record in result.records] == [0, 1, 2]
    assert sweep.heard.said[:4] == ["run_started", "engine_starting", "engine_ready", "trial_started 0"]
    assert sweep.heard.said[-1] == "run_finished"


def test_a_grid_is_walked_to_its_end(sweep: Sweeps) -> None:
    result = sweep(f"{SPACE}search: {{method: grid}}\n")
    assert result.status == "finished"
    assert [tuple(record.parameters.values()) for record in result.records] == [
        (size, quantization) for size in (1, 2, 4) for quantization in ("none", "awq", "gptq")
    ]


def test_a_search_stops_where_nothing_is_left_to_try(sweep: Sweeps) -> None:
    extra = f"{SPACE}search: {{method: tpe, trials: 20}}\nconstraints: [max_num_seqs >= 2]\n"
    result = sweep(extra)
    assert result.status == "exhausted"
    assert len(result.records) == 6
    again = sweep(extra)
    assert (again.status, len(again.records)) == ("exhausted", 6)
    assert "engine_starting" not in sweep.heard.said  # nothing was to be tried, so nothing was started


def test_the_time_budget_ends_a_sweep_and_more_of_it_goes_on(sweep: Sweeps) -> None:
    extra = f"{SPACE}engine_args: {{load_seconds: 0.2}}\nsearch: {{method: tpe, timeout: "
    result = sweep(f"{extra}500ms}}\n")
    assert result.status == "out_of_time"
    assert len(result.records) <= 3  # each takes 0.2 s and more; how many are reached depends on the machine
    spent = sweep(f"{extra}500ms}}\n")
    assert len(spent.records) == len(result.records)
    assert "engine_starting" not in sweep.heard.said
    more = sweep(f"{extra}1h}}\n")
    assert more.run.path == result.run.path
    assert len(more.records) == 9


def test_one_that_always_fails_has_records_and_no_best(sweep: Sweeps) -> None:
    result = sweep(f"{SPACE}engine_args: {{fail: exception}}\nsearch: {{method: random, trials: 2}}\n")
    assert result.best is None
    assert [record.outcome for record in result.records] == [Outcome.CRASHED] * 2
    assert all(record.failure and "told to fail" in record.failure.evidence for record in result.records)


def test_a_trial_that_violates_a_constraint_is_not_the_best(sweep: Sweeps) -> None:
    result = sweep(f"{SPACE}search: {{method: grid}}\nconstraints: [p95_e2e_latency_s <= 0.01]\n")
    assert result.best is None
    assert all(record.constraint_violations["p95_e2e_latency_s <= 0.01"] > 0 for record in result.records)


def test_more_trials_go_on_in_the_same_run_and_fewer_take_none_away(sweep: Sweeps) -> None:
    first = sweep(f"{SPACE}search: {{method: tpe, trials: 2}}\n")
    more = sweep(f"{SPACE}search: {{method: tpe, trials: 5}}\n")
    assert more.run.path == first.run.path
    assert [record.trial for record in more.records] == [0, 1, 2, 3, 4]
    fewer = sweep(f"{SPACE}search: {{method: tpe, trials: 3}}\n")
    assert fewer.run.path == first.run.path
    assert len(fewer.records) == 5
    assert sweep.heard.info is not None
    assert sweep.heard.info.is_complete
    assert sweep.heard.info.best == more.best
    assert run_facts(first.run.path)["num_trials_planned"] == 5


def test_a_changed_sweep_is_a_new_run_and_the_old_one_is_found_again(sweep: Sweeps) -> None:
    search = "search: {method: tpe, trials: 2}\n"
    old = sweep(SPACE + search)
    new = sweep(f"{SPACE}{search}measure: {{passes: 1}}\n", base="name: small\n" + sweep_without_measure())
    assert new.run.path != old.run.path
    assert "the sweep changed" in sweep.heard.notes
    assert old.run.run_id in sweep.heard.notes
    back = sweep(SPACE + search)
    assert back.run.path == old.run.path


def test_changed_prompts_are_a_new_run(sweep: Sweeps) -> None:
    extra = f"{SPACE}search: {{method: tpe, trials: 1}}\n"
    base = "name: small\nmodel: org/name\nengine: fake\nprompts: {file: p.jsonl, output_tokens: 8}\n"
    prompts = sweep.folder / "p.jsonl"
    prompts.write_text('{"prompt": "one"}\n')
    old = sweep(extra, base=base)
    prompts.write_text('{"prompt": "two"}\n')
    assert sweep(extra, base=base).run.path != old.run.path
    assert "the prompts changed" in sweep.heard.notes


def test_new_starts_a_new_run(sweep: Sweeps) -> None:
    extra = f"{SPACE}search: {{method: tpe, trials: 1}}\n"
    first, second = sweep(extra), sweep(extra, new=True)
    assert first.run.path != second.run.path
    assert sweep(extra).run.path == second.run.path  # the latest of those that are the same


def test_a_run_without_its_facts_is_left_alone(sweep: Sweeps) -> None:
    extra = f"{SPACE}search: {{method: tpe, trials: 1}}\n"
    broken = sweep(extra).run
    broken.run_json.unlink()
    assert sweep(extra).run.path != broken.path
    assert "run.json is missing" in sweep.heard.notes


def test_a_torn_record_is_set_aside_and_its_trial_run_again(sweep: Sweeps) -> None:
    extra = f"{SPACE}search: {{method: tpe, trials: 4}}\n"
    whole = sweep(extra)
    data = whole.run.trials_jsonl.read_bytes()
    last = data.splitlines(keepends=True)[-1]
    whole.run.trials_jsonl.write_bytes(data[: -len(last) // 2])
    repaired = sweep(extra)
    assert repaired.run.path == whole.run.path
    assert "torn line" in sweep.heard.notes
    assert [one for one in sweep.heard.said if one.startswith("trial")] == ["trial_started 3", "trial_finished 3"]
    assert [(one.trial, one.parameters) for one in repaired.records] == [
        (one.trial, one.parameters) for one in whole.records
    ]
    assert last[: len(last) // 4] in whole.run.trials_jsonl.with_suffix(".jsonl.torn").read_bytes()


def test_a_forked_worker_that_crashes_is_retried_cold_once(sweep: Sweeps) -> None:
    killed: list[int] = []

    def kill_the_first(message: dict[str, Any]) -> None:
        if message["event"] == "hello" and not killed:
            killed.append(message["pid"])
            os.kill(message["pid"], signal.SIGKILL)

    extra = f"{SPACE}engine_args: {{load_seconds: 0.1}}\nsearch: {{method: tpe, trials: 2}}\n"
    first, second = sweep(extra, listener=Recorder(kill_the_first)).records
    assert first.outcome is Outcome.COMPLETED
    assert first.environment["worker_start"] == "cold"
    assert any("started cold after a forked start" in note for note in first.environment["notes"])
    assert second.environment["worker_start"] == "fork"


def test_a_crash_that_stays_is_tried_twice_and_recorded_once(sweep: Sweeps) -> None:
    starts: list[int] = []

    def count(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            starts.append(message["pid"])

    (record,) = sweep("engine_args: {fail: exit}\n", listener=Recorder(count)).records
    assert len(starts) == 2
    assert record.outcome is Outcome.CRASHED
    assert record.failure is not None
    assert "exit code 7" in record.failure.evidence


def test_a_keeper_that_is_killed_costs_nothing_but_time(sweep: Sweeps) -> None:
    keepers: list[int] = []

    def kill_the_keeper(message: dict[str, Any]) -> None:
        if message["event"] == "phase" and message["name"] == "load" and not keepers:
            assert sweep.heard.info is not None
            uid = run_facts(sweep.heard.info.run.path)["run_uid"]
            keepers.extend(pid for pid in marked_processes(uid) if _parent(pid) == os.getpid())
            os.kill(keepers[0], signal.SIGKILL)

    extra = f"{SPACE}engine_args: {{load_seconds: 0.2}}\nsearch: {{method: tpe, trials: 3}}\n"
    result = sweep(extra, listener=Recorder(kill_the_keeper))
    assert len(keepers) == 1
    assert [record.outcome for record in result.records] == [Outcome.COMPLETED] * 3
    assert result.records[0].environment["worker_start"] == "cold"
    assert marked_processes(run_facts(result.run.path)["run_uid"]) == []


def test_a_process_that_outlives_its_trial_is_ended_and_named(sweep: Sweeps) -> None:
    (record,) = sweep("engine_args: {fail: leave_child@close}\n").records
    assert record.outcome is Outcome.COMPLETED
    assert any("outlived the trial" in warning for warning in record.warnings)
    assert sweep.heard.info is not None
    assert marked_processes(run_facts(sweep.heard.info.run.path)["run_uid"]) == []


def sweep_without_measure() -> str:
    return "model: org/name\nengine: fake\nprompts: {synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}\n"


def _parent(pid: int) -> int:
    return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
