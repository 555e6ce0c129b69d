from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vbench.spec.types import Choice, Domain, Option, Range, SweepSpec, is_nested_argument

Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]


def domain(parse: Parse, written: str, name: str = "x") -> Domain:
    return parse(f"parameters: {{{name}: {written}}}\n").parameters[0].domain


def option(label: str, value: Any, **settings: Any) -> Option:
    return Option(label=label, value=value, settings=settings)


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("[1, 2]", [option("1", 1), option("2", 2)]),
        ("[true, false]", [option("true", True), option("false", False)]),
        ("[0.9, 1e-4]", [option("0.9", 0.9), option("0.0001", 1e-4)]),
        ("[none, fp8]", [option("none", None), option("fp8", "fp8")]),
        ("[null, NONE]", [option("none", None), option("NONE", "NONE")]),
        ("[None, on]", [option("none", None), option("on", "on")]),
        ("[awq: {model: org/awq}]", [option("awq", "awq", model="org/awq")]),
        ("[2: {max_num_seqs: 4}]", [option("2", 2, max_num_seqs=4)]),
        ("[none: {dtype: half}]", [option("none", None, dtype="half")]),
        ("[a: {y: [1, 2]}]", [option("a", "a", y=Choice(options=(option("1", 1), option("2", 2))))]),
        ("[a: {y: {low: 1, high: 3}}]", [option("a", "a", y=Range(low=1, high=3))]),
        ("[a: {y: {const: [1, 2]}}]", [option("a", "a", y=[1, 2])]),
        ("[a: {y: {const: {low: 1, high: 2}}}]", [option("a", "a", y={"low": 1, "high": 2})]),
        ("[a: {y: {b: [1]}}]", [option("a", "a", y={"b": [1]})]),
        ("[a: {y: none, z: null}]", [option("a", "a", z=None)]),
    ],
)
def test_a_list_is_a_choice(parse: Parse, written: str, options: list[Option]) -> None:
    assert domain(parse, written) == Choice(options=tuple(options))


def test_a_nested_argument_takes_the_settings_as_its_value(parse: Parse) -> None:
    written = "[none, {ngram: {method: ngram, num_speculative_tokens: {low: 2, high: 8}}}]"

    assert domain(parse, written, "speculative_config") == Choice(
        options=(
            option("none", None),
            option("ngram", "ngram", method="ngram", num_speculative_tokens=Range(low=2, high=8)),
        )
    )


@pytest.mark.parametrize(
    ("name", "is_nested"),
    [("speculative_config", True), ("hf_overrides", True), ("generation_config", False), ("dtype", False)],
)
def test_which_arguments_are_nested(name: str, is_nested: bool) -> None:
    assert is_nested_argument(name) is is_nested


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{low: 1, high: 4}", Range(low=1, high=4)),
        ("{low: 1, high: 4, step: 3}", Range(low=1, high=4, step=3)),
        ("{low: 0, high: 0.5}", Range(low=0.0, high=0.5)),
        ("{low: 0, high: 1, step: 0.25}", Range(low=0.0, high=1.0, step=0.25)),
        ("{low: 1, high: 1024, log: true}", Range(low=1, high=1024, log=True)),
    ],
)
def test_low_and_high_are_a_range(parse: Parse, written: str, expected: Range) -> None:
    read = domain(parse, written)

    assert read == expected
    assert isinstance(read, Range)
    assert type(read.low) is type(expected.low)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("4", "parameters.x: 4 is a single value: nothing to choose from (put fixed values under engine_args)"),
        ("true", "parameters.x: true is a single value"),
        ("[]", "parameters.x: an empty list: nothing to choose from (put fixed values under engine_args)"),
        ("{a: 1}", "parameters.x: expected a list of options or {low: …, high: …}"),
        ("[a, b, a]", "parameters.x.2: option 'a' is there twice"),
        ("[1, '1']", "parameters.x.1: option '1' is there twice"),
        ("[none, null]", "parameters.x.1: option 'none' is there twice"),
        ("[awq, awq: {a: 1}]", "parameters.x.1: option 'awq' is there twice"),
        ("[[1], 2]", "parameters.x.0: a list can't be an option"),
        ("['', 2]", "parameters.x.0: an empty text can't be an option"),
        ("[{a: {b: 1}, c: {d: 1}}]", "parameters.x.0: an option has one label, this has 2 (a, c)"),
        ("[awq: ]", "parameters.x.0.awq: expected settings (keys and values), got nothing (or plain `- awq`)"),
        ("[a: {replicas: 0}]", "parameters.x.0.a.replicas: expected a whole number, 1 or more, got 0"),
        ("[a: {mode: http}]", "parameters.x.0.a.mode: 'http' is not a mode; there is offline, async, server"),
        ("[a: {load.rate: 2}]", "parameters.x.0.a.load.rate: unknown key 'rate' of load"),
        ("[a: {disable_log_stats: true}]", "parameters.x.0.a.disable_log_stats: disable_log_stats can't be set here"),
        ("[a: {y: []}]", "parameters.x.0.a.y: an empty list"),
        ("[a: {model: 4}]", "parameters.x.0.a.model: expected a folder or a hub id, got 4"),
        ("{low: 1}", "parameters.x: a range needs high"),
        ("{low: 1, hihg: 2}", "parameters.x.hihg: unknown key 'hihg' of a range (did you mean high?)"),
        ("{low: 2, high: 2}", "parameters.x: low (2) must be below high (2)"),
        ("{low: 1, high: 4, step: 0}", "parameters.x: step must be above 0, got 0"),
        ("{low: 1, high: 4, step: 9}", "parameters.x: step (9) is wider than the range (1 to 4)"),
        ("{low: 0, high: 4, log: true}", "parameters.x: log needs low above 0, got 0"),
        ("{low: 1, high: 4, step: 1, log: true}", "parameters.x: log and step exclude each other"),
        ("{low: 1, high: 4, log: 1}", "parameters.x.log: expected true or false, got 1"),
        ("{low: true, high: 4}", "parameters.x.low: expected a number, got true"),
        ("{low: '1', high: 4}", "parameters.x.low: expected a number, got '1'"),
        ("{low: 010, high: 4}", "parameters.x.low: 010 starts with 0"),
        ("{low: 1, high: 1e999}", "parameters.x.high: 1e999 is too large"),
        ("{low: 0, high: 9000000}", "parameters.x: more than a million values (give it a wider step)"),
    ],
)
def test_what_is_not_a_domain(refuse: Refuse, written: str, expected: str) -> None:
    told = refuse(f"parameters: {{x: {written}}}\n")

    assert told.startswith("sweep.yaml:3: parameters.x")
    assert expected in told


