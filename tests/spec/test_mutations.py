"""Whatever is done to a sweep file, it is read or refused: no other exception."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vbench.errors import SpecError
from vbench.spec.dump import dump_yaml
from vbench.spec.loader import parse_spec, spec_digest
from vbench.spec.space import count_points
from vbench.spec.yaml_lines import read_yaml

VALID = """\
name: t4
model: org/name
engine: fake
python: python3
hardware: auto
prompts: {synthetic: {count: 4, input_tokens: 8, shared_prefix_tokens: 2}, limit: 3, output_tokens: 16}
engine_args: {dtype: float16, hf_overrides: {a: [1, 2]}}
environment: {A: 1, B: text}
parameters:
  tensor_parallel_size: [1, 2]
  quantization:
    - none
    - awq: {model: org/awq, max_model_len: [1024, 2048]}
  gpu_memory_utilization: {low: 0.80, high: 0.95, step: 0.05}
  speculative_config:
    - none
    - ngram: {method: ngram, num_speculative_tokens: {low: 2, high: 8}, prompt_lookup_max: 4}
search: {method: grid, trials: 40, timeout: 6h, seed: 0, gpu_hours: 8, prune: false, probe_prompts: 2, finalists: 3}
objective: [{maximize: output_throughput_tok_s}, {minimize: p95_ttft_s}]
more_objectives: [{minimize: peak_memory_bytes}]
constraints: [tensor_parallel_size >= 1, peak_memory_mib <= 15360, p95_ttft_ms <= 5]
measure: {warmup_passes: 1, passes: 3, max_seconds: 120}
deadlines: {load: 5m, pass: 2m, close: 10s}
worker_start: auto
baseline: {gpu_memory_utilization: 0.92, quantization: awq, quantization.awq.max_model_len: 1024}
"""
SOURCE = Path("sweep.yaml")
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, -1, 2**62, 1e308, "", "none", "x", "1h", "a <= 1", "../..", "\u2028", "é" * 300),
        *([], {}, [None], [[]], ["a", {"a": {}}]),
        *({"low": 1}, {"low": 2, "high": 1}, {"const": 1}, {"a": {"b": {}}}, {"model": "x"}),
    ]
).map(copy.deepcopy)
KEYS = st.sampled_from(
    ["model", "low", "high", "const", "none", "python", "replicas", "x", "a.b", "-", "speculative_config"]
)


def check(text: str, overrides: tuple[str, ...] = ()) -> None:
    try:
        spec = parse_spec(text, SOURCE, overrides)
    except SpecError as refused:
        told = refused.problems
        assert told
        assert all(problem.message for problem in told)
        return
    assert len(spec_digest(spec)) == 64
    count_points(spec.parameters)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a nested value."""
    inside = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, key) for key, _ in inside] + [place for _, inner in inside for place in places(inner)]


def test_the_file_that_is_mutated_is_sound() -> None:
    spec = parse_spec(VALID, SOURCE)

    # 2 sizes × (none + awq with 2 lengths) × 4 fractions × (none + 7 numbers of tokens) = 2 × 3 × 4 × 8
    assert count_points(spec.parameters) == 192


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_values_and_keys_are_replaced(data: st.DataObject) -> None:
    value = read_yaml(VALID, "f").value
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(value)))
        match data.draw(st.sampled_from(["replace", "delete", "rename", "add"])):
            case "replace":
                container[key] = data.draw(ODD)
            case "delete":
                del container[key]
            case "rename" if isinstance(container, dict):
                container[data.draw(KEYS)] = container.pop(key)
            case _ if isinstance(container, dict):
                container[data.draw(KEYS)] = data.draw(ODD)
        if not places(value):
            break

    check(dump_yaml(value))


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(VALID)), removed=st.integers(0, 20), added=st.text(max_size=8))
def test_characters_are_replaced(at: int, removed: int, added: str) -> None:
    check(VALID[:at] + added + VALID[at + removed :])


@settings(max_examples=300, deadline=None)
@given(
    key=st.sampled_from([*read_yaml(VALID, "f").lines, "max_num_seqs", "a.b", ""]) | st.text(max_size=8),
    value=st.sampled_from(
        ["", "1", "true", "none", "x", "[]", "{}", "[1, 2]", "{low: 1, high: 2}", "awq", "1e999", "'"]
    )
    | st.text(max_size=8),
)
def test_anything_is_set(key: str, value: str) -> None:
    check(VALID, (f"{key}={value}",))
