from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vbench.spec.types import SweepSpec

Parse = Callable[..., SweepSpec]
Refuse = Callable[..., str]
SPACE = """\
engine_args: {dtype: half}
parameters:
  max_num_seqs: [64, 128]
  gpu_memory_utilization: {low: 0.8, high: 0.9, step: 0.05}
  speculative_config: [none, ngram: {num_speculative_tokens: {low: 2, high: 8}}]
"""


@pytest.mark.parametrize(
    ("written", "baseline"),
    [
        ("{}", {}),
        ("{max_num_seqs: 64}", {"max_num_seqs": "64"}),
        ("{gpu_memory_utilization: 0.92}", {"gpu_memory_utilization": 0.92}),
        ("{dtype: float}", {"dtype": "float"}),
        ("{speculative_config: null}", {"speculative_config": "none"}),
        (
            "{speculative_config: ngram, speculative_config.ngram.num_speculative_tokens: 3}",
            {"speculative_config": "ngram", "speculative_config.ngram.num_speculative_tokens": 3},
        ),
    ],
)
def test_a_baseline(parse: Parse, written: str, baseline: dict[str, Any]) -> None:
    assert parse(f"{SPACE}baseline: {written}\n").baseline == baseline


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{max_num_seq: 64}", "baseline.max_num_seq: max_num_seq is neither a parameter nor an engine argument"),
        ("{max_num_seq: 64}", "did you mean max_num_seqs?"),
        ("{xyzzy: 64}", "fix it under engine_args, or search it"),
        ("{max_num_seqs: 256}", "baseline.max_num_seqs: 256 is not an option of max_num_seqs (there is 64, 128)"),
        ("{max_num_seqs: [64]}", "baseline.max_num_seqs: a list is not an option"),
        ("{speculative_config: ngrm}", "'ngrm' is not an option of speculative_config (did you mean ngram?)"),
        ("{gpu_memory_utilization: high}", "baseline.gpu_memory_utilization: expected a number, got 'high'"),
        ("{gpu_memory_utilization: true}", "expected a number, got true"),
        ("{speculative_config: ngram}", "baseline: speculative_config.ngram.num_speculative_tokens needs a value"),
        ("{speculative_config.ngram.num_speculative_tokens: 3}", "belongs to an option that the baseline doesn't"),
        ("[64]", "baseline: expected keys and values, got a list"),
    ],
)
def test_a_faulty_baseline(refuse: Refuse, written: str, expected: str) -> None:
    told = refuse(f"{SPACE}baseline: {written}\n")

    assert told.startswith("sweep.yaml:8: ")
    assert expected in told


def test_a_faulty_parameter_is_told_once(refuse: Refuse) -> None:
    assert "baseline" not in refuse("parameters: {x: 4}\nbaseline: {x: 4}\n")
