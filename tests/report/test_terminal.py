from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from tests.records.builders import make_failure, make_record, make_sweep_records
from vbench.outcome import Outcome
from vbench.report.terminal import summary_panel, trial_details, trials_table
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
    for renderable in (trials_table(records, FASTEST), summary_panel(records, FASTEST), trial_details(records[0])):
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
    for renderable in (trials_table(records, FASTEST), summary_panel(records, FASTEST), trial_details(records[0])):
        shown = show(renderable)
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[bold red]x[/]" in shown
