"""When no further trial may start, and what a session writes of itself. The clocks are the tests' own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.runs import RunFolder, create
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep import ledger
from vbench.sweep.budget import Budget
from vbench.sweep.limits import Left, Limits, limits_of, session_start

FILE = "model: org/name\nengine: fake\nprompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\n"
HOUR = 3600.0
NOON = 1_800_000_000.0
KAGGLE = {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}


class Clock:
    """Both clocks: they go on together, but the wall clock may be set."""

    def __init__(self) -> None:
        self.now, self.wall_offset = 1000.0, NOON - 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset


class Sittings:
    """Budgets on one run, one after another, with trials that take as long as they are said to."""

    def __init__(self, run: RunFolder, spec: SweepSpec) -> None:
        self.run, self.spec, self.clock = run, spec, Clock()
        self.records: list[TrialRecord] = []

    def budget(self, limits: Limits | None = None) -> Budget:
        return Budget(
            self.spec, self.run, limits, records=list(self.records), clock=self.clock, wall=self.clock.wall
        )  # fmt: skip

    def try_one(self, budget: Budget, seconds: float, gpus: int = 1, **changes: Any) -> TrialRecord:
        number = len(self.records)
        budget.trial_started(number, gpus)
        self.clock.now += seconds
        record = make_record(number, duration_s=seconds, **changes)
        self.records.append(record)
        budget.trial_ended(record, gpus)
        return record


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    return parse_spec(FILE, tmp_path / "small.yaml")


@pytest.fixture
def sittings(tmp_path: Path, spec: SweepSpec) -> Sittings:
    return Sittings(create(tmp_path / "results", "small", datetime(2026, 11, 3, tzinfo=UTC)), spec)


def test_without_limits_trials_may_always_start(sittings: Sittings) -> None:
    with sittings.budget() as budget:
        sittings.try_one(budget, 1e6)
        assert budget.may_start(8) is None
        assert budget.left() == Left(time_s=None, gpu_s=None, session_s=None)
        assert budget.left().wall_s() is None


def test_the_files_limits_are_taken(tmp_path: Path) -> None:
    spec = parse_spec(f"{FILE}search: {{timeout: 2h, gpu_hours: 0.5}}\n", tmp_path / "small.yaml")
    assert limits_of(spec) == Limits(timeout_s=2 * HOUR, gpu_hours=0.5)


class TestTime:
    def test_is_spent_over_all_sessions(self, sittings: Sittings) -> None:
        with sittings.budget(Limits(timeout_s=100)) as budget:
            sittings.clock.now += 10  # starting the engine counts too
            sittings.try_one(budget, 50)
            assert budget.may_start() is None
        sittings.clock.now += 1e6  # nobody is there
        with sittings.budget(Limits(timeout_s=100)) as budget:
            assert budget.spent_s == 60
            assert budget.left().time_s == 40
            sittings.try_one(budget, 40)
            assert budget.may_start() == "out_of_time"
            assert budget.left().time_s == 0

    def test_a_run_of_before_there_was_a_ledger_has_its_own_account(self, tmp_path: Path, spec: SweepSpec) -> None:
        run = make_run(tmp_path, [make_record(0, duration_s=30.0)], spent_s=45.5)
        sittings = Sittings(run, spec)
        sittings.records = [make_record(0, duration_s=30.0)]
        with sittings.budget() as budget:
            assert (budget.spent_s, budget.spent_gpu_s) == (45.5, 30.0)
        with sittings.budget() as budget:  # now that there is a ledger
            assert (budget.spent_s, budget.spent_gpu_s) == (45.5, 30.0)


class TestGpuHours:
    def test_are_trials_times_the_gpus_they_take(self, sittings: Sittings) -> None:
        with sittings.budget(Limits(gpu_hours=1)) as budget:
            sittings.clock.now += 1e4  # what isn't a trial takes no GPU
            sittings.try_one(budget, 600, gpus=2)
            sittings.try_one(budget, 300)
            assert budget.spent_gpu_s == 1500
            assert budget.left().gpu_s == 2100
            assert budget.left().wall_s(gpus=2) == 1050

    def test_end_before_a_trial_that_would_pass_them(self, sittings: Sittings) -> None:
        with sittings.budget(Limits(gpu_hours=0.5)) as budget:
            sittings.try_one(budget, 600)
            sittings.try_one(budget, 600)
            assert budget.may_start(1) is None  # 600 s are left, and the longest took as much
            assert budget.may_start(2) == "gpu_hours"
            sittings.try_one(budget, 1)
            assert budget.may_start(1) == "gpu_hours"

    def test_what_running_trials_will_take_is_spoken_for(self, sittings: Sittings) -> None:
        with sittings.budget(Limits(gpu_hours=0.5)) as budget:
            sittings.try_one(budget, 600)
            budget.trial_started(7)
            assert budget.may_start() is None  # 1200 s are left: this one's 600 and the next one's
            budget.trial_started(8)
            assert budget.may_start() == "gpu_hours"
            budget.trial_dropped(8)
            assert budget.may_start() is None

    def test_count_over_sessions_whatever_ended_them(self, sittings: Sittings) -> None:
        with sittings.budget() as budget:
            sittings.try_one(budget, 100)
        killed = sittings.budget()
        killed.__enter__()
        sittings.try_one(killed, 200)
        sittings.try_one(killed, 3)  # written within seconds of the line before it: the records have to tell
        with sittings.budget(Limits(gpu_hours=1)) as budget:
            assert budget.spent_gpu_s == 303
        assert [one.gpu_s for one in ledger.read(sittings.run)] == [100, 203, 0]

    def test_a_trial_that_was_cut_off_is_paid_for(self, sittings: Sittings) -> None:
        budget = sittings.budget()
        budget.__enter__()
        budget.trial_started(0, 2)
        sittings.clock.now += 30
        assert budget.spent_gpu_s == 60
        budget.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
        (line,) = ledger.read(sittings.run)
        assert (line.gpu_s, line.engine_s, line.trials, line.records, line.status) == (60, 30, 1, 0, "interrupted")
        assert sittings.budget().spent_gpu_s == 60

    def test_a_refused_trial_costs_nothing(self, sittings: Sittings) -> None:
        with sittings.budget() as budget:
            budget.trial_ended(make_record(0, None, outcome=Outcome.INFEASIBLE, duration_s=None))
            assert budget.spent_gpu_s == 0
        (line,) = ledger.read(sittings.run)
        assert (line.trials, line.records) == (0, 1)

    def test_are_read_off_the_record_where_nobody_says(self, sittings: Sittings) -> None:
        with sittings.budget() as budget:
            two: dict[str, Any] = {"config": {"tensor_parallel_size": 2}, "hardware": {"gpus": [{}, {}]}}
            budget.trial_ended(make_record(0, duration_s=10.0, **two))
            assert budget.spent_gpu_s == 20


class TestSession:
    LIMITS = Limits(session_s=12 * HOUR, session_margin_s=HOUR / 4)

    def test_ends_with_its_margin(self, sittings: Sittings) -> None:
        with sittings.budget(self.LIMITS) as budget:
            assert budget.left().session_s == 11.75 * HOUR
            sittings.clock.now += 11.75 * HOUR - 1
            assert budget.may_start() is None  # nothing is known of how long a trial takes
            sittings.clock.now += 1
            assert budget.may_start() == "session_end"

    def test_began_before_vbench_did(self, sittings: Sittings) -> None:
        limits = Limits(session_s=12 * HOUR, session_margin_s=0, session_started=NOON - 5 * HOUR)
        with sittings.budget(limits) as budget:
            assert budget.left().session_s == 7 * HOUR

    def test_a_clock_that_is_set_changes_nothing(self, sittings: Sittings) -> None:
        with sittings.budget(self.LIMITS) as budget:
            sittings.clock.wall_offset += 24 * HOUR
            assert budget.left().session_s == 11.75 * HOUR

    def test_of_few_trials_the_longest_says_whether_another_fits(self, sittings: Sittings) -> None:
        with sittings.budget(self.LIMITS) as budget:
            for seconds in (100, 400, 200):
                sittings.try_one(budget, seconds)
            assert budget.expected_trial_s() == 400
            sittings.clock.now = 1000 + 11.75 * HOUR - 400
            assert budget.may_start() is None
            sittings.clock.now += 1
            assert budget.may_start() == "session_end"

    def test_of_many_the_90th_percentile_does(self, sittings: Sittings) -> None:
        with sittings.budget(self.LIMITS) as budget:
            for seconds in (10, 50, 20, 40, 30, 60, 70, 80, 90, 1000):
                sittings.try_one(budget, seconds)
            assert budget.expected_trial_s() == 90

    def test_trials_of_earlier_sessions_count_and_short_failures_do_not(self, sittings: Sittings) -> None:
        with sittings.budget() as budget:
            sittings.try_one(budget, 300)
            for _ in range(9):
                sittings.try_one(budget, 2, outcome=Outcome.CRASHED)
        assert sittings.budget(self.LIMITS).expected_trial_s() == 300

    def test_failures_count_where_there_is_nothing_else(self, sittings: Sittings) -> None:
        with sittings.budget(self.LIMITS) as budget:
            sittings.try_one(budget, 7, outcome=Outcome.PRUNED)
            assert budget.expected_trial_s() == 7

    def test_the_next_session_has_its_own_time(self, sittings: Sittings) -> None:
        with sittings.budget(self.LIMITS):
            sittings.clock.now += 11.9 * HOUR
        with sittings.budget(self.LIMITS) as budget:
            assert budget.may_start() is None


class TestStartOfTheSession:
    def proc(self, folder: Path, started_ticks: int, uptime_s: float) -> Path:
        (folder / "1").mkdir(parents=True)
        # Field 22 of stat(5) is the start; the name in brackets may hold spaces and brackets itself.
        fields = ["S", *["0"] * 18, str(started_ticks), "0", "0"]
        (folder / "1" / "stat").write_text(f"1 (tini (init) x) {' '.join(fields)}\n")
        (folder / "uptime").write_text(f"{uptime_s} 1.0\n")
        return folder

    @pytest.fixture(autouse=True)
    def _hundred_ticks_a_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.sysconf", lambda name: {"SC_CLK_TCK": 100}[name])

    def start(self, proc: Path, environment: dict[str, str] | None = None) -> float:
        chosen = KAGGLE if environment is None else environment
        return session_start(12 * HOUR, environment=chosen, proc=proc, wall=lambda: NOON)

    def test_is_that_of_a_kaggle_container(self, tmp_path: Path) -> None:
        # Started 100 s after boot, looked at 1900 s after boot: half an hour ago.
        assert self.start(self.proc(tmp_path, 10_000, 1900.0)) == NOON - 1800

    def test_is_now_elsewhere(self, tmp_path: Path) -> None:
        assert self.start(self.proc(tmp_path, 10_000, 1900.0), {}) == NOON

    def test_is_now_where_the_machine_has_been_up_for_long(self, tmp_path: Path) -> None:
        assert self.start(self.proc(tmp_path, 0, 12 * HOUR)) == NOON

    def test_is_now_where_the_kernel_says_nothing(self, tmp_path: Path) -> None:
        assert self.start(tmp_path / "nowhere") == NOON


class TestTheLine:
    def test_is_there_from_the_start_and_says_how_it_ended(self, sittings: Sittings) -> None:
        with sittings.budget() as budget:
            (line,) = ledger.read(sittings.run)
            assert (line.session, line.ended_at, line.status) == (1, None, "running")
            sittings.try_one(budget, 60)
            budget.status = "finished"
        (line,) = ledger.read(sittings.run)
        assert (line.trials, line.wall_s, line.engine_s, line.status) == (1, 60, 60, "finished")
        # NOON is 2027-01-15 08:00:00 UTC, and a minute passed.
        assert (line.started_at, line.ended_at) == ("2027-01-15T08:00:00+00:00", "2027-01-15T08:01:00+00:00")

    def test_is_written_anew_at_most_every_few_seconds(self, sittings: Sittings) -> None:
        with sittings.budget() as budget:
            before = sittings.run.ledger_jsonl.stat().st_mtime_ns, sittings.run.ledger_jsonl.stat().st_ino
            for _ in range(4):
                sittings.try_one(budget, 1)
            after = sittings.run.ledger_jsonl.stat().st_mtime_ns, sittings.run.ledger_jsonl.stat().st_ino
            assert before == after
            sittings.try_one(budget, 1)
            assert ledger.read(sittings.run)[0].trials == 5

    def test_each_session_has_one(self, sittings: Sittings) -> None:
        for _ in range(3):
            with sittings.budget() as budget:
                sittings.try_one(budget, 10)
        lines = ledger.read(sittings.run)
        assert [(line.session, line.first_trial, line.trials) for line in lines] == [(1, 0, 1), (2, 1, 1), (3, 2, 1)]

    def test_a_disk_that_refuses_it_does_not_end_the_sweep(self, sittings: Sittings) -> None:
        sittings.run.ledger_jsonl.mkdir()
        (sittings.run.ledger_jsonl / "in the way").touch()
        with sittings.budget() as budget:
            sittings.try_one(budget, 10)
            assert budget.spent_gpu_s == 10
        assert "ledger.jsonl can't be read" in budget.problems[0]
