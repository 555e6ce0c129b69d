from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vbench.search.base import keeps_parameter_constraints, settings_key
from vbench.search.grid import GridSearch
from vbench.search.make import make_searcher, method_of, planned_trials
from vbench.search.optuna_search import OptunaSearch
from vbench.search.surrogate import SurrogateSearch
from vbench.spec.loader import parse_spec
from vbench.spec.types import Constraint, SweepSpec

BASE = """\
model: org/name
prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}
"""
SIX = "parameters: {max_num_seqs: [1, 2, 4], block_size: [16, 32]}\n"
BASELINE = "baseline: {max_num_seqs: 1, block_size: 16}\n"
ENDLESS = "parameters: {gpu_memory_utilization: {low: 0.5, high: 0.9}}\n"


def spec(extra: str) -> SweepSpec:
    return parse_spec(BASE + extra, Path("sweep.yaml"), ())


@pytest.mark.parametrize(("method", "kind"), [("grid", GridSearch), ("random", OptunaSearch), ("tpe", OptunaSearch)])
def test_the_method_asked_for_is_made(method: str, kind: type) -> None:
    assert isinstance(make_searcher(spec(SIX + f"search: {{method: {method}}}\n")), kind)


@pytest.mark.parametrize(
    ("extra", "trials"),
    [
        pytest.param(SIX + "search: {method: grid}\n", 6, id="all of a grid"),
        pytest.param(SIX + BASELINE + "search: {method: grid}\n", 6, id="a baseline that is one of them"),
        pytest.param(SIX + "baseline: {}\nsearch: {method: grid}\n", 7, id="a baseline beside it"),
        pytest.param(SIX + "search: {method: grid, trials: 4}\n", 4, id="as many as asked for"),
        pytest.param(SIX + BASELINE + "search: {method: grid, trials: 4}\n", 4, id="the baseline is one of these"),
        pytest.param(SIX + "search: {method: tpe, trials: 40}\n", 6, id="no more than there are"),
        pytest.param(SIX + BASELINE + "search: {method: tpe, trials: 40}\n", 6, id="nor with a baseline"),
        pytest.param(SIX + "search: {method: tpe}\n", 6, id="no more than there are by default"),
        pytest.param(ENDLESS + "search: {method: tpe}\n", 30, id="thirty by default"),
        pytest.param(ENDLESS + "search: {method: random, trials: 5}\n", 5, id="five of infinitely many"),
    ],
)
def test_planned_trials_are(extra: str, trials: int) -> None:
    assert planned_trials(spec(extra)) == trials


def test_a_key_knows_settings_and_not_their_order() -> None:
    first = {"a": 1, "b": {"c": 2, "d": None}}

    assert settings_key(first) == settings_key({"b": {"d": None, "c": 2}, "a": 1})
    assert len({settings_key(one) for one in (first, {"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": True}, {})}) == 6


def bound(quantity: str, operator: Any, value: float, *, is_metric: bool = False) -> Constraint:
    text = f"{quantity} {operator} {value}"
    return Constraint(text=text, name=quantity, quantity=quantity, operator=operator, bound=value, is_metric=is_metric)


@pytest.mark.parametrize(
    ("settings", "constraint", "keeps"),
    [
        ({"max_model_len": 4096}, bound("max_model_len", ">=", 4096), True),
        ({"max_model_len": 2048}, bound("max_model_len", ">=", 4096), False),
        ({"max_model_len": 4096}, bound("max_model_len", ">", 4096), False),
        ({}, bound("max_model_len", ">=", 4096), True),  # the engine decides: judged when it has
        ({"dtype": "auto"}, bound("dtype", ">=", 1), True),
        ({"enforce_eager": True}, bound("enforce_eager", ">", 5), True),
        ({"startup_s": 99}, bound("startup_s", "<", 5, is_metric=True), True),  # a metric is measured, not set
    ],
)
def test_a_constraint_on_a_setting_is_known_beforehand(
    settings: dict[str, Any], constraint: Constraint, keeps: bool
) -> None:
    assert keeps_parameter_constraints(settings, [constraint]) is keeps


@pytest.mark.parametrize(
    ("extra", "method"),
    [
        pytest.param(SIX, "grid", id="thirty trials cover it"),
        pytest.param(SIX + "search: {trials: 6}\n", "grid", id="just so"),
        pytest.param(SIX + "search: {trials: 5}\n", "surrogate", id="one too few"),
        pytest.param(SIX + BASELINE + "search: {trials: 6}\n", "grid", id="the baseline is one of its points"),
        pytest.param(SIX + "baseline: {}\nsearch: {trials: 6}\n", "surrogate", id="the baseline is one more"),
        pytest.param(ENDLESS, "surrogate", id="endless"),
        pytest.param(SIX + "search: {method: tpe}\n", "tpe", id="named"),
    ],
)
def test_auto_is(extra: str, method: str) -> None:
    assert method_of(spec(extra)) == method


def test_auto_makes_what_it_stands_for() -> None:
    assert isinstance(make_searcher(spec(SIX)), GridSearch)
    assert isinstance(make_searcher(spec(ENDLESS)), SurrogateSearch)