def test_one_fault_is_told_once(refuse: Refuse) -> None:
    assert refuse("parameters: {x: {low: 010, high: 4}}\n").count("\n") == 0


def test_a_nested_argument_has_no_plain_options(refuse: Refuse) -> None:
    told = refuse("parameters:\n  speculative_config:\n    - none\n    - ngram\n")

    assert told == (
        "sweep.yaml:6: parameters.speculative_config.1: speculative_config takes keys and values "
        "(write ngram: {…} with its settings)"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("disable_log_stats", "vbench keeps the engine's statistics on"),
        ("max-num-seqs", "'max-num-seqs' is not an argument's name (write max_num_seqs)"),
        ("--dtype", "'--dtype' is not an argument's name (write dtype)"),
    ],
)
def test_a_name_that_cannot_be_searched(refuse: Refuse, name: str, expected: str) -> None:
    assert expected in refuse(f"parameters:\n  '{name}': [1, 2]\n")


def test_fixed_and_searched_at_once(refuse: Refuse) -> None:
    told = refuse("engine_args: {dtype: half}\nparameters:\n  dtype: [half, float]\n")

    assert "sweep.yaml:5: parameters.dtype: dtype is also in engine_args" in told


def test_a_grid_needs_steps(parse: Parse, refuse: Refuse) -> None:
    written = "parameters: {x: [a: {y: {low: 0.5, high: 0.9}}]}\n"

    assert "parameters.x.0.a.y: a grid can't walk a continuous range" in refuse(f"search: {{method: grid}}\n{written}")
    assert parse(f"search: {{method: random}}\n{written}").parameters


@pytest.mark.parametrize(
    "written",
    [
        "parameters: {model: [./small, org/big]}",
        "parameters: {model: [small: {model: ./small}]}",
        "parameters: {model: [./small: {dtype: half}]}",
        "parameters: {quantization: [awq: {model: ./small}]}",
        "parameters: {quantization: [awq: {model: [./small, org/big]}]}",
        "parameters: {speculative_config: [draft: {model: ./small}]}",
        "engine_args: {speculative_config: {model: ./small}}",
    ],
)
def test_a_model_folder_in_a_choice_becomes_absolute(
    parse: Parse, refuse: Refuse, tmp_path: Path, written: str
) -> None:
    assert "no such folder" in refuse(f"{written}\n")

    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text(json.dumps({}))
    spec = parse(f"{written}\n")

    assert f"'{tmp_path}/small'" in repr((spec.parameters, spec.engine_args))
