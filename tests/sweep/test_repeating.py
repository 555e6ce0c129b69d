"""A trial that something disturbed is run once more: when, which attempt stands, and on a machine that is busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.analysis.test_disturbance import STEADY, UNSTEADY, make_hosted
from tests.cli.process import BASE
from tests.execution.bench import wait_until
from tests.records.builders import make_failure, make_record
from tests.sweep.conftest import Recorder, Sweeps
from vbench.cli.wording import again_text
from vbench.execution.trials import TrialRunner
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.space import Point
from vbench.spec.types import MeasureSpec
from vbench.sweep.jobs import Job, run_job
from vbench.sweep.repeating import MOST_IN_ROW, Repeats

QUIET = make_hosted()
CROWDED = make_hosted(STEADY, busy_cores=7.9, foreign_cores=3.0)
LESS = make_hosted(STEADY, busy_cores=7.9, foreign_cores=1.0)
MORE = make_hosted(STEADY, busy_cores=8.0, foreign_cores=5.0)


class Scripted:
    """A runner that hands out records one after another; `said` is what was asked of it."""

    def __init__(self, folder: Path, records: Sequence[TrialRecord]) -> None:
        self.records = list(records)
        self.said: list[str] = []
        self.spec = SimpleNamespace(measure=MeasureSpec())
        self.samples_csv = folder / "samples.csv"
        self.run_folder = SimpleNamespace(samples=lambda number: self.samples_csv)

    def run(self, *asked: Any, **options: Any) -> TrialRecord:
        stopper = asked[4] if len(asked) > 4 else None
        self.said.append("run" if stopper is None else "run with a stopper")
        self.samples_csv.write_text(f"attempt {self.said.count('run') + self.said.count('run with a stopper')}")
        return self.records.pop(0)

    def release(self) -> None:
        self.said.append("release")


class Notes(list[str]):
    """What a reader should know."""


def run(
    folder: Path, *records: TrialRecord, is_on: bool = True, may_start: bool = True, origin: Any = "search",
    notes: Notes | None = None, repeats: Repeats | None = None,
) -> tuple[TrialRecord, Scripted, list[dict[str, Any]]]:  # fmt: skip
    runner, events = Scripted(folder, records), list[dict[str, Any]]()
    said = notes if notes is not None else Notes()
    repeats = repeats or Repeats(is_on=is_on, may_start=lambda gpus: may_start, say=said.append)
    stopper: Any = object()
    job = Job(number=0, point=Point(parameters={}, settings={}), origin=origin, stopper=stopper, repeats=repeats)
    return run_job(cast("TrialRunner", runner), job, events.append), runner, events


def test_a_quiet_trial_is_run_once(tmp_path: Path) -> None:
    record, runner, events = run(tmp_path, QUIET)

    assert record is QUIET
    assert (runner.said, events) == (["run with a stopper"], [])


def test_a_spoiled_one_is_run_once_more_and_the_second_counts(tmp_path: Path) -> None:
    record, runner, events = run(tmp_path, CROWDED, QUIET)

    assert runner.said == ["run with a stopper", "release", "run"]
    assert runner.samples_csv.read_text() == "attempt 2"
    assert record.passes == QUIET.passes
    assert record.spoiled is not None
    assert record.spoiled.passes == CROWDED.passes
    assert record.spoiled.measurements == CROWDED.measurements
    assert record.spoiled.duration_s == CROWDED.duration_s
    assert record.spoiled.why[0].startswith("other processes took 3.0 of 8 cores during timed passes (none was free")
    assert record.duration_s == (CROWDED.duration_s or 0) + (QUIET.duration_s or 0)
    assert record.warnings == QUIET.warnings
    assert again_text(events[0]) == "again: disturbed, as other processes took 3.0 of 8 cores"
    assert TrialRecord.model_validate_json(record.to_json_line()).spoiled == record.spoiled


def test_one_on_a_reused_engine_gets_the_engine_again(tmp_path: Path) -> None:
    reused = CROWDED.model_copy(update={"environment": {"worker_start": "reused"}})

    assert run(tmp_path, reused, QUIET)[1].said == ["run with a stopper", "run"]


@pytest.mark.parametrize(("second", "stands", "which"), [(LESS, LESS, "second"), (MORE, CROWDED, "first")])
def test_of_two_disturbed_ones_the_less_disturbed_stands(
    tmp_path: Path, second: TrialRecord, stands: TrialRecord, which: str
) -> None:
    record, runner, _ = run(tmp_path, CROWDED, second)

    assert record.phases == stands.phases
    assert record.warnings[-1].startswith("disturbed in both attempts (other processes took 3.0 of 8 cores; then ")
    assert f"the {which} one, disturbed less, stands" in record.warnings[-1]
    assert runner.samples_csv.read_text() == ("attempt 1" if which == "first" else "attempt 2")
    assert record.spoiled is not None
    assert record.duration_s == (CROWDED.duration_s or 0) + (second.duration_s or 0)


def test_one_that_goes_over_its_memory_budget_isnt_saved_by_the_first(tmp_path: Path) -> None:
    over = QUIET.model_copy(update={"outcome": Outcome.OVER_BUDGET, "failure": make_failure("over_budget")})

    record, _, _ = run(tmp_path, CROWDED, over)

    assert (record.outcome, record.passes) == (Outcome.OVER_BUDGET, over.passes)
    assert record.spoiled is not None


def stopped(record: TrialRecord) -> TrialRecord:
    """The same machine, but stopped early."""
    return record.model_copy(update={"outcome": Outcome.PRUNED, "passes": [], "measurements": {}})


def test_one_that_was_stopped_while_others_took_the_cores_gets_another_chance(tmp_path: Path) -> None:
    record, runner, _ = run(tmp_path, stopped(CROWDED), QUIET)

    assert runner.said == ["run with a stopper", "release", "run with a stopper"]
    assert (record.outcome, record.passes, record.warnings) == (Outcome.COMPLETED, QUIET.passes, QUIET.warnings)
    assert record.spoiled is not None
    assert record.spoiled.why[0].startswith("other processes took 3.0 of 8 cores while it ran (none was free")

    twice, _, _ = run(tmp_path, stopped(CROWDED), stopped(QUIET))
    assert (twice.outcome, twice.warnings) == (Outcome.PRUNED, QUIET.warnings)

    disturbed, _, _ = run(tmp_path, stopped(CROWDED), stopped(MORE))
    assert disturbed.outcome is Outcome.PRUNED
    assert "the second one stands" in disturbed.warnings[-1]

    quiet, runner, _ = run(tmp_path, stopped(QUIET))
    assert (quiet.warnings, runner.said) == (QUIET.warnings, ["run with a stopper"])


def test_one_that_was_stopped_and_cant_be_run_again_says_what_else_ran(tmp_path: Path) -> None:
    record, _, _ = run(tmp_path, stopped(CROWDED), is_on=False)

    assert record.warnings[-1].startswith("stopped early while other processes took 3.0 of 8 cores: on a quiet machine")


def test_a_second_attempt_that_fails_leaves_the_first(tmp_path: Path) -> None:
    failed = make_record(0, None, outcome=Outcome.TIMED_OUT, failure=make_failure())

    record, _, _ = run(tmp_path, CROWDED, failed)

    assert (record.outcome, record.passes, record.spoiled) == (Outcome.COMPLETED, CROWDED.passes, None)
    assert record.warnings[-1] == (
        "measured again, as other processes took 3.0 of 8 cores; the second attempt ended as timed out, so the first "
        "one stands"
    )


@pytest.mark.parametrize(
    "options", [{"is_on": False}, {"may_start": False}, {"origin": "interference"}], ids=["off", "no time", "check"]
)
def test_not_where_it_isnt_wanted(tmp_path: Path, options: dict[str, Any]) -> None:
    crowded = CROWDED.model_copy(update={"origin": options.get("origin", "search")})

    record, runner, _ = run(tmp_path, crowded, **options)

    assert record is crowded
    assert runner.said == ["run with a stopper"]


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.OVER_BUDGET])
def test_not_what_ended_otherwise(tmp_path: Path, outcome: Outcome) -> None:
    ended = CROWDED.model_copy(update={"outcome": outcome})

    assert run(tmp_path, ended)[0] is ended


def test_a_machine_that_is_never_quiet_is_given_up(tmp_path: Path) -> None:
    notes = Notes()
    repeats = Repeats(is_on=True, may_start=lambda gpus: True, say=notes.append)
    for _ in range(MOST_IN_ROW):
        _, runner, _ = run(tmp_path, CROWDED, LESS, repeats=repeats)
        assert len(runner.records) == 0
    assert len(notes) == 1
    words = "this machine is hardly ever quiet: 3 trials in a row were disturbed in both attempts (last "
    assert notes[0].startswith(words)
    assert run(tmp_path, CROWDED, repeats=repeats)[0] is CROWDED
    assert len(notes) == 1

    assert run(tmp_path, QUIET, repeats=repeats)[0] is QUIET  # it has become quiet, and is trusted again
    assert run(tmp_path, CROWDED, QUIET, repeats=repeats)[0].spoiled is not None
    assert len(notes) == 1


def test_a_quiet_second_attempt_begins_the_count_anew(tmp_path: Path) -> None:
    notes = Notes()
    repeats = Repeats(is_on=True, may_start=lambda gpus: True, say=notes.append)
    for second in (LESS, LESS, QUIET, LESS, LESS):
        run(tmp_path, CROWDED, second, repeats=repeats)
    assert notes == []


def test_free_cores_and_passes_that_agree_are_left_alone(tmp_path: Path) -> None:
    noted = make_hosted(STEADY, busy_cores=5.0, foreign_cores=3.0)
    spoiled = make_hosted(UNSTEADY, busy_cores=5.0, foreign_cores=3.0)

    assert run(tmp_path, noted)[0] is noted
    assert run(tmp_path, spoiled, QUIET)[0].spoiled is not None


@pytest.fixture
def one_core() -> Iterator[None]:
    """Everything on one core, so that one process too many disturbs whatever the machine is."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


