"""Trials side by side, each in a slot of its own: they overlap, and nothing is lost, doubled or left behind."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.process import BASE, DEADLINE_S, Vbench, records_of, run_facts, wait_for
from tests.sweep.conftest import Recorder, Sweeps
from tests.sweep.test_phases import of_origin
from vbench.errors import MachineError
from vbench.execution.keepers import Keepers
from vbench.execution.leftovers import marked_processes
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.sweep import interference, slot_places
from vbench.sweep.interference import BESIDE, beside_of
from vbench.sweep.jobs import read_pending
from vbench.sweep.slot_places import Place, core_places, cores_of

SPACE = """\
parameters: {max_num_seqs: [1, 2, 4], block_size: [16, 32, 64]}
baseline: {}
"""
TWO = f"""\
engine_args: {{sleep_scale: 1.0}}
{SPACE}search: {{method: random, trials: 7, parallel_trials: 2, seed: 3}}
"""
"""A pass takes from 0.05 to 0.34 s."""
LONG = BASE + TWO.replace("sleep_scale: 1.0", "sleep_scale: 3.0").replace("trials: 7", "trials: 5").replace(
    "baseline: {}", "baseline: {max_num_seqs: 1}"
)
"""The check's passes take 2 s, so that they meet on a busy machine too."""
two_cores = pytest.mark.skipif(len(cores_of(os.sched_getaffinity(0))) < 2, reason="a single core has no two places")


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of everything, on whatever machine; and a check that always passes."""
    one = min(os.sched_getaffinity(0))
    monkeypatch.setattr(slot_places, "cores_of", lambda _: [[one], [max(os.sched_getaffinity(0))]])
    monkeypatch.setattr(interference, "LEAST_OVERLAP", 0.0)  # a busy machine starts the two at different times


def span(record: TrialRecord) -> tuple[float, float]:
    """From the first timed pass's begin to the last one's end, by the session's clock."""
    timed = [one for one in record.phases if one.name == "pass"]
    began_s = beside_of(record)["began_s"]
    return began_s + timed[0].start_s, began_s + timed[-1].end_s


def overlapping(records: Sequence[TrialRecord]) -> list[tuple[int, int]]:
    """Pairs of trials whose timed passes were made partly at the same time."""
    spans = {one.trial: span(one) for one in records}
    return [
        (first, second)
        for first in sorted(spans)
        for second in sorted(spans)
        if first < second and max(spans[first][0], spans[second][0]) < min(spans[first][1], spans[second][1])
    ]


def test_they_overlap_and_each_has_its_own_core(sweep: Sweeps) -> None:
    result = sweep(TWO)
    assert (result.status, sweep.heard.info is not None) == ("finished", True)
    assert sorted(one.trial for one in result.records) == list(range(9))
    (first,) = of_origin(result, "baseline")
    assert BESIDE not in first.environment
    checks, own = of_origin(result, "interference"), of_origin(result, "search")
    assert [one.repeat_of for one in checks] == [0, 0]
    assert len(overlapping(checks)) == 1
    assert len(own) == 6
    assert len(overlapping(own)) >= 3
    by_slot = [[one for one in [*checks, *own] if beside_of(one)["slot"] == slot] for slot in (1, 2)]
    assert all(len(each) >= 2 for each in by_slot)
    assert all(overlapping(each) == [] for each in by_slot)
    names = {beside_of(one)["place"] for one in by_slot[0]}
    assert len(names) == 1
    assert all(f"ran beside other trials, on {names.copy().pop()}" in one.environment["notes"] for one in by_slot[0])
    assert marked_processes(run_facts(result.run.path)["run_uid"]) == []


def test_a_slot_is_confined_to_its_processors(sweep: Sweeps) -> None:
    seen: dict[int, str] = {}

    def look(message: dict[str, Any]) -> None:
        if message["event"] == "hello":
            processors = Path("/proc", str(message["pid"]), "status").read_text()
            allowed = next(line for line in processors.splitlines() if line.startswith("Cpus_allowed_list:"))
            seen[message["trial"]] = allowed.split(":")[1].strip()

    result = sweep(TWO, listener=Recorder(look))
    for record in result.records:
        place = beside_of(record).get("place")
        if place is not None:
            assert seen[record.trial] == place.removeprefix("processor ")


def test_listeners_hear_of_it_in_the_main_thread_alone(sweep: Sweeps) -> None:
    threads: set[int] = set()
    sweep(TWO, listener=Recorder(lambda _: threads.add(threading.get_ident())))
    assert threads == {threading.get_ident()}


