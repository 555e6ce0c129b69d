from __future__ import annotations

from collections.abc import Callable

import pytest

from vbench.spec.types import Choice, Option, SweepSpec

Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]
SEARCHED = """\
engine_args: {dtype: half}
parameters:
  max_num_seqs: [64, 128]
  quantization: [none, awq: {model: org/awq}]
search: {trials: 40}
baseline: {max_num_seqs: 64}
"""


def test_a_dotted_key_changes_the_file(parse: Parse) -> None:
    spec = parse(SEARCHED, ["search.trials=5", "prompts.limit=1", "measure.max_seconds=2m"])

    assert (spec.search.trials, spec.prompts.limit, spec.measure.max_seconds) == (5, 1, 120.0)


def test_another_key_fixes_an_engine_argument(parse: Parse) -> None:
    spec = parse(SEARCHED, ["max_num_seqs=4"])

    assert spec.engine_args == {"dtype": "half", "max_num_seqs": 4}
    assert [parameter.name for parameter in spec.parameters] == ["quantization"]
    assert spec.baseline == {}


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("enforce_eager=true", "enforce_eager", True),
        ("gpu_memory_utilization=0.9", "gpu_memory_utilization", 0.9),
        ("kv_cache_dtype='8'", "kv_cache_dtype", "8"),
        ("speculative_config={method: ngram}", "speculative_config", {"method": "ngram"}),
        ("speculative_config.method=ngram", "speculative_config", {"method": "ngram"}),
        ("dtype=float16", "dtype", "float16"),
        ("engine_args.dtype=a=b", "dtype", "a=b"),
    ],
)
def test_the_value_of_an_argument(parse: Parse, override: str, name: str, value: object) -> None:
    assert parse(SEARCHED, [override]).engine_args[name] == value


def test_none_leaves_the_argument_out(parse: Parse) -> None:
    spec = parse(SEARCHED, ["quantization=none", "dtype=none"])

    assert spec.engine_args == {}
    assert [parameter.name for parameter in spec.parameters] == ["max_num_seqs"]


def test_a_label_brings_its_settings(parse: Parse) -> None:
    spec = parse(SEARCHED, ["quantization=awq"])

    awq = Option(label="awq", value="awq", settings={"model": "org/awq"})
    assert spec.parameters[-1].domain == Choice(options=(awq,))


def test_a_parameter_can_be_replaced(parse: Parse) -> None:
    spec = parse(SEARCHED, ["parameters.dtype=[half, float]", "parameters.max_num_seqs=[1]"])

    assert spec.engine_args == {}
    assert [parameter.name for parameter in spec.parameters] == ["max_num_seqs", "quantization", "dtype"]


def test_setting_the_model_ends_its_search(parse: Parse) -> None:
    spec = parse("parameters: {model: [org/a, org/b]}\n", ["model=org/c"])

    assert (spec.model, spec.parameters) == ("org/c", ())


def test_the_last_one_wins_and_the_text_stays_as_read(parse: Parse) -> None:
    spec = parse(SEARCHED, ["search.trials=5", "search.trials=6"])

    assert spec.search.trials == 6
    assert "trials: 40" in spec.text
    assert "search.trials" not in spec.lines


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("search.trials", "--set search.trials: expected KEY=VALUE (such as --set search.trials=5)"),
        ("=5", "--set =5: expected KEY=VALUE"),
        ("a..b=5", "--set a..b=5: expected KEY=VALUE"),
        ("search.trials=abc", "--set search.trials: expected a whole number, got 'abc'"),
        ("search.trails=5", "--set search.trails: unknown key 'trails' (did you mean trials?)"),
        ("x=010", "--set x: 010 starts with 0"),
        ("x=[1", "--set x: "),
        ("model.shape=x", "--set model.shape: model holds 'org/name' in the file, not keys and values"),
        ("max-num-seqs=5", "--set max-num-seqs: 'max-num-seqs' is not an argument's name (write max_num_seqs)"),
        ("replicas=no", "--set replicas: expected a whole number, got 'no'"),
        ("parameters.x=5", "--set parameters.x: 5 is a single value"),
        ("model=", "--set model: is missing"),
        ("parameters.max_num_seqs.low=5", "--set parameters.max_num_seqs.low: max_num_seqs holds a list"),
    ],
)
def test_a_problem_names_the_option(refuse: Refuse, override: str, expected: str) -> None:
    assert f"sweep.yaml: {expected}" in refuse(SEARCHED, [override])
