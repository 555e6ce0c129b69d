from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vbench.records.redaction import KNOWN
from vbench.spec.loader import parse_spec, spec_digest
from vbench.spec.types import SweepSpec

Parse = Callable[..., SweepSpec]
SWEEP = "parameters: {x: [1, 2], y: {low: 1, high: 4}}\nengine_args: {a: 1, b: 2}\n"


@pytest.mark.parametrize(
    "extra",
    [
        "search: {trials: 500}",
        "search: {timeout: 6h}",
        "search: {gpu_hours: 8}",
        "search: {finalists: 2, final_rounds: 3}",
        "search: {random_arm: true}",
        "search: {reuse_engine: false, parallel_trials: 2}",
        "name: other",
        "description: other",
        "deadlines: {load: 1h}",
        "# a comment",
        "hardware: auto",
    ],
)
def test_a_budget_or_a_name_is_not_another_sweep(parse: Parse, extra: str) -> None:
    assert spec_digest(parse(f"{SWEEP}{extra}\n")) == spec_digest(parse(SWEEP))


@pytest.mark.parametrize(
    "override",
    [
        "model=org/other",
        "engine=fake",
        "python=python3.9",
        "hardware=t4",
        "prompts.limit=1",
        "prompts.output_tokens=9",
        "prompts.synthetic.seed=1",
        "a=2",
        "environment.A=1",
        "parameters.x=[1, 3]",
        "parameters.y.high=5",
        "search.method=random",
        "search.seed=1",
        "search.prune=true",
        "search.prune_error_rate=0.1",
        "search.probe_prompts=1",
        "objective=[{maximize: output_throughput_tok_s}, {minimize: p95_ttft_s}]",
        "objective.minimize=startup_s",
        "constraints=[startup_s < 5]",
        "measure.passes=4",
        "worker_start=cold",
        "baseline={}",
    ],
)
def test_what_is_tried_or_how_is_another_sweep(parse: Parse, override: str) -> None:
    assert spec_digest(parse(SWEEP, [override])) != spec_digest(parse(SWEEP))


def test_the_order_of_arguments_is_the_same_sweep(parse: Parse) -> None:
    other = SWEEP.replace("{a: 1, b: 2}", "{b: 2, a: 1}")

    assert spec_digest(parse(other)) == spec_digest(parse(SWEEP))


def test_a_sweep_that_moves_with_its_folder_is_the_same(tmp_path: Path) -> None:
    digests = []
    for name in ("here", "there"):
        model = tmp_path / name / "tiny"
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps({}))
        (tmp_path / name / "p.jsonl").write_text("")
        text = "model: ./tiny\nprompts: {file: p.jsonl, output_tokens: 8}\n"
        digests.append(spec_digest(parse_spec(text, tmp_path / name / "s.yaml")))

    assert digests[0] == digests[1]


def test_a_variable_around_vbench_makes_no_other_sweep(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    before = spec_digest(parse(SWEEP, ["environment.PROJECT=acme2024"]))
    monkeypatch.setenv("DATABASE_PASSWORD", "acme2024")
    KNOWN.forget()
    try:
        assert spec_digest(parse(SWEEP, ["environment.PROJECT=acme2024"])) == before
    finally:
        monkeypatch.undo()
        KNOWN.forget()
