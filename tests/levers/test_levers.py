"""Levers on the real vLLM: a part of `benchmarks/levers.md`'s cases, each proven by what the engine itself reported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.lever_cases import CASES
from benchmarks.lever_sweep import BASELINE, REFUSED_BY_NAME, Case
from benchmarks.levers import judge, refusal, run_cases, spec_of, table, with_counters
from vbench.errors import MachineError
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.sweep.prepared import Prepared, prepare

QUICK = [case for case in CASES if case.is_quick]
BY_NAME = {case.name: case for case in CASES}
# What the project promises to have a case of: lever, and a word of one of its values (empty: any).
TABLE = [
    ("tensor_parallel_size", "2"), ("pipeline_parallel_size", "2"), ("replicas", "2"),
    ("disable_custom_all_reduce", ""), ("NCCL environment", "NCCL_"),
    ("quantization", "awq"), ("quantization", "gptq"), ("quantization", "squeezellm"), ("quantization", "awq_marlin"),
    ("quantization", "gptq_marlin"), ("quantization", "INT8 W8A8"), ("quantization", "W4A16"), ("quantization", "fp8"),
    ("quantization", "fp8_per_channel"), ("quantization", "auto-round"), ("quantization", "inc"),
    ("quantization", "torchao"), ("quantization", "bitsandbytes"), ("quantization", "gguf"), ("kv_cache_dtype", "fp8"),
    ("gpu_memory_utilization", ""), ("max_model_len", "256"), ("max_model_len", "auto"), ("kv_cache_memory_bytes", ""),
    ("block_size", ""), ("cpu_offload_gb", ""), ("max_num_seqs", ""), ("max_num_batched_tokens", ""),
    ("scheduling_policy", "priority"), ("enable_chunked_prefill", "true"), ("enable_chunked_prefill", "false"),
    ("enable_prefix_caching", "true"), ("enable_prefix_caching", "false"), ("enforce_eager", "false"),
    ("compilation_config", ""), ("cudagraph_capture_sizes", ""), ("optimization_level", ""), ("attention_backend", ""),
    ("speculative_config", "none"), ("speculative_config", "ngram"), ("speculative_config", "draft_model"),
    ("speculative_config", "suffix"), ("speculative_config", "eagle,"), ("speculative_config", "eagle3"),
    ("speculative_config", "mtp"), ("speculative_config", "prompt_lookup_min"), ("decoding", "n 4"),
    ("decoding", "beam_width"), ("decoding", "greedy"), ("decoding", "seed 7"), ("lora_modules", ""),
    ("mode", "offline"), ("mode", "async"), ("mode", "server"), ("load", "max_concurrency"), ("load", "constant"),
    ("load", "poisson"), ("load", "gamma"), ("load", "bursts"), ("load", "ramp"), ("load", "all at once"),
    ("mode", "goodput"), ("environment variable", ""),
]  # fmt: skip


@pytest.mark.parametrize(("lever", "value"), TABLE)
def test_each_lever_has_a_case(lever: str, value: str) -> None:
    assert [case for case in CASES if case.lever == lever and value in case.value]


class TestCases:
    def test_have_names_of_their_own(self) -> None:
        assert len(BY_NAME) == len(CASES)

    def test_have_settings_of_their_own(self) -> None:
        # A sweep tries equal settings once, so of two such cases one would have no record.
        assert len({json.dumps(dict(case.settings), sort_keys=True) for case in CASES}) == len(CASES)

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_say_what_shows_it(self, case: Case) -> None:
        if case.name == BASELINE:
            assert not case.settings
        elif case.outcome is Outcome.COMPLETED:
            assert case.proof is not None
            assert BY_NAME[case.counter].outcome is Outcome.COMPLETED
            assert case.counter != case.name
            assert not case.twin or BY_NAME[case.twin].outcome is Outcome.COMPLETED
        else:
            assert case.failure_class
            assert len(case.evidence) > 8  # not just anything
            assert case.proof is None

    def test_of_the_tests_bring_the_records_that_their_proofs_must_refuse(self) -> None:
        assert with_counters(QUICK) == QUICK

    def test_are_all_one_sweep(self) -> None:
        spec = spec_of(CASES)

        assert spec.search.trials == len(CASES)
        (parameter,) = spec.parameters
        assert [option.label for option in parameter.domain.options] == list(BY_NAME)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    try:
        prepared = prepare(spec_of(QUICK))
    except MachineError as error:
        pytest.skip(str(error))
    if prepared.description["platform"] != "cpu":
        pytest.skip("the cases are of the CPU build")
    return prepared


@pytest.fixture(scope="module")
def records(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TrialRecord]:
    """All quick cases, run as one sweep: about 2 s each."""
    return run_cases(prepared, tmp_path_factory.mktemp("levers"))


@pytest.mark.engine
class TestOnTheEngine:
    @pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
    def test_goes_as_it_must(self, records: Mapping[str, TrialRecord], case: Case) -> None:
        is_expected, text = judge(case, records)

        assert is_expected, text

    @pytest.mark.parametrize("case", [case for case in QUICK if case.proof], ids=lambda case: case.name)
    def test_a_record_without_the_lever_proves_nothing(self, records: Mapping[str, TrialRecord], case: Case) -> None:
        assert case.proof is not None
        assert not case.proof(records[case.counter], records[BASELINE]).is_shown

    @pytest.mark.parametrize("name", REFUSED_BY_NAME)
    def test_an_argument_that_the_engine_lacks_is_refused_before_anything_starts(
        self, prepared: Prepared, name: str
    ) -> None:
        value, said = REFUSED_BY_NAME[name]

        assert said in refusal(prepared, name, value)
        assert refusal(prepared, "max_num_seqs", value) == ""

    def test_the_page_tells_all_of_it(
        self, prepared: Prepared, records: Mapping[str, TrialRecord], tmp_path: Path
    ) -> None:
        page, wrong = table(prepared, QUICK, records)

        assert wrong == 0
        assert "not as expected" not in page
        assert page.count("\n| ") == 1 + len(QUICK) + len(REFUSED_BY_NAME)
        assert str(Path.cwd()) not in page
