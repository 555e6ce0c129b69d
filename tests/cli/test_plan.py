"""`vbench plan`: the table and the JSON, without engine, GPU or download; and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_record, make_run
from vbench.cli.main import run_command
from vbench.errors import MachineError
from vbench.spec.loader import parse_spec
from vbench.spec.types import Range
from vbench.sweep import forecast as forecast_module
from vbench.sweep.sampling import MOST_POINTS, sample_space, values_of

GIB = 1024**3
T4 = """\
name: cards
model: deepseek-ai/deepseek-llm-7b-chat
engine: vllm
hardware: kaggle-2xt4
prompts: {synthetic: {count: 4, input_tokens: 8}, output_tokens: 8}
engine_args: {dtype: float16, gpu_memory_utilization: 0.9, enforce_eager: true}
parameters:
  tensor_parallel_size: [1, 2]
  quantization: [none, awq, squeezellm]
  max_model_len: [1024, 4096]
search: {method: grid}
"""
PER_GPU = {
    "weights_bytes", "kv_bytes_per_token", "kv_tokens", "activation_bytes", "graph_bytes", "context_bytes",
    "total_bytes", "budget_bytes",
}  # fmt: skip


class Planning:
    """Runs `vbench plan` on a file in the current folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, text: str, *words: str, code: int = 0) -> str:
        (self.folder / "cards.yaml").write_text(text, encoding="utf-8")
        found = run_command(["plan", "cards.yaml", "--engine-version", "0.32.0", *words], is_debugging=False)
        out, err = self.capsys.readouterr()
        assert found == code, out + err
        return err if code > 1 else out

    def entries(self, text: str, *words: str, code: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self(text, "--json", *words, code=code))["configurations"]
        return found


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Planning:
    monkeypatch.chdir(tmp_path)
    return Planning(tmp_path, capsys)


def test_json_has_every_configuration_and_exactly_the_keys_promised(plan: Planning) -> None:
    entries = plan.entries(T4)
    assert len(entries) == 12
    for one in entries:
        assert one.keys() == {"config", "verdict", "reason", "per_gpu"}
        assert one["config"]["model"] == "deepseek-ai/deepseek-llm-7b-chat"
        assert one["per_gpu"] is None or one["per_gpu"].keys() == PER_GPU


def test_deepseek_on_one_and_two_t4s(plan: Planning) -> None:
    def verdict(ranks: int, method: str | None, length: int) -> dict[str, Any]:
        wanted = {"tensor_parallel_size": ranks, "quantization": method, "max_model_len": length}
        return next(one for one in entries if all(one["config"].get(key) == value for key, value in wanted.items()))

    entries = plan.entries(T4)
    alone = verdict(1, None, 4096)
    assert alone["per_gpu"]["weights_bytes"] / GIB == pytest.approx(12.87, abs=0.01)
    assert alone["verdict"] == "infeasible"
    assert "tensor_parallel_size 2" in alone["reason"]
    assert verdict(2, None, 4096)["verdict"] == "fits"
    assert verdict(1, "awq", 4096)["verdict"] == "fits"
    assert verdict(1, "squeezellm", 4096)["verdict"] == "unsupported"


def test_the_table_says_what_fits_what_does_not_and_why(plan: Planning) -> None:
    said = " ".join(plan(T4).split())
    assert "kaggle-2xt4: 2 GPUs, each of 14.56 GiB" in said
    assert "deepseek-ai/deepseek-llm-7b-chat (shape deepseek-7b)" in said
    assert said.index("Would be tried") < said.index("Can't run")
    assert "squeezellm isn't in vLLM 0.32.0" in said
    assert "12 configurations: 6 fit, 0 uncertain (tried), 2 can't fit, 4 unsupported" in said
    assert "trials may take" not in said


def test_limit_shortens_the_tables_and_not_the_summary(plan: Planning) -> None:
    said = plan(T4, "--limit", "1")
    assert "… and 5 more: --limit 6" in said
    assert "12 configurations" in said


def test_an_older_engine_is_planned_by_its_own_rules(plan: Planning) -> None:
    entries = plan.entries(T4, "--engine-version", "0.6.0")
    squeezed = [one for one in entries if one["config"].get("quantization") == "squeezellm"]
    assert {one["verdict"] for one in squeezed} != {"unsupported"}


def test_the_exit_code_is_one_when_nothing_would_be_started(plan: Planning) -> None:
    entries = plan.entries(T4, "--set", "tensor_parallel_size=1", "--set", "quantization=squeezellm", code=1)
    assert {one["verdict"] for one in entries} == {"unsupported"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("hardware=t5", "t5"),
        ("hardware=kaggle-p100", "P100"),
        ("search.method=nothing", "nothing"),
    ],
)
def test_bad_input_is_named(plan: Planning, change: str, said: str) -> None:
    assert said.lower() in plan(T4, "--set", change, code=2).lower()


