"""The fake engine's arithmetic, which other tests build on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution.bench import Bench
from vbench.outcome import Outcome


def pass_seconds(bench: Bench, **engine_args: object) -> list[float]:
    ran = bench.run(engine_args=engine_args, warmup_passes=0, passes=2)
    assert ran.outcome is Outcome.COMPLETED, ran.log
    return [one.duration_s for one in ran.passes]


# 3 prompts × 6 tokens, 4 tokens out. One wave of 3: 3·6·10 µs + 4·(10 ms + 3·0.5 ms) = 0.00018 + 0.046 s.
@pytest.mark.parametrize(
    ("engine_args", "seconds"),
    [
        pytest.param({}, 0.04618, id="one wave"),
        # 2 waves of 2: 2 · (2·6·10 µs + 4·11 ms)
        pytest.param({"max_num_seqs": 2}, 0.08824, id="two waves"),
        pytest.param({"block_size": 64}, 0.00018 + 0.046 * 0.9, id="blocks of 64"),
        pytest.param({"quantization": "awq"}, 0.04618 * 0.6, id="awq"),
    ],
)
def test_a_pass_takes_what_the_formula_says(fake_bench: Bench, engine_args: dict[str, object], seconds: float) -> None:
    assert pass_seconds(fake_bench, **engine_args) == pytest.approx([seconds, seconds])


def test_it_tells_its_tokens_while_it_sleeps(fake_bench: Bench) -> None:
    heard: list[dict[str, Any]] = []
    args = {"sleep_scale": 30.0}  # of 46 ms: 1.4 s
    ran = fake_bench.run(engine_args=args, warmup_passes=0, passes=1, on_event=heard.append)
    assert [one.duration_s for one in ran.passes] == [pytest.approx(0.04618)]
    told = [(message["count"], message["elapsed_s"]) for message in heard if message["event"] == "tokens"]
    assert told  # how often depends on the machine
    assert told == sorted(told)
    assert all(0 < count <= 12 for count, _ in told)
    assert all(0 < elapsed_s <= 0.04618 for _, elapsed_s in told)


def test_noise_is_drawn_from_the_seed(fake_bench: Bench) -> None:
    noisy = pass_seconds(fake_bench, noise=0.1, seed=1)

    assert noisy == pass_seconds(fake_bench, noise=0.1, seed=1)
    assert noisy[0] != noisy[1]
    assert all(abs(one / 0.04618 - 1) <= 0.1 for one in noisy)


@pytest.mark.parametrize(
    ("engine_args", "failure_class"),
    [
        ({"max_model_len": 8193}, "max_model_len_beyond_model"),
        # 1 GiB · 0.07 − 64 MiB = 7.68 MiB for the cache; 8192 tokens of 2 KiB need 16 MiB.
        ({"gpu_memory_utilization": 0.07, "max_model_len": 8192}, "kv_cache_too_small"),
        ({"warp_speed": 9}, "unknown_argument"),
    ],
)
def test_it_refuses_what_an_engine_would(fake_bench: Bench, engine_args: dict[str, object], failure_class: str) -> None:
    assert fake_bench.run(engine_args=engine_args).failure_class == failure_class
