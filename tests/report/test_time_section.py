"""Where the time went and what start-up was made of, on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.records.builders import make_record
from tests.report.section_builders import make_subject, plots_of, rows_of, words_of
from vbench.records.record import Phase, TrialRecord
from vbench.report.time_section import time_section

PHASES = [
    Phase(name="start", start_s=0.0, end_s=1.0),
    Phase(name="import", start_s=1.0, end_s=6.0),
    Phase(name="load", start_s=6.0, end_s=16.0),
]


def started(trial: int, how: str = "cold", **changes: Any) -> TrialRecord:
    environment = {"worker_start": how, "fork_blocker": "CUDA can't be forked" if how == "cold" else None}
    # 16 s of start-up, 4 s of warm-up, 4 s timed, 8 s of the rest.
    fields: dict[str, Any] = {"phases": PHASES, "environment": environment, "duration_s": 32.0}
    return make_record(trial, 250.0, **{**fields, **changes})


def test_shares_of_the_whole_and_what_would_shorten_a_cold_start(tmp_path: Path) -> None:
    facts = {"load_weights_s": 5.0, "compile_s": 3.0, "graph_capture_s": 2.0}
    section = time_section(make_subject(tmp_path, [started(0, engine_facts=facts), started(1, engine_facts=facts)]))
    assert list(plots_of(section)) == ["time", "startup"]
    lines = words_of(section).splitlines()
    assert (
        lines[0] == "2 trials took 1m 04s in all: start-up 50%, probe and warm-up 12%, timed passes 12%, the rest 25%."
    )
    assert lines[1] == "All 2 trials were started cold: 16s (median). Why: CUDA can't be forked."
    assert lines[2].startswith("Compiling and capturing graphs took 31% of start-up")
    assert lines[3].startswith("Loading weights took 31% of start-up")
    assert lines[4].startswith("Importing the engine took 31% of start-up")
    assert rows_of(section, "Start-up by the way of starting") == [("started cold", "2", "16s", "16s", "16s")]


def test_nothing_is_advised_that_was_not_seen(tmp_path: Path) -> None:
    section = time_section(make_subject(tmp_path, [started(0, "fork"), started(1, "fork")]))
    assert len(words_of(section).splitlines()) == 1
    assert rows_of(section, "Start-up by the way of starting") == [("forked", "2", "16s", "16s", "16s")]


def test_engines_that_were_running_already(tmp_path: Path) -> None:
    records = [started(0, "fork"), started(1, "reused", phases=[]), started(2, "reused", phases=[])]
    section = time_section(make_subject(tmp_path, records))
    assert "2 trials ran on an engine that was running already, which spared about 32s." in words_of(section)
    assert rows_of(section, "Start-up by the way of starting") == [("forked", "1", "16s", "–", "–")]


def test_many_trials_are_bars_of_means(tmp_path: Path) -> None:
    subject = make_subject(tmp_path, [started(trial, "fork") for trial in range(100)])
    plot = plots_of(time_section(subject))["time"]
    assert plot.caption.endswith("Each bar is the mean of 3 trials that follow each other.")
    assert len(plot.draw.args[0]) == 34  # type: ignore[attr-defined]  # a partial, as every plot's is


def test_nothing_took_any_time(tmp_path: Path) -> None:
    refused = make_record(0, None, phases=[], duration_s=None)
    assert time_section(make_subject(tmp_path, [refused])) is None
