from __future__ import annotations

import pytest

from vbench.spec.space import count_points, enumerate_points, point_of, recorded_parameters
from vbench.spec.types import Choice, Option, Parameter, Range, Scalar

SEQS = Parameter(name="max_num_seqs", domain=Choice(options=tuple(Option(label=str(n), value=n) for n in (64, 128))))
QUANTIZATION = Parameter(
    name="quantization",
    domain=Choice(
        options=(
            Option(label="none", value=None),
            Option(label="awq", value="awq", settings={"model": "org/awq", "dtype": "float16"}),
        )
    ),
)
SPECULATIVE = Parameter(
    name="speculative_config",
    domain=Choice(
        options=(
            Option(label="none", value=None),
            Option(
                label="ngram",
                value="ngram",
                settings={"method": "ngram", "num_speculative_tokens": Range(low=2, high=4)},
            ),
        )
    ),
)
CONTINUOUS = Parameter(name="gpu_memory_utilization", domain=Range(low=0.8, high=0.9))


def test_the_last_parameter_turns_fastest() -> None:
    labels = [tuple(point.parameters.values()) for point in enumerate_points([SEQS, QUANTIZATION])]

    assert labels == [("64", "none"), ("64", "awq"), ("128", "none"), ("128", "awq")]


def test_a_conditional_exists_only_under_its_option() -> None:
    points = list(enumerate_points([SPECULATIVE]))

    assert [point.settings for point in points] == [
        {},
        *({"speculative_config": {"method": "ngram", "num_speculative_tokens": n}} for n in (2, 3, 4)),
    ]
    assert points[0].parameters == {"speculative_config": "none"}
    assert points[1].parameters == {
        "speculative_config": "ngram",
        "speculative_config.ngram.num_speculative_tokens": 2,
    }


def test_an_option_brings_its_settings_along() -> None:
    settings = [point.settings for point in enumerate_points([QUANTIZATION])]

    assert settings == [{}, {"quantization": "awq", "model": "org/awq", "dtype": "float16"}]


def test_a_later_parameter_wins_over_a_setting() -> None:
    dtype = Parameter(name="dtype", domain=Choice(options=(Option(label="auto", value="auto"),)))

    assert [point.settings["dtype"] for point in enumerate_points([QUANTIZATION, dtype])] == ["auto", "auto"]


def test_no_parameters_are_one_point() -> None:
    assert [point.settings for point in enumerate_points([])] == [{}]


@pytest.mark.parametrize("parameters", [[], [SEQS], [SPECULATIVE], [SEQS, QUANTIZATION, SPECULATIVE]])
def test_the_count_is_what_is_enumerated(parameters: list[Parameter]) -> None:
    assert count_points(parameters) == len(list(enumerate_points(parameters)))


def test_a_continuous_range_has_no_count_and_no_grid() -> None:
    assert count_points([SEQS, CONTINUOUS]) is None
    with pytest.raises(ValueError, match="gpu_memory_utilization is a continuous range"):
        list(enumerate_points([CONTINUOUS]))


def test_more_than_the_limit_is_not_counted() -> None:
    assert count_points([SEQS, QUANTIZATION], limit=3) is None


def test_the_point_of_what_was_chosen() -> None:
    chosen: dict[str, Scalar] = {
        "speculative_config": "ngram",
        "speculative_config.ngram.num_speculative_tokens": 3,
    }

    point = point_of([SPECULATIVE], chosen)

    assert point is not None
    assert point.settings == {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}}


@pytest.mark.parametrize("number", [1, 5, 2.5, "3", True, None])
def test_no_point_outside_the_domain(number: Scalar) -> None:
    chosen: dict[str, Scalar] = {
        "speculative_config": "ngram",
        "speculative_config.ngram.num_speculative_tokens": number,
    }

    assert point_of([SPECULATIVE], chosen) is None


def test_no_point_where_a_value_is_missing_or_unknown() -> None:
    assert point_of([SPECULATIVE], {"speculative_config": "ngram"}) is None
    assert point_of([SEQS], {"max_num_seqs": "256"}) is None


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Range(low=2, high=5), [2, 3, 4, 5]),
        (Range(low=1, high=10, step=4), [1, 5, 9]),
        (Range(low=0.8, high=0.95, step=0.05), [0.8, 0.85, 0.9, 0.95]),
    ],
)
def test_the_values_of_a_range_are_those_it_contains(domain: Range, values: list[float]) -> None:
    assert domain.values() == values
    assert all(domain.contains(value) for value in values)
    assert not domain.contains(values[0] + 0.01)


def test_a_recorded_point_is_found_again_by_values_and_by_labels() -> None:
    domain = Choice(
        options=(
            Option(label="none", value=None),
            Option(label="16", value=16),
            Option(label="true", value=True),
            Option(label="awq", value="awq", settings={"model": "x"}),
        )
    )
    parameters = [Parameter(name="a", domain=domain)]
    recorded = [recorded_parameters(parameters, point) for point in enumerate_points(parameters)]
    assert recorded == [{"a": "none"}, {"a": 16}, {"a": True}, {"a": "awq"}]
    assert [point_of(parameters, one) for one in recorded] == list(enumerate_points(parameters))
    assert point_of(parameters, {"a": "16"}) == point_of(parameters, {"a": 16})
    assert point_of(parameters, {"a": 1}) is None


def test_a_path_is_recorded_as_it_was_written_and_found_again_after_a_move() -> None:
    def python_in(folder: str) -> list[Parameter]:
        options = (Option(label="./envs/a", value=f"{folder}/envs/a"), Option(label="python3", value="python3"))
        return [Parameter(name="python", domain=Choice(options=options))]

    here, moved = python_in("/here"), python_in("/there")
    recorded = recorded_parameters(here, next(enumerate_points(here)))
    found = point_of(moved, recorded)
    earlier = point_of(here, {"python": "/here/envs/a"})  # as records had it before

    assert recorded == {"python": "./envs/a"}
    assert found is not None
    assert found.settings == {"python": "/there/envs/a"}
    assert earlier is not None
