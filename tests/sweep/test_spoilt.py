"""Trials that the machine spoilt, in a sweep that goes on: nothing is decided by them, none is missing at the end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.cli.process import BASE
from tests.sweep.conftest import Sweeps
from tests.sweep.test_interference import ALONE, THROUGHPUT, both, trial
from vbench.analysis.answer import find_answer
from vbench.analysis.coded import coded
from vbench.analysis.effects import effects
from vbench.analysis.search_work import count_trials
from vbench.errors import MachineError
from vbench.execution.runner import OnEvent
from vbench.execution.trials import TrialRunner
from vbench.outcome import Outcome
from vbench.records.record import Origin, TrialRecord
from vbench.report.summary import summary_facts
from vbench.spec.loader import parse_spec
from vbench.sweep import jobs
from vbench.sweep.interference import known
from vbench.sweep.jobs import Job
from vbench.sweep.spoilt import Spoilt

FINALS = """\
engine_args: {noise: 0.02}
parameters: {max_num_seqs: [1, 2], seed: [1, 2]}
search: {method: grid, finalists: 2, final_rounds: 2, machine_faults: go_on}
"""


def test_a_final_that_the_machine_spoilt_is_made_once_more(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    run_job = jobs.run_job
    spoilt: list[int] = []

    def run(runner: TrialRunner, job: Job, on_event: OnEvent) -> TrialRecord:
        record = run_job(runner, job, on_event)
        if job.origin != "final" or spoilt:
            return record
        spoilt.append(job.number)
        return record.model_copy(update={"outcome": Outcome.INTERRUPTED, "passes": [], "measurements": {}})

    monkeypatch.setattr(jobs, "run_job", run)
    result = sweep(FINALS, base=BASE.replace("passes: 2", "passes: 3"))

    made = [one for one in result.records if one.origin == "final" and one.outcome is Outcome.COMPLETED]
    assert spoilt
    assert sorted(Counter(one.repeat_of for one in made).values()) == [2, 2]
    assert result.status == "finished"


@pytest.mark.parametrize(
    ("origin", "is_started", "is_over"), [("search", True, False), ("reference", True, True), ("search", False, True)]
)
def test_only_a_new_trial_says_that_the_run_comes_further(origin: Origin, is_started: bool, is_over: bool) -> None:
    spoilt = Spoilt(parse_spec(BASE, Path("small.yaml"), ["search.machine_faults=go_on"]))
    bad = trial(1, (), outcome=Outcome.INTERRUPTED)
    other = trial(2, ALONE).model_copy(update={"origin": origin, "duration_s": 3.0 if is_started else None})
    for record in (bad, bad, other):
        spoilt.saw(record)
    if is_over:
        with pytest.raises(MachineError):
            spoilt.saw(bad)
    else:
        spoilt.saw(bad)


def test_a_round_that_the_machine_spoilt_says_nothing_of_trials_side_by_side() -> None:
    records = [trial(0, ALONE), *both(ALONE, ALONE)]
    records[2] = records[2].model_copy(update={"outcome": Outcome.INTERRUPTED, "passes": [], "measurements": {}})
    found = known(records, THROUGHPUT, 2)
    assert (found.finding, found.rounds, found.is_again) == (None, 1, False)


SPOILT = """\
parameters: {max_num_seqs: [1, 2], fail: ["errno=ENOSPC@load", null]}
search: {method: grid, machine_faults: go_on}
"""


def test_what_was_never_measured_is_said_and_is_no_failure(sweep: Sweeps) -> None:
    result = sweep(SPOILT)

    assert sweep.heard.summary is not None
    assert sweep.heard.summary.notes[0].startswith("2 configurations weren't measured, as the machine spoilt")
    answer = find_answer(result.records, THROUGHPUT)
    assert (answer.num_completed, answer.num_spoilt) == (2, 2)
    notes = {one.label: one.note for one in summary_facts(answer, result.records)}
    assert notes["Trials"] == "2 completed, 2 spoilt by the machine"
    counts = count_trials(result.records)
    assert (counts.started, counts.failed) == (2, 0)
    assert sum(one.num_failed for effect in effects(result.records, THROUGHPUT) for one in effect.values) == 0
    assert not coded(result.records, THROUGHPUT).is_failed.any()
