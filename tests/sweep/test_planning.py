"""The planner within a sweep: what it refuses isn't started, what it says is kept, and it never ends a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE
from tests.records.builders import make_record
from tests.sweep.conftest import Sweeps
from vbench.cli.main import run_command
from vbench.outcome import Outcome
from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import Budget
from vbench.planner.verdict import Verdict
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep import planning
from vbench.sweep.planning import SweepPlanner, abilities_of

GIB = 1024**3
# 16 layers of 8 KV heads of 64: 32,768 bytes a token in 16 bits, so that 1 GiB holds 32,768 tokens.
SHAPED = BASE.replace("org/name", "meta-llama/Llama-3.2-1B-Instruct") + 'environment: {VLLM_CPU_KVCACHE_SPACE: "1"}\n'
LENGTHS = "parameters: {max_model_len: [1024, 65536]}\nsearch: {method: grid}\n"
TOO_LONG = BASE.replace("org/name", "facebook/opt-125m") + "engine_args: {max_model_len: 4096}\n"
"""Beyond the model's own 2,048, which the fake engine doesn't know."""
T4 = Budget(visible_bytes=15_636_037_632, num_gpus=1, compute_capability=(7, 5), name="t4")
CPU = Budget(visible_bytes=16 * GIB, kind="cpu", name="cpu")


def spec_of(text: str, tmp_path: Path) -> SweepSpec:
    return parse_spec(text, tmp_path / "small.yaml")


def planner_of(text: str, tmp_path: Path, budget: Budget = T4) -> SweepPlanner:
    return SweepPlanner(spec_of(text, tmp_path), budget, EngineAbilities())


def config_of(**settings: Any) -> dict[str, Any]:
    return {"engine": "fake", "model": "Qwen/Qwen2.5-7B-Instruct", "dtype": "float16", **settings}


def test_a_refused_configuration_is_recorded_and_not_started(sweep: Sweeps) -> None:
    result = sweep(LENGTHS, base=SHAPED)
    fits, refused = result.records
    assert (fits.outcome, refused.outcome) == (Outcome.COMPLETED, Outcome.INFEASIBLE)
    assert refused.failure is not None
    assert refused.failure.failure_class == "planner_infeasible"
    assert refused.failure.phase == "plan"
    assert "short of one request of 65,536 tokens" in refused.failure.evidence
    # 1 GiB was given; 65,536 tokens and the null block take 2 GiB and 4 MiB: the variable counts whole GiB.
    assert refused.failure.evidence.startswith("VLLM_CPU_KVCACHE_SPACE 1 (GiB) is ")
    assert "max_model_len ≤ 32,512, or VLLM_CPU_KVCACHE_SPACE ≥ 3 (GiB)" in refused.failure.advice
    assert refused.passes == []
    assert refused.duration_s is None
    assert not result.run.log(1).exists()
    assert sweep.heard.said.count("trial_finished 1") == 1


def test_the_record_of_a_refused_trial_says_what_was_asked_like_any_other(sweep: Sweeps) -> None:
    base = SHAPED.replace('SPACE: "1"}', 'SPACE: "1", HF_TOKEN: hf_abcdef, RANK_HINT: "0"}')
    ran, refused = sweep(LENGTHS, base=base).records
    assert refused.outcome is Outcome.INFEASIBLE
    assert refused.config["environment"] == {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_TOKEN": "***", "RANK_HINT": "0"}
    assert ran.config["environment"] == refused.config["environment"]
    assert ran.config.keys() == refused.config.keys()
    assert (ran.parameters, refused.parameters) == ({"max_model_len": 1024}, {"max_model_len": 65536})
    assert refused.environment == {"notes": []}


def test_with_nothing_to_start_no_engine_is_prepared(sweep: Sweeps) -> None:
    result = sweep(base=TOO_LONG)
    assert [record.outcome for record in result.records] == [Outcome.INFEASIBLE]
    assert "engine_starting" not in sweep.heard.said
    assert result.status == "exhausted"  # of the one trial that was wanted none was started


def test_a_refused_trial_stays_refused_when_a_run_goes_on(sweep: Sweeps) -> None:
    text = LENGTHS
    first = sweep(text, base=SHAPED)
    again = sweep(text, base=SHAPED)
    assert again.run.path == first.run.path
    assert [one.trial for one in again.records] == [0, 1]


def test_the_record_of_a_trial_carries_its_estimate(sweep: Sweeps) -> None:
    result = sweep("engine_args: {max_model_len: 4096}\n", base=SHAPED)
    estimate = result.records[0].estimate
    assert estimate is not None
    assert estimate["verdict"] == "fits"
    assert estimate["per_gpu"]["kv_bytes_per_token"] == 32_768
    stored = json.loads(result.run.trials_jsonl.read_text())
    assert stored["estimate"] == estimate


def test_a_model_that_is_not_known_is_tried(sweep: Sweeps) -> None:
    (record,) = sweep().records
    assert record.outcome is Outcome.COMPLETED
    assert record.estimate is not None
    assert record.estimate["verdict"] == "uncertain"


def test_no_plan_starts_what_the_planner_would_refuse(sweep: Sweeps, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep.folder / "small.yaml").write_text(TOO_LONG)
    assert run_command(["run", "small.yaml"], is_debugging=True) == 1
    assert "planner_infeasible" in capsys.readouterr().out
    assert run_command(["run", "small.yaml", "--no-plan"], is_debugging=True) == 0
    assert run_command(["sweep", "small.yaml", "--no-plan", "--json"], is_debugging=True) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-2])
    assert record["outcome"] == "completed"
    assert record["estimate"] is None


def test_a_defect_of_the_planner_costs_a_plan_and_no_sweep(sweep: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(planning, "plan", broken)
    (record,) = sweep(base=SHAPED).records
    assert record.outcome is Outcome.COMPLETED
    assert record.estimate is not None
    assert "ZeroDivisionError: of all things" in record.estimate["reason"]


def test_files_that_are_no_model_are_left_to_the_engine(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    planner = planner_of(BASE, tmp_path)
    assert planner.plan(config_of(model=str(broken))).verdict is Verdict.UNCERTAIN
    assert planner.plan(config_of(hf_overrides={"num_hidden_layers": 2})).verdict is Verdict.UNCERTAIN


def test_a_models_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planner = planner_of(BASE, tmp_path)
    planner.plan(config_of())
    monkeypatch.setattr(planning, "find_model", lambda name: pytest.fail(f"{name} was read again"))
    planner.plan(config_of(max_model_len=2048))


def test_on_a_cpu_a_share_of_memory_is_refused_only_when_far_off(tmp_path: Path) -> None:
    planner = planner_of(BASE, tmp_path, CPU)
    near = planner.plan(config_of(gpu_memory_utilization=0.9, dtype="bfloat16", max_model_len=2048))
    assert near.verdict is Verdict.UNCERTAIN
    assert "by a rough estimate (CPU)" in near.reason
    assert near.remedies == ()
    far = planner.plan(config_of(gpu_memory_utilization=0.1, dtype="bfloat16", max_model_len=2048))
    assert far.verdict is Verdict.INFEASIBLE


def test_the_variable_of_the_cpu_backend_gives_the_kv_space(tmp_path: Path) -> None:
    config = config_of(kv_cache_memory_bytes=1024, max_model_len=4096, model="Qwen/Qwen2.5-0.5B-Instruct")
    planner = planner_of(BASE, tmp_path, CPU)
    given = {**config, "environment": {"VLLM_CPU_KVCACHE_SPACE": "2"}}
    assert planner.plan(given).verdict is not Verdict.INFEASIBLE
    assert planner.plan(config).verdict is Verdict.INFEASIBLE


def test_finished_trials_narrow_the_margin_of_their_kind(tmp_path: Path) -> None:
    planner = planner_of(SHAPED + "engine_args: {dtype: float16, enforce_eager: true}\n", tmp_path)
    small = "Qwen/Qwen2.5-3B-Instruct"
    settings = {"model": small, "max_model_len": 2048}
    config = config_of(enforce_eager=True, **settings)
    before = planner.plan(config)
    assert before.per_gpu is not None
    assert before.kv_blocks is not None
    assert before.error_bytes is not None
    facts = {"weights_bytes": before.per_gpu.weights_bytes, "num_gpu_blocks": before.kv_blocks - 100}
    for trial in range(3):
        planner.learn(make_record(trial, engine_facts=facts), settings)
    after = planner.plan(config)
    assert after.error_bytes == 64 * 1024**2 < before.error_bytes
    assert after.kv_blocks == before.kv_blocks - 100
    other = planner.plan({**config, "dtype": "bfloat16", "model": "Qwen/Qwen2.5-7B-Instruct"})
    assert other.error_bytes != after.error_bytes


def test_on_a_cpu_the_margin_is_not_narrowed(tmp_path: Path) -> None:
    planner = planner_of(BASE, tmp_path, Budget(visible_bytes=64 * GIB, kind="cpu", name="cpu"))
    settings = {"model": "Qwen/Qwen2.5-0.5B-Instruct", "gpu_memory_utilization": 0.5, "dtype": "float16"}
    unset = {"engine": "fake", "enable_prefix_caching": False, **settings}
    before = planner.plan(unset)
    for trial in range(4):
        planner.learn(make_record(trial, engine_facts={"num_gpu_blocks": (before.kv_blocks or 0) - 50}), settings)
    assert planner.plan(unset).error_bytes == before.error_bytes


def test_lessons_are_of_the_arithmetic_and_not_of_earlier_lessons(tmp_path: Path) -> None:
    planner = planner_of(SHAPED, tmp_path)
    config = config_of(max_model_len=2048, model="Qwen/Qwen2.5-3B-Instruct")
    before = planner.plan(config)
    assert before.kv_blocks is not None
    settings = {name: value for name, value in config.items() if name != "engine"}
    for trial in range(5):
        planner.learn(make_record(trial, engine_facts={"num_gpu_blocks": before.kv_blocks - 100}), settings)
    assert planner.plan(config).kv_blocks == before.kv_blocks - 100


def test_an_engines_own_words_go_before_the_table() -> None:
    said = abilities_of("vllm", "0.32.0+cpu", {"quantization_min_capability": {"awq": 75, "odd": None, "x": "?"}})
    assert said.version == (0, 32, 0)
    assert said.methods == {"awq": 75, "odd": None, "x": None}
    assert abilities_of("vllm", "0.9.1", {}).methods is None
    assert abilities_of("fake", "1.0").version == EngineAbilities().version


def test_nothing_said_is_nothing_learnt(tmp_path: Path) -> None:
    planner = planner_of(SHAPED, tmp_path)
    config = config_of(model="Qwen/Qwen2.5-3B-Instruct")
    before = planner.plan(config)
    planner.learn(make_record(0), config)
    assert planner.plan(config) == before
