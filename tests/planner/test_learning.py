"""What finished trials teach: pure arithmetic on what the engine said."""

from __future__ import annotations

from typing import Any

import pytest

from vbench.planner.learning import NOTHING_LEARNT, Agreement, Kind, compare, learn

MIB = 1024**2
KIND = Kind(model="m")


def agreement(blocks: float, weights: float | None = 1000.0 * MIB, **change: Any) -> Agreement:
    """A plan of 1,000 MiB of weights and 500 blocks of 1 MiB beside what was reported."""
    values: dict[str, Any] = {
        "weights_bytes": 1000 * MIB, "kv_blocks": 500, "block_bytes": MIB, "is_pool_given": False,
        "reported": {"num_gpu_blocks": blocks, "weights_bytes": weights},
    }  # fmt: skip
    return compare(KIND, **{**values, **change})


def test_errors_are_relative_to_what_was_reported() -> None:
    found = agreement(400, 800.0 * MIB)
    assert found.kv_tokens_error == pytest.approx(100 / 400)
    assert found.weights_error == pytest.approx(200 / 800)
    # The pool was 100 MiB smaller than planned although the weights took 200 MiB less: 300 MiB more overhead.
    assert found.overhead_error_bytes == 300 * MIB


def test_what_is_missing_stays_none() -> None:
    found = agreement(0, None)
    assert (found.weights_error, found.kv_tokens_error, found.overhead_error_bytes) == (None, None, None)
    by_tokens = agreement(0, None, reported={"kv_cache_tokens": 6400, "block_size": 16})
    assert by_tokens.kv_tokens_error == pytest.approx(100 / 400)


def test_a_given_pool_says_nothing_of_the_overhead() -> None:
    assert agreement(500, is_pool_given=True).overhead_error_bytes is None
    assert learn([agreement(400, is_pool_given=True)] * 3, KIND).error_bytes is None


def test_nothing_is_learnt_from_nothing_or_from_another_kind() -> None:
    assert learn([], KIND) == NOTHING_LEARNT
    assert learn([agreement(400)] * 3, Kind(model="m", is_eager=True)) == NOTHING_LEARNT


def test_one_trial_shifts_and_three_narrow() -> None:
    one = learn([agreement(400)], KIND)
    assert (one.shift_bytes, one.error_bytes) == (100 * MIB, 256 * MIB)
    three = learn([agreement(400), agreement(405), agreement(390)], KIND)
    assert (three.shift_bytes, three.error_bytes) == (100 * MIB, 64 * MIB)  # twice a spread of 10 is under the floor
    wide = learn([agreement(400), agreement(300), agreement(410)], KIND)
    assert (wide.shift_bytes, wide.error_bytes) == (100 * MIB, 200 * MIB)


def test_weights_are_taken_over_unless_the_shape_is_wrong() -> None:
    assert learn([agreement(500, 1020.0 * MIB)], KIND).weights_ratio == pytest.approx(1.02)
    assert learn([agreement(500, 2000.0 * MIB)], KIND).weights_ratio == 1.0
