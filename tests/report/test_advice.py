"""Why the best won, and what to try next: sentences that the trials bear."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.records.builders import make_failure, make_record
from tests.report.answer_builders import BASELINE, QUICK, SAFE, record, section_of, texts, under
from tests.report.search_builders import make_search_records, make_stopped
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.report.blocks import (
    Heading,
)


def test_why_it_won_by_trials_that_differ_in_one_alone(tmp_path: Path) -> None:
    both = {"max_num_seqs": 16, "quantization": "awq"}
    records = [
        record(0, 200, origin="baseline", config={"max_num_seqs": 8}, parameters={}),
        record(1, 400, parameters=both),
        record(2, 250, parameters={**both, "quantization": "none"}),
        make_stopped(3, bound=320.0, parameters={**both, "max_num_seqs": 8}),
        record(4, 399, parameters={**both, "max_num_seqs": 12}),
    ]
    why = texts(under(section_of(tmp_path, records), "Why this one"))
    assert why == [
        "quantization awq instead of none, all else the same: ×1.60 (400 tok/s; trial 2 came to 250 tok/s).",
        "max_num_seqs 16 instead of 8, all else the same: at least ×1.25 (400 tok/s; trial 3 was stopped early, at "
        "320 tok/s or worse).",
    ]


def test_why_it_won_by_medians_only_where_chance_is_unlikely(tmp_path: Path) -> None:
    def run(slower: float) -> list[TrialRecord]:
        awq = [record(i, 400 + i, parameters={"quantization": "awq", "seed": i}) for i in range(1, 9)]
        others = [record(i, slower + i, parameters={"quantization": "none", "seed": i}) for i in range(11, 19)]
        return [*awq, *others]

    unclear = "With another value, all else the same, the passes show no difference: seed (trial 7)."
    assert texts(under(section_of(tmp_path / "a", run(200)), "Why this one")) == [
        "The 8 trials with quantization awq have a median of 404 tok/s, the 8 with other values 214 tok/s: ×1.89. "
        "Other settings differ between them too.",
        unclear,
    ]
    assert texts(under(section_of(tmp_path / "b", run(387)), "Why this one")) == [unclear]


def test_what_to_try_next_at_an_edge_that_still_rose(tmp_path: Path) -> None:
    records = [record(0, 200, parameters={"max_num_seqs": 16}), record(1, 300, parameters={"max_num_seqs": 32})]
    tips = texts(under(section_of(tmp_path, records), "What to try next"))
    assert tips == [
        "max_num_seqs was still getting better at the highest value tried, 32: ×1.50 over 16, all else the same "
        "(trial 0). Try 64."
    ]


def test_an_edge_without_that_proof_is_only_said_to_be_open(tmp_path: Path) -> None:
    rates = {4: 200.0, 8: 250.0, 16: 300.0}
    records = [record(n, rate, parameters={"max_num_seqs": n, "other": n}) for n, rate in rates.items()]
    tips = texts(under(section_of(tmp_path, records), "What to try next"))
    assert any(tip.startswith("The best has the highest max_num_seqs that was tried (4, 8, 16)") for tip in tips)


@pytest.mark.parametrize("name", ["tensor_parallel_size", "max_model_len", "replicas"])
def test_an_edge_of_the_machine_is_none(tmp_path: Path, name: str) -> None:
    records = [record(0, 200, parameters={name: 1}), record(1, 300, parameters={name: 2})]
    assert "What to try next" not in [
        block.text for block in section_of(tmp_path, records).blocks if isinstance(block, Heading)
    ]


def test_a_value_that_failed_is_no_edge_to_go_beyond(tmp_path: Path) -> None:
    failed = make_record(
        2, None, outcome=Outcome.OUT_OF_MEMORY, failure=make_failure(), parameters={"max_num_seqs": 64}
    )
    records = [record(0, 200, parameters={"max_num_seqs": 16}), record(1, 300, parameters={"max_num_seqs": 32}), failed]
    tips = texts(under(section_of(tmp_path, records), "What to try next"))
    assert tips == ["1 of 3 trials failed with “kv cache too small” (trial 2): Raise it."]


def test_one_measurement_of_the_best_is_advised_against(tmp_path: Path) -> None:
    records = [BASELINE, QUICK, SAFE]
    assert "--finalists 3" in texts(under(section_of(tmp_path / "a", records), "What to try next"))[0]
    found = section_of(tmp_path / "b", make_search_records())
    assert not any("--finalists" in text for text in texts(found.blocks))


def test_a_search_that_ended_early_is_to_go_on(tmp_path: Path) -> None:
    section = section_of(tmp_path, [BASELINE], status="out_of_time", num_trials_planned=30)
    assert texts(under(section, "What to try next")) == [
        "The search ended after 1 trials of 30 planned, as its time was spent: the same command goes on with it."
    ]
