from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from tests.records.builders import make_failure, make_record, make_sweep_records
from tests.report.search_builders import make_final, make_search_records, make_stopped
from vbench.analysis.ranking import remeasured
from vbench.outcome import Outcome
from vbench.report.terminal import pareto_table, summary_panel, trial_details, trials_table
from vbench.report.text import FAKE_MARK
from vbench.spec.types import Objective

FASTEST = Objective(metric="output_throughput_tok_s", direction="maximize")
HOSTILE = "[bold red]x[/] [/nonsense] \x1b[2Jy \x07"


def show(renderable: RenderableType, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_table_has_every_trial_and_stars_the_best() -> None:
    shown = show(trials_table(make_sweep_records(), FASTEST))
    assert "10 ★" in shown
    assert shown.count("★") == 1
    assert len(shown.splitlines()) >= 21
    assert "gpu_memory_utilization" in " ".join(shown.split())


def test_a_narrow_table_names_the_parameters_below() -> None:
    shown = show(trials_table(make_sweep_records(), FASTEST), width=80)
    assert "Parameters: max_num_seqs · gpu_memory_utilization" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_parameters_that_never_vary_are_left_out() -> None:
    shown = show(trials_table([make_record(0, parameters={"x": 1}), make_record(1, parameters={"x": 1})], FASTEST))
    assert "x" not in shown.splitlines()[0].replace("throughput", "")


def test_the_summary_says_what_is_best_and_how_to_run_it() -> None:
    shown = show(summary_panel(make_sweep_records(), FASTEST))
    assert "Trial 10 is the best of 15" in shown
    assert "vllm serve org/model-1b" in shown
    assert "kv_cache_too_small" in shown
    assert FAKE_MARK not in shown


@pytest.mark.parametrize("count", [0, 1])
def test_little_can_be_shown(count: int) -> None:
    records = [make_record(0, None, outcome=Outcome.CRASHED, failure=make_failure())][:count]
    assert ("Nothing has been tried" if count == 0 else "None of the 1 trials") in show(summary_panel(records, FASTEST))
    assert "Trial" in show(trials_table(records, FASTEST))


def test_the_fake_engine_is_marked() -> None:
    records = make_sweep_records(3, engine="fake")
    for renderable in (
        trials_table(records, FASTEST),
        summary_panel(records, FASTEST),
        trial_details(records[0]),
    ):
        assert FAKE_MARK in show(renderable)


def test_details_have_every_measure_and_name_what_is_missing() -> None:
    shown = show(trial_details(make_record(3, [200.0, 250.0], peak_mib=2048)))
    assert "225 tok/s" in shown  # the median of 200 and 250
    assert "2.00 GiB" in shown
    assert "p95 0.96 s" in shown or "p95 1 s" in shown
    assert "not measured" in shown
    assert "Inter-token latency" in shown


def test_hostile_text_is_neither_markup_nor_control() -> None:
    failure = make_failure(HOSTILE, HOSTILE, advice=HOSTILE)
    parameters = {"a" + HOSTILE: HOSTILE}
    records = [
        make_record(0, None, outcome=Outcome.CRASHED, failure=failure, parameters=parameters, warnings=[HOSTILE]),
        make_record(1, 100.0, parameters={"a" + HOSTILE: "other"}),
    ]
    for renderable in (
        trials_table(records, FASTEST),
        summary_panel(records, FASTEST),
        trial_details(records[0]),
    ):
        shown = show(renderable)
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[bold red]x[/]" in shown


def test_a_stopped_trial_stands_with_its_bound_and_its_reason() -> None:
    records = make_search_records()
    line = next(line for line in show(trials_table(records, FASTEST)).splitlines() if line.split()[:1] == ["5"])
    assert "pruned" in line
    assert "≤ 286 tok/s" in line
    details = show(trial_details(records[5], FASTEST))
    assert "stopped 1.3 s into pass 1: at most 286 tok/s, the best then had 371 tok/s (trial 4)" in details
    panel = show(summary_panel(records, FASTEST))
    assert "15 completed, 4 stopped early, 1 failed, 1 refused by the planner" in panel
    assert "kv_cache_too_small" in panel
    assert "pruned" not in panel


def test_a_finalist_says_what_counts_of_it() -> None:
    records = make_search_records()
    again = next(record for record in remeasured(records) if record.trial == 9)
    details = show(trial_details(records[9], FASTEST, again))
    assert "398 tok/s" in details
    assert "measured again in trials 14, 16: 397 tok/s, which is what counts" in details
    assert "measured again" not in show(trial_details(records[1], FASTEST, records[1]))


def test_a_finalist_without_a_final_is_warned_of() -> None:
    failed = make_record(3, None, outcome=Outcome.CRASHED, failure=make_failure(), origin="final", repeat_of=1)
    records = [make_record(0, 400.0), make_record(1, 390.0), make_final(2, 0, 380.0), failed]
    assert "Trial 1 could not be measured again" in " ".join(show(summary_panel(records, FASTEST)).split())


def test_the_front_is_a_table_with_a_star_at_the_best() -> None:
    smallest = Objective(metric="peak_memory_bytes", direction="minimize")
    shown = show(pareto_table([*make_search_records(), make_stopped(30)], (FASTEST, smallest)))
    assert [line.split()[0] for line in shown.splitlines()] == ["Trial", "9", "12", "4", "0"]
    assert shown.count("★") == 1
    assert "397 tok/s" in shown.splitlines()[1]


def test_passes_are_counted_from_one() -> None:
    shown = show(trial_details(make_record(0, [200.0, 250.0])))
    assert "warmup pass 1" in shown
    assert "timed pass 2" in shown
    assert "timed pass 0" not in shown
