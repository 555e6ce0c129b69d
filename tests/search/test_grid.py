from __future__ import annotations

from tests.search.spaces import SEQS, SMALL, asking, ended, search
from vbench.outcome import Outcome
from vbench.search.grid import GridSearch
from vbench.spec.space import count_points, enumerate_points
from vbench.spec.types import Parameter, Range

IN_ORDER = [
    {"max_num_seqs": "64", "speculative_config": "none"},
    {"max_num_seqs": "64", "speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 2},
    {"max_num_seqs": "64", "speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 3},
    {"max_num_seqs": "64", "speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 4},
    {"max_num_seqs": "128", "speculative_config": "none"},
    {"max_num_seqs": "128", "speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 2},
    {"max_num_seqs": "128", "speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 3},
    {"max_num_seqs": "128", "speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 4},
]


def test_every_point_comes_once_in_the_files_order_and_then_none() -> None:
    points, _ = search(GridSearch(SMALL), 100)

    assert [point.parameters for point in points] == IN_ORDER
    assert len(points) == count_points(SMALL)


def test_a_condition_brings_its_settings() -> None:
    points, _ = search(GridSearch(SMALL), 2)

    assert points[0].settings == {"max_num_seqs": 64}
    assert points[1].settings == {
        "max_num_seqs": 64,
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 2},
    }


def test_outcomes_change_nothing() -> None:
    points, _ = search(GridSearch(SMALL), 100, ended(Outcome.CRASHED))

    assert [point.parameters for point in points] == IN_ORDER


def test_what_is_not_allowed_is_left_out() -> None:
    points, _ = search(GridSearch(SMALL), 100, is_allowed=lambda point: point.settings["max_num_seqs"] > 64)

    assert [point.parameters for point in points] == IN_ORDER[4:]


def test_what_is_asked_of_a_running_engine_turns_fastest() -> None:
    concurrency = Parameter(name="load.max_concurrency", domain=Range(low=1, high=3))
    points, _ = search(GridSearch((concurrency, SEQS)), 100)

    assert [dict(point.parameters) for point in points] == [
        {"load.max_concurrency": load, "max_num_seqs": seqs} for seqs in ("64", "128") for load in (1, 2, 3)
    ]
    assert all(list(point.parameters) == ["load.max_concurrency", "max_num_seqs"] for point in points)


def test_a_resumed_grid_goes_on() -> None:
    everything = list(enumerate_points(SMALL))

    for done in range(len(everything)):
        assert GridSearch(SMALL).ask(asking(done, everything[:done])) == everything[done]