def test_a_version_that_is_none_is_refused(plan: Planning) -> None:
    assert "'newest' is not a version" in plan(T4, "--engine-version", "newest", code=2)


@pytest.mark.parametrize("value", ["1.5", "0", "'much'", "-1"])
def test_absurd_values_are_verdicts_with_the_argument_named(plan: Planning, value: str) -> None:
    entries = plan.entries(T4, "--set", f"gpu_memory_utilization={value}", code=1)
    assert all("gpu_memory_utilization" in one["reason"] for one in entries)


def test_a_model_that_is_not_known_is_uncertain_and_tried(plan: Planning) -> None:
    entries = plan.entries(T4.replace("deepseek-ai/deepseek-llm-7b-chat", "org/unheard-of"))
    assert {one["verdict"] for one in entries} == {"uncertain"}
    assert {one["per_gpu"] is None for one in entries} == {True}
    assert "uncertain" in plan(T4.replace("deepseek-ai/deepseek-llm-7b-chat", "org/unheard-of"))


def test_a_folder_without_a_config_is_bad_input(plan: Planning) -> None:
    (plan.folder / "empty").mkdir()
    assert "config.json" in plan(T4.replace("deepseek-ai/deepseek-llm-7b-chat", "./empty"), code=2)


def test_no_engine_is_needed(plan: Planning, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise MachineError("no engine")

    monkeypatch.setattr(forecast_module, "find_interpreter", none)
    (plan.folder / "cards.yaml").write_text(T4)
    assert run_command(["plan", "cards.yaml"], is_debugging=True) == 0
    assert "none is installed" in " ".join(plan.capsys.readouterr().out.split())


def test_what_the_plans_take_for_granted_is_said(plan: Planning) -> None:
    unset = T4.replace("gpu_memory_utilization: 0.9, ", "")
    said = "vLLM 0.20.0 is taken to have the default gpu_memory_utilization 0.92"
    assert f"assumed: {said}" in " ".join(plan(unset, "--engine-version", "0.20.0").split())
    answer = json.loads(plan(unset, "--engine-version", "0.20.0", "--json"))
    assert [one.startswith(said) for one in answer["assumptions"]] == [True]
    assert answer["quantization_floors"] == "shipped table for vLLM 0.20.0"
    assert json.loads(plan(T4, "--engine-version", "0.20.0", "--json"))["assumptions"] == []


def test_secrets_are_not_printed(plan: Planning) -> None:
    entries = plan.entries(T4 + "environment: {HF_TOKEN: hf_abcdef, OMP_NUM_THREADS: '1'}\n")
    assert entries[0]["config"]["environment"] == {"HF_TOKEN": "***", "OMP_NUM_THREADS": "1"}


def test_earlier_runs_tell_the_time(plan: Planning) -> None:
    make_run(
        plan.folder / "results", [make_record(0, duration_s=60.0), make_record(1, duration_s=120.0)], sweep="cards"
    )
    said = " ".join(plan(T4).split())
    assert "6 trials may take about 9m 00s: earlier ones took 1m 30s each (median)" in said


def test_every_point_once_the_baseline_first_constraints_kept(tmp_path: Path) -> None:
    text = T4 + "baseline: {max_model_len: 4096}\nconstraints: [max_model_len >= 4096]\n"
    sampled = sample_space(parse_spec(text, tmp_path / "cards.yaml"))
    assert sampled.points[0].settings == {"max_model_len": 4096}
    assert len(sampled.points) == 7
    assert sampled.notes == ()


def test_a_large_space_is_sampled_and_said_so(tmp_path: Path) -> None:
    wide = "  max_num_seqs: {low: 1, high: 512}\n  max_num_batched_tokens: {low: 2048, high: 4096}\n"
    text = T4.replace("search:", f"{wide}search:").replace("method: grid", "method: tpe, trials: 20, seed: 3")
    spec = parse_spec(text, tmp_path / "cards.yaml")
    sampled = sample_space(spec)
    assert len(sampled.points) == MOST_POINTS
    assert "stand for a space of more" in sampled.notes[0]
    assert sample_space(spec) == sampled


def test_ranges_that_never_end_stand_for_five_points() -> None:
    assert values_of(Range(low=0.8, high=1.0)) == [0.8, 0.85, 0.9, 0.95, 1.0]
    assert values_of(Range(low=1, high=256, log=True)) == [1, 4, 16, 64, 256]
    assert values_of(Range(low=1, high=6)) == [1, 2, 3, 4, 5, 6]