class Spinner(Recorder):
    """Ends a process that spins once the sweep says that it tries again."""

    def __init__(self) -> None:
        super().__init__(self.heard)
        self.again: list[str] = []
        self.hellos = 0
        self.process = subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=-1)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def heard(self, message: dict[str, Any]) -> None:
        self.hellos += message["event"] == "hello"
        if message["event"] == "again":
            self.again.append(again_text(message))
            self.end()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.usefixtures("one_core")
def test_on_a_busy_core_a_trial_is_flagged_and_run_once_more(sweep: Sweeps) -> None:
    """The fake engine sleeps through its passes of about 0.8 s each, while a process beside it spins."""
    listener = Spinner()
    try:
        base = BASE.replace(", repeat_spoiled: false", "")
        result = sweep("engine_args: {sleep_scale: 8.0, noise: 0.3, seed: 1}\n", listener=listener, base=base)
    finally:
        listener.end()
    (record,) = result.records

    if all(one.host is None for one in record.phases):
        pytest.skip("this machine doesn't show what it does")
    assert listener.again[0].startswith("again: disturbed, as other processes took ")
    assert (len(listener.again), listener.hellos) == (1, 2)
    assert record.spoiled is not None
    assert "of 1 core during timed passes (" in record.spoiled.why[0]
    assert record.duration_s is not None
    assert record.duration_s > (record.spoiled.duration_s or 0.0) + 1.0
    assert listener.said.count("trial_started 0") == 1
    # Others may have disturbed the second attempt here; then it says so.
    assert not any(one.startswith("disturbed in both") for one in record.warnings) or len(record.warnings) > 1
    assert wait_until(lambda: listener.process.poll() is not None)
