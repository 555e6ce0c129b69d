"""Estimates of work against peaks, by hand: a model of round numbers on a T4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.records.builders import make_record
from vbench.analysis.roofline import Peaks, Position, peaks_of, position
from vbench.records.record import TrialRecord

WORK = {
    "num_parameters": 1200, "layer_parameters": 1000, "head_parameters": 200, "attention_widths": [[None, 10]],
}  # fmt: skip
PLANNED = {"weights_bytes": 2400, "kv_bytes_per_token": 40}
T4 = {"gpus": [{"name": "Tesla T4"}], "profile": "t4"}
# A pass of the builders: ten requests of 50 prompt and 100 output tokens, 1,000 output tokens in 4 s at 250 tok/s.
# Keys looked at by one request: 1 + … + 50 of its prompt, 51 + … + 149 by the outputs that go through the model.
PROMPT_KEYS, OUTPUT_KEYS = 1275, 9900


def make_planned(
    config: Mapping[str, Any] | None = None, work: Mapping[str, Any] | None = WORK, **changes: Any
) -> TrialRecord:
    fields: dict[str, Any] = {"hardware": T4, "estimate": {"verdict": "fits", "per_gpu": PLANNED, "work": work}}
    return make_record(7, [250.0, 250.0], config=config or {}, **{**fields, **changes})


def place_of(record: TrialRecord, run: Mapping[str, Any] | None = None) -> Position:
    found = position(record, run or {})
    assert found is not None
    return found


def test_flops_of_layers_head_and_attention() -> None:
    flops = 2 * 1000 * (500 + 990) + 2 * 200 * 1000 + 4 * 10 * 10 * (PROMPT_KEYS + OUTPUT_KEYS)
    assert place_of(make_planned()).flops == pytest.approx(flops / 4)


def test_bytes_of_the_fewest_steps_and_of_the_cache() -> None:
    cache = 40 * 10 * OUTPUT_KEYS
    assert place_of(make_planned()).bytes_s == pytest.approx((100 * 2400 + cache) / 4)  # the longest answer's steps
    assert place_of(make_planned({"max_num_seqs": 4})).bytes_s == pytest.approx((250 * 2400 + cache) / 4)
    assert place_of(make_planned({"max_num_batched_tokens": 2})).bytes_s == pytest.approx((250 * 2400 + cache) / 4)
    said = make_planned(engine_facts={"weights_bytes": 1200, "max_num_seqs": 4})
    assert place_of(said).bytes_s == pytest.approx((250 * 1200 + cache) / 4)


def test_embeddings_are_not_read_and_of_experts_a_part() -> None:
    cache = 40 * 10 * OUTPUT_KEYS
    untied = place_of(
        make_planned(work={**WORK, "num_parameters": 1400})
    )  # 200 more, of 2 bytes in a model of any width
    assert untied.bytes_s == pytest.approx((100 * (2400 - 400) + cache) / 4)
    wide = place_of(make_planned({"dtype": "float32"}, work={**WORK, "num_parameters": 1400}))
    assert wide.bytes_s == pytest.approx((100 * (2400 - 800) + cache) / 4)
    experts = place_of(make_planned(work={**WORK, "num_parameters": 4200}))
    assert experts.bytes_s == pytest.approx((100 * (2400 - 400) * 1200 / 4000 + cache) / 4)


def test_speculation_and_cached_prompts_spare_work() -> None:
    plain = place_of(make_planned())
    speculative = make_planned({"speculative_config": {"method": "ngram", "num_speculative_tokens": 4}})
    found = place_of(speculative)
    assert plain.bytes_s is not None
    assert found.bytes_s == pytest.approx(plain.bytes_s / 5)  # at most five tokens a step
    measured = speculative.model_copy(
        update={"measurements": {**speculative.measurements, "mean_acceptance_length": 2.0}}
    )
    assert place_of(measured).bytes_s == pytest.approx(plain.bytes_s / 2)
    cached = make_planned()
    cached = cached.model_copy(update={"measurements": {**cached.measurements, "prefix_cache_hit_rate": 0.5}})
    spared = 2 * 1000 * 250 + 4 * 10 * 10 * PROMPT_KEYS / 2
    assert plain.flops is not None
    assert place_of(cached).flops == pytest.approx(plain.flops - spared / 4)


def test_answers_side_by_side_are_decoded_in_the_same_steps() -> None:
    """Ten requests of 100 tokens: each four samples, or beams, of 25."""
    found = [place_of(make_planned({"sampling": {name: 4}})).bytes_s for name in ("n", "beam_width")]
    keys = 4 * sum(range(51, 75))  # 24 tokens of each go through the model, after the prompt
    assert found == [pytest.approx((25 * 2400 + 40 * 10 * keys) / 4)] * 2


def test_gpus_share_the_work_and_a_processors_ranks_its_memory() -> None:
    both = {"tensor_parallel_size": 2}
    plain = place_of(make_planned())
    assert plain.flops is not None
    assert plain.bytes_s is not None
    assert place_of(make_planned(both)).flops == pytest.approx(plain.flops / 2)
    assert place_of(make_planned(both)).bytes_s == pytest.approx(plain.bytes_s)  # planned bytes are one GPU's already
    on_cpu = place_of(make_planned(both, hardware={"profile": "cpu"}))
    assert on_cpu.flops == pytest.approx(plain.flops)
    assert on_cpu.bytes_s == pytest.approx(2 * plain.bytes_s)


def test_a_window_limits_what_is_looked_at() -> None:
    windowed = make_planned(work={**WORK, "attention_widths": [[10, 10]]})
    keys = sum(min(place, 10) for place in range(1, 150))
    flops = 2 * 1000 * (500 + 990) + 2 * 200 * 1000 + 4 * 10 * 10 * keys
    assert place_of(windowed).flops == pytest.approx(flops / 4)


def test_what_a_record_lacks_is_not_estimated() -> None:
    old = place_of(make_planned(work=None))
    assert old.flops is None
    assert old.intensity is None
    assert old.limit is None
    assert old.bytes_s == pytest.approx((100 * 2400 + 40 * 10 * OUTPUT_KEYS) / 4)
    assert position(make_record(0, 250.0), {}) is None  # never planned
    assert position(make_record(0, None, estimate={"per_gpu": PLANNED, "work": WORK}), {}) is None
    assert position(make_planned(estimate={"per_gpu": {}, "work": "no"}), {}) is None
    absurd = {**WORK, "layer_parameters": 1e300, "attention_widths": [[None, -1], 3, [None, True]]}
    assert place_of(make_planned(work=absurd)).flops is None


def test_peaks_are_those_of_the_card_that_did_the_work() -> None:
    t4 = peaks_of(make_planned(), {})
    assert t4 == Peaks(name="NVIDIA T4", flops=65e12, bytes_s=320e9, format="FP16")
    assert peaks_of(make_planned(hardware={"profile": "cpu"}), {}) is None
    emulated = {"target": {"is_emulated": True, "profile": "t4"}}
    assert peaks_of(make_planned(hardware={"profile": "t4"}), emulated) is None  # a CPU stood in for it
    unknown = {"gpus": [{"name": "A card of tomorrow"}], "profile": "t4"}
    assert peaks_of(make_planned(hardware=unknown), emulated) is None
    assert peaks_of(make_planned(hardware={**unknown, "profile": "no such"}), {}) is None
    assert peaks_of(make_planned({"dtype": "float32"}), {}) is None
    on_h100 = {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]}
    half, eighth = (peaks_of(make_planned(one, hardware=on_h100), {}) for one in ({}, {"quantization": "fp8"}))
    assert half is not None
    assert eighth is not None
    assert (half.format, eighth.format) == ("FP16", "FP8")
    assert eighth.flops > half.flops


@pytest.mark.parametrize(
    ("flops", "bytes_s", "limit"),
    [(50.0, 40.0, "compute"), (10.0, 40.0, "bandwidth"), (10.0, 20.0, "neither"), (10.0, 150.0, None)],
)
def test_which_side_is_nearer(flops: float, bytes_s: float, limit: str | None) -> None:
    peaks = Peaks(name="card", flops=100.0, bytes_s=100.0, format="FP16")
    assert Position(trial=0, flops=flops, bytes_s=bytes_s, peaks=peaks).limit == limit
