from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from tests.records.builders import make_failure, make_pass, make_record, make_sweep_records
from tests.report.search_builders import make_final, make_search_records, make_stopped
from vbench.outcome import Outcome
from vbench.records.record import Spoiled
from vbench.report.terminal import pareto_table, summary, summary_panel, trials_table
from vbench.report.text import FAKE_MARK
from vbench.report.trial_details import trial_details
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
    assert "Peak memory" in shown
    narrower = show(trials_table(make_sweep_records(), FASTEST), width=60)
    assert max(len(line) for line in narrower.splitlines()) <= 60
    assert "Peak memory" not in narrower
    assert "speculative_config" in " ".join(narrower.split())  # named below, and not cut off


def test_very_many_trials_have_no_interval_each() -> None:
    few, many = ([make_record(trial, [300.0, 310.0]) for trial in range(count)] for count in (3, 1001))
    assert "Interval" in show(trials_table(few, FASTEST)).splitlines()[0]
    assert "Interval" not in show(trials_table(many, FASTEST)).splitlines()[0]


def test_parameters_that_never_vary_are_left_out() -> None:
    shown = show(trials_table([make_record(0, parameters={"x": 1}), make_record(1, parameters={"x": 1})], FASTEST))
    assert "x" not in shown.splitlines()[0].replace("throughput", "")


def test_the_summary_says_what_is_best_and_how_to_run_it() -> None:
    found = summary(make_sweep_records(), FASTEST)
    shown = show(found.panel)
    assert "Trial 10 is the best of 15" in shown
    assert "kv_cache_too_small" in shown
    assert FAKE_MARK not in shown
    # Outside of the box, so that it can be copied as it stands.
    assert found.command is not None
    assert found.command.plain.startswith("vllm serve org/model-1b \\\n  --")
    assert "vllm serve" not in shown


def test_a_gain_over_the_baseline_says_that_it_was_not_measured_in_turns() -> None:
    said = "not in turns"
    assert said in " ".join(show(summary_panel(make_sweep_records(), FASTEST)).split())
    assert said not in show(summary_panel([make_record(0, 300.0, origin="baseline")], FASTEST))
    assert said not in show(summary_panel([make_record(0, 300.0)], FASTEST))


def test_without_a_best_there_is_nothing_to_paste() -> None:
    failed = make_record(0, None, outcome=Outcome.CRASHED, failure=make_failure())
    assert summary([failed], FASTEST).command is None


def test_a_mark_stands_above_everything() -> None:
    mark = "emulated t4: memory, not speed"
    records = make_sweep_records(3)
    for renderable in (
        trials_table(records, FASTEST, mark),
        summary(records, FASTEST, mark).panel,
        trial_details(records[0], FASTEST, records, mark),
    ):
        assert mark in "\n".join(show(renderable).splitlines()[:2])


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


def test_details_have_passes_requests_and_the_estimate() -> None:
    estimate = {"verdict": "fits", "reason": "room", "peak_bytes": 3 * 1024**3, "per_gpu": {"weights_bytes": 1024**3}}
    record = make_record(
        3, [200.0, 250.0], peak_mib=2048, estimate=estimate, engine_facts={"weights_bytes": 2 * 1024**3},
        constraint_violations={"p95_ttft_s <= 4": -0.5, "peak_memory_mib <= 1024": 1.0}, parameters={"max_num_seqs": 4},
    )  # fmt: skip
    lines = [" ".join(line.split()) for line in show(trial_details(record, FASTEST)).splitlines()]
    assert "timed pass 2 4.0s, 1,000 tokens, 250 tok/s" in lines
    assert "a pass 10 requests" in lines
    assert "output tokens 100 each" in lines
    assert "slowest prompt 0: 4.5 s, the median of 2" in lines  # of 5 s and 4 s
    assert "verdict fits: room" in lines
    assert "weights 1.00 GiB planned, 2.00 GiB reported (−50.0%)" in lines
    assert "peak memory 3.00 GiB planned, 2.00 GiB measured (+50.0%)" in lines
    assert "p95_ttft_s <= 4 kept, by 50.0%" in lines
    assert "peak_memory_mib <= 1024 broken, by 100.0%" in lines
    assert lines[lines.index("Chosen") + 1] == "max_num_seqs 4"


def test_details_name_what_was_measured_again_and_what_was_set_aside() -> None:
    first = Spoiled(why=["other processes took 1.9 of 2 cores"], passes=[make_pass(0, 100.0)])
    records = [
        make_record(0, 300.0, origin="baseline", spoiled=first),
        make_record(1, 290.0, origin="reference", repeat_of=0),
        make_record(2, None, outcome=Outcome.CRASHED, failure=make_failure(), origin="final", repeat_of=0),
    ]
    shown = show(trial_details(records[0], FASTEST, records))
    assert "the baseline; started" in shown
    assert "trial 1, the reference: 290 tok/s" in shown
    assert "trial 2, a final: –, crashed" in shown
    assert "other processes took 1.9 of 2 cores" in shown
    assert "set aside: timed pass 1  10s, 1,000 tokens, 100 tok/s" in shown
    assert "measures trial 0 again" in show(trial_details(records[1], FASTEST, records))


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
    details = show(trial_details(records[9], FASTEST, records))
    assert "398 tok/s" in details
    assert "measured again in trials 14, 16: 397 tok/s, which is what counts" in details
    assert "measured again" not in show(trial_details(records[1], FASTEST, records))


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