def test_what_takes_two_gpus_runs_alone(sweep: Sweeps) -> None:
    space = SPACE.replace("{max_num_seqs", "{replicas: [1, 2], max_num_seqs")
    result = sweep(TWO.replace(SPACE, space).replace("trials: 7", "trials: 9"))
    wide = [one for one in result.records if one.config.get("replicas") == 2]
    beside = [one for one in result.records if one.config.get("replicas") != 2 and one.origin == "search"]
    assert wide
    assert beside
    assert all(one.outcome is Outcome.COMPLETED for one in wide)
    assert all(BESIDE not in one.environment for one in wide)
    assert all(BESIDE in one.environment for one in beside)
    for one in wide:  # whoever was told of before it started has ended, and nobody starts until it has
        at = sweep.heard.said.index(f"trial_started {one.trial}")
        assert sweep.heard.said[at + 1] == f"trial_finished {one.trial}"
        before = sweep.heard.said[:at]
        started = {said.split()[1] for said in before if said.startswith("trial_started")}
        assert started == {said.split()[1] for said in before if said.startswith("trial_finished")}


def test_an_engine_is_reused_in_its_own_slot(sweep: Sweeps) -> None:
    space = """\
parameters: {block_size: [16, 32], sampling.temperature: [0.0, 0.25, 0.5, 0.75]}
baseline: {}
"""
    result = sweep(TWO.replace(SPACE, space).replace("trials: 7", "trials: 9"))
    by_number = {one.trial: one for one in result.records}
    reused = [one for one in result.records if one.environment["worker_start"] == "reused"]
    assert reused
    for one in reused:
        (note,) = [note for note in one.environment["notes"] if note.startswith("the engine was started by trial")]
        starter = by_number[int(note.split()[-1])]
        assert starter.config["block_size"] == one.config["block_size"]
        assert beside_of(starter).get("slot") == beside_of(one).get("slot")


def test_finals_run_one_at_a_time(sweep: Sweeps) -> None:
    noisy = TWO.replace("sleep_scale: 1.0", "sleep_scale: 0.2, noise: 0.5, seed: 1")
    result = sweep(noisy.replace("seed: 3}", "seed: 3, finalists: 2, final_rounds: 1}"))
    finals = of_origin(result, "final")
    assert len(finals) == 2
    assert all(BESIDE not in one.environment for one in finals)


def test_one_slot_that_fails_ends_the_sweep_and_all_others(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Keepers.running

    def failing(self: Keepers, *args: Any, **kwargs: Any) -> Any:
        if self._run_uid.endswith("/2"):
            raise MachineError("this slot's keeper can't be started")
        return running(self, *args, **kwargs)

    monkeypatch.setattr(Keepers, "running", failing)
    with pytest.raises(MachineError, match="this slot's keeper"):
        sweep(TWO)
    assert sweep.heard.info is not None
    run = sweep.heard.info.run
    assert (sweep.heard.status, run_facts(run.path)["status"]) == ("interrupted", "interrupted")
    assert marked_processes(run_facts(run.path)["run_uid"]) == []
    assert [one["trial"] for one in read_pending(run)] == [1, 2]
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("slot")] == []

    monkeypatch.setattr(Keepers, "running", running)
    whole = sweep(TWO)
    assert sorted(one.trial for one in whole.records) == list(range(9))


def test_a_trial_that_crashes_leaves_its_neighbour_alone(sweep: Sweeps) -> None:
    space = "parameters: {max_num_seqs: [1, 2, 4], block_size: [16, 32, 64], fail: [none, kill@pass]}\nbaseline: {}\n"
    result = sweep(TWO.replace(SPACE, space).replace("trials: 7", "trials: 9"))
    crashed = [one for one in result.records if one.parameters.get("fail") == "kill@pass"]
    assert crashed
    assert {one.outcome for one in crashed} == {Outcome.CRASHED}
    assert {one.outcome for one in result.records if one not in crashed} == {Outcome.COMPLETED}


def test_a_keeper_that_dies_costs_nobody_a_trial(sweep: Sweeps) -> None:
    killed: list[int] = []

    def kill(message: dict[str, Any]) -> None:
        if message["event"] == "phase" and message["name"] == "pass" and message["trial"] > 2 and not killed:
            assert sweep.heard.info is not None
            marked = marked_processes(f"{run_facts(sweep.heard.info.run.path)['run_uid']}/1")
            killed.extend(pid for pid in marked if psutil.Process(pid).ppid() == os.getpid())
            os.kill(killed[0], signal.SIGKILL)

    result = sweep(TWO, listener=Recorder(kill))
    assert len(killed) == 1
    assert sorted(one.trial for one in result.records) == list(range(9))
    assert {one.outcome for one in result.records} == {Outcome.COMPLETED}


