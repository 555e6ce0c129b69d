"""What earlier runs have for a sweep, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.records.builders import make_failure, make_record, make_run
from vbench.errors import UsageError
from vbench.outcome import Outcome
from vbench.records.record import Stopped, TrialRecord
from vbench.records.runs import RunFolder
from vbench.spec.loader import parse_spec
from vbench.spec.types import SweepSpec
from vbench.sweep.placing import is_same_model, point_in
from vbench.sweep.warm_start import priors

BASE = "model: org/model-1b\nprompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}\n"
SPACE = """\
parameters:
  max_num_seqs: {low: 2, high: 64}
  quantization:
    - none
    - awq: {model: org/model-1b-AWQ}
  speculative_config:
    - none
    - ngram: {method: ngram, num_speculative_tokens: [2, 4], prompt_lookup_max: 4}
"""
PLAIN = {"max_num_seqs": 8, "quantization": "none", "speculative_config": "none"}


@pytest.fixture
def spec(tmp_path: Path) -> SweepSpec:
    return parse_spec(BASE + SPACE, tmp_path / "demo.yaml")


def record(trial: int, parameters: dict[str, Any], rate: float | None = 200.0, **changes: Any) -> TrialRecord:
    """One whose configuration is that of its parameters, as far as they are plain."""
    settings = {name: value for name, value in parameters.items() if value != "none" and "." not in name}
    config = {"enable_prefix_caching": False, **settings, **changes.pop("config", {})}
    return make_record(trial, rate, parameters=parameters, config=config, **changes)


def kept(spec: SweepSpec, run: RunFolder, hardware: str = "auto", **known: Any) -> list[tuple[int, dict[str, Any]]]:
    (records,), _ = priors(spec, [run], hardware, **known)
    return [(one.trial, one.parameters) for one in records]


def test_a_run_of_the_same_sweep_is_taken_over(spec: SweepSpec, tmp_path: Path) -> None:
    run = make_run(tmp_path, [record(0, PLAIN), record(1, {**PLAIN, "max_num_seqs": 16})])
    found, notes = priors(spec, [run], "auto")
    assert [[one.parameters["max_num_seqs"] for one in records] for records in found] == [[8, 16]]
    assert notes == [
        f"from demo/{run.run_id}: 2 of its 2 trials are taken over as hints; none of them counts as measured here"
    ]


def test_what_is_taken_over_is_slim(spec: SweepSpec, tmp_path: Path) -> None:
    whole = record(0, PLAIN, engine_facts={"kv_cache_tokens": 1}, warnings=["slow"])
    ((one,),), _ = priors(spec, [make_run(tmp_path, [whole])], "auto")
    assert (one.passes, one.phases, one.warnings, one.engine.facts) == ([], [], [], {})
    assert one.measurements == whole.measurements


def test_each_run_by_itself_in_the_given_order(spec: SweepSpec, tmp_path: Path) -> None:
    first, second = make_run(tmp_path, [record(3, PLAIN)]), make_run(tmp_path, [record(0, PLAIN), record(1, PLAIN)])
    found, _ = priors(spec, [second, first], "auto")
    assert [[one.trial for one in records] for records in found] == [[0, 1], [3]]


def test_the_run_that_is_gone_on_with_is_known_already(spec: SweepSpec, tmp_path: Path) -> None:
    run = make_run(tmp_path, [record(0, PLAIN)])
    found, notes = priors(spec, [run], "auto", own=run)
    assert found == [[]]
    assert "the run that is gone on with" in notes[0]


@pytest.mark.parametrize(
    ("outcome", "is_kept"),
    [
        (Outcome.INFEASIBLE, True),
        (Outcome.UNSUPPORTED, True),
        (Outcome.OUT_OF_MEMORY, True),
        (Outcome.CRASHED, False),
        (Outcome.TIMED_OUT, False),
        (Outcome.INTERRUPTED, False),
    ],
)
def test_of_failures_those_that_the_configuration_decides(
    spec: SweepSpec, tmp_path: Path, outcome: Outcome, is_kept: bool
) -> None:
    failed = record(1, PLAIN, None, outcome=outcome, failure=make_failure())
    run = make_run(tmp_path, [record(0, {**PLAIN, "max_num_seqs": 4}), failed])
    assert [trial for trial, _ in kept(spec, run)] == ([0, 1] if is_kept else [0])


def test_a_repeat_says_nothing_new(spec: SweepSpec, tmp_path: Path) -> None:
    final = record(1, PLAIN, origin="final", repeat_of=0)
    assert [trial for trial, _ in kept(spec, make_run(tmp_path, [record(0, PLAIN), final]))] == [0]


def test_of_another_objective_what_was_measured_counts_and_what_was_pruned_does_not(
    spec: SweepSpec, tmp_path: Path
) -> None:
    stopped = Stopped(phase="pass", after_s=1, bound=0.5, incumbent_trial=0, incumbent_value=0.2, error_rate=0.05)
    pruned = record(1, {**PLAIN, "max_num_seqs": 4}, None, outcome=Outcome.PRUNED, stopped=stopped)
    other = make_run(tmp_path, [record(0, PLAIN), pruned], objective={"metric": "p95_ttft_s", "direction": "minimize"})
    found, notes = priors(spec, [other], "auto")
    assert [one.trial for one in found[0]] == [0]
    assert "it was after p95_ttft_s, this sweep is after output_throughput_tok_s" in notes[1]
    same = make_run(tmp_path, [record(0, PLAIN), pruned])
    assert [trial for trial, _ in kept(spec, same)] == [0, 1]


class TestWhereItLies:
    def test_outside_the_space_is_of_no_use(self, spec: SweepSpec, tmp_path: Path) -> None:
        run = make_run(tmp_path, [record(0, {**PLAIN, "max_num_seqs": 128})])
        found, notes = priors(spec, [run], "auto")
        assert found == [[]]
        assert "none of its 1 trials lies in this sweep's space" in notes[0]

    def test_what_was_fixed_there_is_found_by_the_configuration(self, spec: SweepSpec, tmp_path: Path) -> None:
        speculative = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}
        config = {"max_num_seqs": 16, "quantization": "awq", "model": "org/model-1b-AWQ"}
        run = make_run(tmp_path, [record(0, {}, config={**config, "speculative_config": speculative})])
        assert kept(spec, run) == [
            (0, {"max_num_seqs": 16, "quantization": "awq", "speculative_config": "ngram",
                 "speculative_config.ngram.num_speculative_tokens": 4})
        ]  # fmt: skip

    def test_what_was_searched_there_must_be_what_is_fixed_here(self, tmp_path: Path) -> None:
        fixed = f"{BASE}parameters: {{max_num_seqs: [8, 16]}}\nengine_args: {{block_size: 32}}\n"
        spec = parse_spec(fixed, tmp_path / "demo.yaml")
        records = [record(index, {"max_num_seqs": 8, "block_size": size}) for index, size in enumerate((16, 32))]
        assert [trial for trial, _ in kept(spec, make_run(tmp_path, records))] == [1]

    def test_another_fixed_setting_is_told(self, spec: SweepSpec, tmp_path: Path) -> None:
        run = make_run(tmp_path, [record(0, PLAIN, config={"dtype": "float16"})])
        _, notes = priors(spec, [run], "auto")
        assert notes[1] == f"from demo/{run.run_id}: measured with another dtype"

    def test_a_nested_option_by_its_settings(self, spec: SweepSpec) -> None:
        config = {"max_num_seqs": 8, "speculative_config": {"method": "ngram", "num_speculative_tokens": 2}}
        assert point_in(spec.parameters, config) is None  # without prompt_lookup_max it is another one
        config["speculative_config"] = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}
        assert point_in(spec.parameters, config) is None  # 3 isn't among the choices

    def test_a_sections_key_by_its_dotted_name(self, tmp_path: Path) -> None:
        text = f"{BASE}mode: server\nparameters: {{load.max_concurrency: [4, 8]}}\n"
        spec = parse_spec(text, tmp_path / "demo.yaml")
        point = point_in(spec.parameters, {"load": {"max_concurrency": 8}})
        assert point is not None
        assert point.settings == {"load.max_concurrency": 8}


class TestRefused:
    def refusal(self, spec: SweepSpec, run: RunFolder, hardware: str = "auto", **known: Any) -> str:
        with pytest.raises(UsageError) as caught:
            priors(spec, [run], hardware, **known)
        return str(caught.value)

    def test_another_model(self, spec: SweepSpec, tmp_path: Path) -> None:
        run = make_run(tmp_path, [record(0, PLAIN, config={"model": "org/model-7b"})])
        assert self.refusal(spec, run) == (
            f"--from demo/{run.run_id}: it is of the model org/model-7b, this sweep is of org/model-1b, "
            "org/model-1b-AWQ"
        )

    def test_another_card(self, spec: SweepSpec, tmp_path: Path) -> None:
        run = make_run(tmp_path, [record(0, PLAIN, hardware={"profile": "l4"})])
        assert "it was measured on l4, this sweep runs on t4" in self.refusal(spec, run, "t4")

    def test_another_card_that_goes_by_the_same_name(self, spec: SweepSpec, tmp_path: Path) -> None:
        local = record(0, PLAIN, hardware={"profile": "local-gpu"})
        run = make_run(tmp_path, [local], target={"machine": "2 × Tesla T4", "is_emulated": False})
        assert "measured on 2 × Tesla T4, this machine has 1 × L4" in self.refusal(
            spec, run, "local-gpu", machine="1 × L4"
        )
        assert kept(spec, run, "local-gpu", machine="2 × Tesla T4")

    def test_one_where_the_card_was_emulated(self, spec: SweepSpec, tmp_path: Path) -> None:
        run = make_run(tmp_path, [record(0, PLAIN)], target={"machine": "cpu", "is_emulated": True})
        assert "it was measured where the card was emulated, this sweep runs on the card itself" in self.refusal(
            spec, run
        )

    def test_another_engine(self, spec: SweepSpec, tmp_path: Path) -> None:
        run = make_run(tmp_path, [record(0, PLAIN, engine="fake")])
        assert "it is of the engine fake, this sweep is of vllm" in self.refusal(spec, run)

    def test_one_without_trials(self, spec: SweepSpec, tmp_path: Path) -> None:
        assert "has no trials to learn from" in self.refusal(spec, make_run(tmp_path, []))


def test_what_differs_and_may_is_told(spec: SweepSpec, tmp_path: Path) -> None:
    run = make_run(tmp_path, [record(0, PLAIN)], target={"machine": "4 cores", "is_emulated": False})
    known: dict[str, Any] = {"machine": "2 cores", "engine_version": "0.33.0", "prompt_set_sha256": "ef" * 32}
    _, notes = priors(spec, [run], "auto", **known)
    assert [note.partition(": ")[2] for note in notes[1:]] == [
        "measured on 4 cores, this machine is 2 cores",
        "measured with vllm 0.32.0, here it is 0.33.0",
        "measured on other prompts (prompts/ten.jsonl)",
    ]
    alike: dict[str, Any] = {"machine": "4 cores", "engine_version": "0.32.0", "prompt_set_sha256": "ab" * 32}
    assert len(priors(spec, [run], "auto", **alike)[1]) == 1


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("org/name", "org/name", True),
        ("models/demo/base", "/kaggle/working/models/demo/base", True),
        ("../models/demo/base", "models/demo/base", True),
        ("org/name", "org/name-AWQ", False),
        ("base", "models/base", False),
        ("shape:qwen2.5-7b", "shape:qwen2.5-0.5b", False),
    ],
)
def test_models_by_the_end_of_their_path(one: str, other: str, is_same: bool) -> None:
    assert is_same_model(one, other) is is_same
    assert is_same_model(other, one) is is_same
