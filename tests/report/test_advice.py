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
        "The 8 completed trials with quantization awq have a median of 404 tok/s, the 8 with other values 214 tok/s: "
        "×1.89. Other settings differ between them too.",
        unclear,
    ]
    assert texts(under(section_of(tmp_path / "b", run(387)), "Why this one")) == [unclear]


def test_what_to_try_next_at_an_edge_that_still_rose(tmp_path: Path) -> None:
    records = [record(0, 200, parameters={"max_num_seqs": 4}), record(1, 300, parameters={"max_num_seqs": 8})]
    tips = texts(under(section_of(tmp_path, records), "What to try next"))
    assert tips == [
        "max_num_seqs was still getting better at the highest value tried, 8: ×1.50 over 4, all else the same "
        "(trial 0). Try 16."
    ]


def test_no_more_at_once_is_advised_than_there_are_prompts(tmp_path: Path) -> None:
    records = [record(0, 200, parameters={"max_num_seqs": 8}), record(1, 300, parameters={"max_num_seqs": 16})]
    titles = [one.text for one in section_of(tmp_path / "a", records).blocks if isinstance(one, Heading)]
    assert "What to try next" not in titles  # ten prompts
    four = {"sampling": {"n": 4}}
    records = [
        record(trial, rate, parameters={"max_num_seqs": seqs}, config={"max_num_seqs": seqs, **four})
        for trial, (seqs, rate) in enumerate({8: 200.0, 16: 300.0}.items())
    ]
    assert texts(under(section_of(tmp_path / "b", records), "What to try next"))[0].endswith("Try 32.")  # forty answers


def test_what_rises_and_falls_is_not_called_rising(tmp_path: Path) -> None:
    rates = {16: 280.0, 32: 200.0, 64: 300.0}
    records = [record(n, rate, parameters={"block_size": n}) for n, rate in rates.items()]
    tips = texts(under(section_of(tmp_path, records), "What to try next"))
    assert not any("still getting better" in tip for tip in tips)
    assert any("The best has the highest block_size that was tried (16, 32, 64)" in tip for tip in tips)


def test_a_large_step_is_not_repeated(tmp_path: Path) -> None:
    records = [record(0, 200, parameters={"block_size": 16}), record(1, 300, parameters={"block_size": 512})]
    assert texts(under(section_of(tmp_path, records), "What to try next"))[0].endswith("Try 2048.")


def test_a_faster_trial_that_broke_a_constraint_is_not_called_alike(tmp_path: Path) -> None:
    broke = record(1, 800, parameters={"max_num_seqs": 16}).model_copy(
        update={"constraint_violations": {"p95_ttft_s <= 1": 0.5}}
    )
    section = section_of(tmp_path, [record(0, 400, parameters={"max_num_seqs": 8}), broke])
    assert not any("no difference" in text for text in texts(section.blocks))


def test_an_edge_without_that_proof_is_only_said_to_be_open(tmp_path: Path) -> None:
    rates = {2: 200.0, 4: 250.0, 8: 300.0}
    records = [record(n, rate, parameters={"max_num_seqs": n, "other": n}) for n, rate in rates.items()]
    tips = texts(under(section_of(tmp_path, records), "What to try next"))
    assert any(tip.startswith("The best has the highest max_num_seqs that was tried (2, 4, 8)") for tip in tips)


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
        "The search ended after 1 of 30 planned trials, as its time was spent: go on with a larger --timeout."
    ]


def test_finals_and_a_random_arm_are_none_of_the_planned_trials(tmp_path: Path) -> None:
    section = section_of(tmp_path, make_search_records(), status="interrupted", num_trials_planned=30)
    assert texts(under(section, "What to try next"))[-1] == (
        "The search ended after 12 of 30 planned trials, as it was interrupted: the same command goes on with it."
    )


def test_one_that_came_after_the_finals_is_first_of_more_than_the_finalists(tmp_path: Path) -> None:
    late = record(30, 900.0, parameters={"max_num_seqs": 16})
    tips = texts(under(section_of(tmp_path, [*make_search_records(), late]), "What to try next"))
    assert tips[0].startswith("Trial 30 was measured once and comes before 2 that were measured again, so likely")
