"""`vbench export`: a run as an Optuna study that other tools open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from tests.cli.process import Vbench, records_of
from tests.records.builders import MIB, make_failure, make_record, make_run
from tests.search.spaces import SEQS, SPECULATIVE
from vbench.errors import StoreError, UsageError
from vbench.outcome import Outcome
from vbench.records.record import Stopped, TrialRecord
from vbench.search.optuna_export import export_study
from vbench.spec.types import Objective

THROUGHPUT = Objective(metric="output_throughput_tok_s", direction="maximize")
LATENCY = Objective(metric="p95_ttft_s", direction="minimize")
NGRAM = {
    "max_num_seqs": 64,
    "speculative_config": "ngram",
    "speculative_config.ngram.num_speculative_tokens": 3,
}


def stopped_record(number: int) -> TrialRecord:
    stopped = Stopped(
        phase="pass", index=1, after_s=1.0, bound=90.0, incumbent_trial=0, incumbent_value=250.0, error_rate=0.05
    )
    record = make_record(number, [80.0], outcome=Outcome.PRUNED, stopped=stopped, parameters=NGRAM)
    return record.model_copy(update={"measurements": {}})


def a_run() -> list[TrialRecord]:
    over: dict[str, Any] = {"constraint_violations": {"peak_memory_mib <= 900": 0.1}, "outcome": Outcome.OVER_BUDGET}
    return [
        make_record(0, [240.0, 250.0, 260.0], origin="baseline", parameters={"max_num_seqs": 64}),
        make_record(1, 300.0, parameters=NGRAM, **over),
        stopped_record(2),
        make_record(
            3, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(), parameters={**NGRAM, "max_num_seqs": 128}
        ),
        make_record(4, None, outcome=Outcome.CRASHED, parameters={"max_num_seqs": 64, "speculative_config": "none"}),
    ]


def exported(folder: Path, records: list[TrialRecord], *objectives: Objective, **options: Any) -> optuna.Study:
    url = f"sqlite:///{folder / 'study.db'}"
    export_study(records, (SEQS, SPECULATIVE), objectives or (THROUGHPUT,), url, "demo/1", {"seed": 3}, **options)
    return optuna.load_study(study_name="demo/1", storage=url)


def test_states_values_and_parameters(tmp_path: Path) -> None:
    study = exported(tmp_path, a_run())
    trials = study.trials

    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL,
    ]  # fmt: skip
    assert [trial.value for trial in trials[:2]] == [250.0, 300.0]
    assert trials[0].params == {"max_num_seqs": "64"}  # the rest of a baseline is left to the engine
    assert trials[1].params == {**NGRAM, "max_num_seqs": "64"}
    assert trials[1].distributions == {
        "max_num_seqs": CategoricalDistribution(["64", "128"]),
        "speculative_config": CategoricalDistribution(["none", "ngram"]),
        "speculative_config.ngram.num_speculative_tokens": IntDistribution(2, 4),
    }
    assert study.direction.name == "MAXIMIZE"
    assert study.metric_names == ["output_throughput_tok_s"]
    assert study.user_attrs == {"seed": 3}
    assert study.best_trial.number == 0  # the faster one broke its constraints


def test_constraints_passes_and_times(tmp_path: Path) -> None:
    trials = exported(tmp_path, a_run()).trials

    assert trials[1].constraints == {"peak_memory_mib <= 900": 0.1, "memory budget": 1.0}
    assert trials[0].intermediate_values == pytest.approx({0: 240.0, 1: 250.0, 2: 260.0})
    assert trials[2].intermediate_values == pytest.approx({0: 80.0})
    start = datetime(2026, 11, 3, 9, 30, tzinfo=UTC).astimezone().replace(tzinfo=None)
    assert trials[0].datetime_start == start
    assert trials[0].datetime_complete == start + timedelta(seconds=a_run()[0].duration_s or 0)


def test_user_attributes(tmp_path: Path) -> None:
    trials = exported(tmp_path, a_run()).trials

    assert trials[0].user_attrs["origin"] == "baseline"
    assert trials[0].user_attrs["peak_memory_mib"] == 1000.0
    assert trials[2].user_attrs["stopped_bound"] == 90.0
    assert trials[3].user_attrs["failure_class"] == "kv_cache_too_small"
    assert [trial.user_attrs["outcome"] for trial in trials] == [record.outcome.value for record in a_run()]
    assert trials[1].user_attrs["duration_s"] == a_run()[1].duration_s


def test_several_objectives(tmp_path: Path) -> None:
    study = exported(tmp_path, a_run(), THROUGHPUT, LATENCY)

    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.trials[0].values == [250.0, 1.0]
    assert study.trials[2].state == TrialState.FAIL  # Optuna prunes only where there is one objective
    assert study.trials[0].intermediate_values == {}


def test_a_baseline_outside_its_range_keeps_its_value_beside(tmp_path: Path) -> None:
    outside = {**NGRAM, "speculative_config.ngram.num_speculative_tokens": 9}
    (trial,) = exported(tmp_path, [make_record(0, parameters=outside)]).trials

    assert "speculative_config.ngram.num_speculative_tokens" not in trial.params
    assert trial.user_attrs["parameters"] == outside


def test_without_the_file_the_tried_values_are_the_space(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    records = [make_record(index, parameters={"block_size": size}) for index, size in enumerate((16, 32))]
    export_study(records, (), (THROUGHPUT,), url, "x", {})

    trials = optuna.load_study(study_name="x", storage=url).trials
    assert [trial.params for trial in trials] == [{"block_size": "16"}, {"block_size": "32"}]
    assert trials[0].distributions == {"block_size": CategoricalDistribution(["16", "32"])}


def test_a_second_export_asks_before_it_replaces(tmp_path: Path) -> None:
    exported(tmp_path, a_run())
    with pytest.raises(UsageError, match=r"--replace"):
        exported(tmp_path, a_run())

    assert len(exported(tmp_path, a_run()[:2], replace=True).trials) == 2


@pytest.mark.parametrize(
    ("url", "error"), [("nonsense", UsageError), ("sqlite:////no/such/folder/study.db", StoreError)]
)
def test_a_database_that_cannot_be_opened(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        export_study(a_run(), (SEQS,), (THROUGHPUT,), url, "x", {})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", "is a database in memory"),
        ("sqlite:///:memory:", "is a database in memory"),
        ("nodriver://me:pw/1@host/x", "nodriver://me:***@host/x"),
        ("oracle://me:pw/1@host:port/x", "oracle://me:***@host"),
    ],
)
def test_a_url_of_no_use_is_said_to_be_without_its_password(url: str, expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        export_study(a_run(), (SEQS,), (THROUGHPUT,), url, "x", {})

    assert expected in str(refused.value)
    assert "pw/1" not in str(refused.value)


def test_the_command_exports_a_real_run(small_run: Vbench, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    done = small_run("export", "small", "--optuna", url, check=0)
    again = small_run("export", "small", "--optuna", url, check=2)
    small_run("export", "small", "--optuna", url, "--study", "mine", check=0)

    name = f"small/{small_run.run().name}"
    assert done.stdout.startswith(f"5 trials in the study '{name}'")
    assert "--replace" in again.stderr
    assert sorted(optuna.get_all_study_names(url)) == ["mine", name]
    study = optuna.load_study(study_name=name, storage=url)
    records = records_of(small_run.run())
    assert [trial.value for trial in study.trials] == [
        record["measurements"]["output_throughput_tok_s"] for record in records
    ]
    assert study.user_attrs["run"] == name
    assert study.user_attrs["best_trial"] == study.best_trial.number
    assert study.trials[1].distributions["block_size"] == CategoricalDistribution(["16", "32", "64"])


def test_a_run_whose_file_is_of_no_use_is_exported(tmp_path: Path) -> None:
    make_run(tmp_path / "results", [make_record(0, peak_mib=10, parameters={"block_size": 16})])
    vbench = Vbench(tmp_path)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    vbench("export", "demo", "--optuna", url, check=0)

    (trial,) = optuna.load_study(study_name=optuna.get_all_study_names(url)[0], storage=url).trials
    assert trial.params == {"block_size": "16"}
    assert trial.user_attrs["peak_memory_mib"] == pytest.approx(10 * MIB / 1024**2)
