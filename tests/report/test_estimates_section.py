"""Estimates beside measurements, on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import MIB, make_failure, make_record
from tests.report.section_builders import blocks_in, make_subject, plots_of, rows_of, words_of
from vbench.analysis.estimates import Compared
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report.blocks import Fold, Grid, Plot
from vbench.report.estimates_section import MAX_ROWS, estimates_section, pairs

PLANNED = {"verdict": "fits", "per_gpu": {"weights_bytes": 600 * MIB, "kv_tokens": 1200}, "peak_bytes": 1100 * MIB}


def planned(trial: int, kv_tokens: int = 1000, **changes: Any) -> TrialRecord:
    facts = {"weights_bytes": 600 * MIB, "kv_cache_tokens": kv_tokens}
    return make_record(trial, 200.0, engine_facts=facts, **{"estimate": PLANNED, **changes})


def test_bias_and_hit_rate_in_words(tmp_path: Path) -> None:
    gone = planned(2, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure())
    section = estimates_section(make_subject(tmp_path, [planned(0), planned(1), gone]))
    found = plots_of(section)
    assert words_of(section).splitlines()[1:] == [
        "Said to fit: 2 of 3 trials did.",
        "Weights: planned right to 0.1% in 3 trials.",
        "KV cache: planned 20.0% more than was found (median of 3 trials; 5th to 95th percentile +20.0% to +20.0%).",
        "Peak memory: planned 10.0% more than was found (median of 2 trials; 5th to 95th percentile +10.0% to +10.0%).",
    ]
    assert rows_of(section, "What came of the planner's verdicts") == [("fits", "2", "1", "0", "0")]
    assert found["estimates"].alt == "Planned over measured: Weights, 1 marks, KV cache, 1 marks, Peak memory, 1 marks"


def test_of_many_trials_the_table_has_those_that_were_furthest_off(tmp_path: Path) -> None:
    records = [planned(trial, 1200 if trial else 600) for trial in range(MAX_ROWS + 50)]
    section = estimates_section(make_subject(tmp_path, records))
    (fold,) = blocks_in(section, Fold)
    assert fold.title == f"The {MAX_ROWS} of {MAX_ROWS + 50} trials whose estimates were furthest off"
    rows = rows_of(section, "Estimates of each trial")
    assert len(rows) == MAX_ROWS
    assert rows[0][0] == "0"
    assert rows[0][7] == "+100.0%"


def test_a_cpu_in_a_cards_stead(tmp_path: Path) -> None:
    emulated = {"target": {"is_emulated": True, "profile": "t4"}}
    section = estimates_section(make_subject(tmp_path, [planned(0)], **emulated))
    assert "can't be held against them" in words_of(section)
    assert "KV cache" not in words_of(section)
    assert "Said to fit" not in words_of(section)  # nor does whether it fitted here say anything of the card
    assert blocks_in(section, Grid) == []
    assert blocks_in(section, Plot) == []


def test_a_configuration_that_was_measured_again_counts_once(tmp_path: Path) -> None:
    again = [planned(trial, origin="final", repeat_of=0) for trial in (2, 3)]
    section = estimates_section(make_subject(tmp_path, [planned(0), planned(1, 600), *again]))
    assert "Said to fit: 2 of 2 trials did." in words_of(section)
    assert len(rows_of(section, "Estimates of each trial")) == 2


def test_nothing_was_planned(tmp_path: Path) -> None:
    assert estimates_section(make_subject(tmp_path, [make_record(0)])) is None


def test_trials_in_one_place_are_one_mark() -> None:
    here, there = Compared(planned=100.0, reported=100.0), Compared(planned=50.0, reported=25.0)
    near, unknown = Compared(planned=100.4, reported=99.8), Compared(planned=1.0, reported=None)
    assert pairs([here, there, near, unknown, here], 100.0) == ((1.0, 1.0, 3), (0.25, 0.5, 1))
    assert pairs([unknown], 1.0) == ()


def test_a_large_run_is_compared_by_an_even_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.report.estimates_section.MAX_CHECKED", 10)
    section = estimates_section(make_subject(tmp_path, [planned(trial) for trial in range(40)]))
    assert "Of 40 trials one in 4 was compared." in words_of(section)
    assert [row[0] for row in rows_of(section, "Estimates of each trial")][:3] == ["0", "4", "8"]
    assert rows_of(section, "What came of the planner's verdicts") == [("fits", "40", "0", "0", "0")]  # of all