def test_an_interrupt_ends_both_and_both_are_repeated(sweep: Sweeps) -> None:
    heard: set[int] = set()

    def cut(message: dict[str, Any]) -> None:
        if message["event"] == "phase" and message["name"] == "pass" and message["trial"] >= 3:
            heard.add(message["trial"])
            if len(heard) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(TWO, listener=Recorder(cut))
    assert sweep.heard.info is not None
    run = sweep.heard.info.run
    assert marked_processes(run_facts(run.path)["run_uid"]) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("slot")] == []
    pending = read_pending(run)
    assert [one["trial"] for one in pending] == [3, 4]

    whole = sweep(TWO)
    assert whole.run.path == run.path
    assert sorted(one.trial for one in whole.records) == list(range(9))
    again = sorted(whole.records, key=lambda one: one.trial)[3:5]
    assert [{name: str(one) for name, one in record.parameters.items()} for record in again] == [
        one["parameters"] for one in pending
    ]
    assert len(of_origin(whole, "interference")) == 2  # what the check found is remembered
    assert "trials run side by side" in sweep.heard.notes


@two_cores
def test_killed_with_two_running_both_are_repeated(vbench: Vbench) -> None:
    path = vbench.write(LONG)
    process = vbench.start("sweep", path)
    try:
        wait_for(lambda: pending_origins(vbench) == ["search", "search"], "two running trials")
        uid = run_facts(vbench.run())["run_uid"]
        for slot in (1, 2):
            wait_for(lambda: len(marked_processes(f"{uid}/{slot}")) >= 2, "a keeper and a trial")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE_S)
        wait_for(lambda: marked_processes(uid) == [], "the end of all that was started")
        before = records_of(vbench.run())
        pending = [one for one in read_pending_of(vbench) if one not in {record["trial"] for record in before}]
        assert len(pending) == 2
    finally:
        process.kill()
        process.communicate()
    vbench("sweep", path, check=0)
    records = records_of(vbench.run())
    assert sorted(one["trial"] for one in records) == list(range(len(records)))
    assert records[: len(before)] == before
    own = [str(one["config"]) for one in records if one["origin"] != "interference"]
    assert (len(own), len(set(own))) == (5, 5)
    assert list((vbench.folder / "tmp").glob("vbench-*")) == []


@two_cores
def test_ctrl_c_ends_both(vbench: Vbench) -> None:
    path = vbench.write(LONG)
    process = vbench.start("sweep", path)
    try:
        wait_for(lambda: pending_origins(vbench) == ["interference", "interference"], "the check")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("stopped; what was measured is kept")
    assert "Traceback" not in errors
    assert marked_processes(run_facts(vbench.run())["run_uid"]) == []
    assert list((vbench.folder / "tmp").glob("vbench-*")) == []


def test_fewer_places_than_asked_for_are_said(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    result = sweep(TWO.replace("parallel_trials: 2", "parallel_trials: 5").replace("trials: 7", "trials: 3"))
    assert "parallel_trials: 5, but here is only 2 cores: 2 side by side" in sweep.heard.notes
    assert {beside_of(one)["of"] for one in result.records if beside_of(one)} == {2}

    monkeypatch.setattr(slot_places, "cores_of", lambda _: [[0, 1]])
    alone = sweep(TWO.replace("trials: 7", "trials: 3"), new=True)
    assert "parallel_trials: 2, but here is only 1 core: trials run one at a time" in sweep.heard.notes
    assert [one.origin for one in alone.records] == ["baseline", "search", "search"]


def test_hyperthreads_of_a_core_stay_together(tmp_path: Path) -> None:
    for processor, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        (tmp_path / str(processor)).write_text(f"{siblings}\n")
    cores = cores_of([0, 1, 2, 3, 9], str(tmp_path / "{}"))
    assert cores == [[0, 2], [1, 3], [9]]
    assert core_places(cores, 2) == [
        Place(name="processors 0, 2", cores=frozenset((0, 2))),
        Place(name="processors 1, 3, 9", cores=frozenset((1, 3, 9))),
    ]


def pending_origins(vbench: Vbench) -> list[str]:
    paths = [run / "pending.json" for run in vbench.runs()]
    try:
        return [one["origin"] for one in json.loads(paths[-1].read_text())["trials"]] if paths else []
    except FileNotFoundError:
        return []


def read_pending_of(vbench: Vbench) -> list[int]:
    return [one["trial"] for one in json.loads((vbench.run() / "pending.json").read_text())["trials"]]
