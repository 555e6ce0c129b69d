from __future__ import annotations

import doctest
from typing import Any

import pytest

from tests.analysis.gpu_builders import make_gpu_record
from tests.records.builders import make_record
from vbench.records.record import TrialRecord
from vbench.report import units_of_use
from vbench.report.blocks import Calculator, Facts, Prose
from vbench.report.subject import Wishes
from vbench.report.units_of_use import blocks_of_use, calculator_of, rates_of


def words_of(record: TrialRecord) -> str:
    _, said = blocks_of_use(record, Wishes())
    assert isinstance(said, Prose)
    return said.text


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(units_of_use).failed == 0


def test_the_rates_are_those_of_the_record() -> None:
    rates = rates_of(make_record(0, 250.0))  # ten requests of 100 tokens in 4 s, after 20 s of start-up
    assert (rates.requests_per_s, rates.output_tokens_per_s, rates.startup_s) == (2.5, 250.0, 20.0)
    assert (rates.joules_per_token, rates.answers, rates.is_forked) == (None, 1, False)


def test_without_a_start_that_much_more_fits() -> None:
    assert units_of_use.seconds_for(10, 2.5, None) == 4.0
    assert units_of_use.samples_per_task(1, 90, 2.5, None) == 100.0
    assert units_of_use.samples_per_task(1, 90, 2.5, 1800.0) == 50.0
    assert units_of_use.samples_per_task(1, 90, 2.5, 7200.0) == 0.0


def test_energy_is_that_of_all_gpus_and_of_none_where_one_has_no_counter() -> None:
    # 400 J a pass of 1,000 tokens on each of two GPUs.
    assert rates_of(make_gpu_record(gpus=(0, 1))).joules_per_token == pytest.approx(0.8)
    assert rates_of(make_gpu_record(passes=[{"energy_j": None}, {}])).joules_per_token is None
    assert units_of_use.tokens_per_wh(0.8) == pytest.approx(4500)


def test_the_fields_begin_with_the_prompt_set_or_what_was_asked_for() -> None:
    record = make_record(0, 250.0)
    own, asked = calculator_of(record, Wishes()), calculator_of(record, Wishes(prompts=500, tasks=120, hours=12))
    assert own is not None
    assert asked is not None
    assert (own.prompts, own.tasks, own.hours) == (10, 10, 9.0)
    assert (asked.prompts, asked.tasks, asked.hours) == (500, 120, 12)


def test_what_was_not_measured_is_said_to_be_so() -> None:
    (block,) = blocks_of_use(make_record(0, None), Wishes())
    assert isinstance(block, Facts)
    assert block.facts[0].value == "not measured"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "measured on 10 prompts"),
        ({"environment": {"worker_start": "fork"}}, "longer where the engine has yet to be imported"),
        ({"environment": {"worker_start": "reused"}, "phases": []}, "another trial had started the engine"),
        ({"config": {"sampling": {"n": 4}}}, "given 4 answers"),
    ],
)
def test_what_the_numbers_leave_out_stands_below_them(changes: dict[str, Any], said: str) -> None:
    record = make_record(0, 250.0, **changes)
    if not record.phases:
        record = record.model_copy(update={"measurements": {**record.measurements, "startup_s": None}})
    calculator, _ = blocks_of_use(record, Wishes())
    assert isinstance(calculator, Calculator)
    assert said in words_of(record)


def test_energy_names_what_it_is_of() -> None:
    assert "GPUs alone" in words_of(make_gpu_record())
    assert "GPUs alone" not in words_of(make_record(0, 250.0))
