"""Start-up in parts, and time in bins."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.builders import make_failure, make_record
from vbench.analysis.startup import part_totals, startup_of, startups, summaries
from vbench.analysis.timing import TimeSplit, binned
from vbench.outcome import Outcome
from vbench.records.record import Phase, TrialRecord

FACTS = {"load_weights_s": 3.0, "init_engine_s": 6.0, "compile_s": 2.0, "graph_capture_s": 1.0}


def started(trial: int, load_s: float = 12.0, how: str = "fork", **changes: Any) -> TrialRecord:
    phases = [
        Phase(name="start", start_s=0.0, end_s=0.5),
        Phase(name="import", start_s=0.5, end_s=8.0),
        Phase(name="load", start_s=8.0, end_s=8.0 + load_s),
    ]
    return make_record(trial, 250.0, phases=phases, environment={"worker_start": how}, **changes)


def test_loading_is_split_as_the_engine_said() -> None:
    found = startup_of(started(3, engine_facts=FACTS))
    assert found is not None
    assert found.parts == {
        "process": 0.5, "import": 7.5, "weights": 3.0, "compiling": 2.0, "capturing graphs": 1.0,
        "profiling, KV cache": 3.0, "the rest of loading": 3.0,
    }  # fmt: skip
    assert found.total_s == 20.0


def test_what_the_engine_did_not_say_is_in_the_rest_and_never_negative() -> None:
    silent = startup_of(started(0))
    assert silent is not None
    assert silent.parts == {"process": 0.5, "import": 7.5, "the rest of loading": 12.0}
    boastful = startup_of(started(0, load_s=4.0, engine_facts={"load_weights_s": 60.0, "compile_s": True}))
    assert boastful is not None
    assert boastful.parts["weights"] == 4.0
    assert boastful.parts["the rest of loading"] == 0.0
    assert "compiling" not in boastful.parts


def test_only_trials_that_were_started_count() -> None:
    failed = started(1, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(phase="load"))
    refused = make_record(2, None, phases=[])
    assert startups([started(0, how="reused"), failed, refused]) == []
    in_a_pass = started(3, outcome=Outcome.CRASHED, failure=make_failure("crashed", phase="pass"))
    assert [one.trial for one in startups([in_a_pass])] == [3]


def test_each_way_of_starting_is_summed_up_by_itself() -> None:
    records = [started(trial, load_s=float(trial)) for trial in range(1, 6)] + [started(9, how="cold")]
    forked, cold = summaries(startups(records))
    assert (forked.how, forked.count, forked.median_s, forked.typical.trial) == ("fork", 5, 11.0, 3)
    assert forked.low_s == pytest.approx(9.2)
    assert forked.high_s == pytest.approx(12.8)
    assert (cold.how, cold.count, cold.low_s) == ("cold", 1, 20.0)
    assert part_totals(startups(records)) == {"process": 3.0, "import": 45.0, "the rest of loading": 27.0}


def split(trial: int, startup_s: float) -> TimeSplit:
    return TimeSplit(trial=trial, startup_s=startup_s, warmup_s=1.0, timed_s=2.0, other_s=0.0)


def test_few_trials_are_bins_of_their_own_and_many_are_means() -> None:
    few = binned([split(trial, float(trial)) for trial in range(40)])
    assert [(one.first, one.last, one.count, one.mean.startup_s) for one in few[:2]] == [(0, 0, 1, 0.0), (1, 1, 1, 1.0)]
    many = binned([split(trial, float(trial)) for trial in range(101)])
    assert [(one.first, one.last, one.count) for one in many[:2]] == [(0, 2, 3), (3, 5, 3)]
    assert many[0].mean.startup_s == 1.0
    assert many[0].mean.total_s == 4.0
    assert (len(many), many[-1].count) == (34, 2)
    assert sum(one.count for one in many) == 101
    assert binned([]) == []
