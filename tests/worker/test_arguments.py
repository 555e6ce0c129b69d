"""Engine arguments on their way to each version, against the real `EngineArgs` of the releases that were read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vbench.worker.engines.vllm_argument_tables import ADDED, FLAT_SPECULATION, LAST_QUANTIZATION, REMOVED
from vbench.worker.engines.vllm_arguments import adapt
from vbench.worker.engines.vllm_compat import (
    UnsupportedArgument,
    engine_config,
    request_times,
    version_of,
)
from vbench.worker.engines.vllm_describe import names_without

RELEASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "engine_arguments.json").read_text(encoding="utf-8")
)["releases"]
NGRAM = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4, "prompt_lookup_min": 2}
FLAT_NGRAM = {"speculative_model": "[ngram]", "num_speculative_tokens": 3, "ngram_prompt_lookup_max": 4,
              "ngram_prompt_lookup_min": 2}  # fmt: skip


def run(
    version: str, environ: dict[str, str] | None = None, **arguments: Any
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    return adapt(version, RELEASES[version]["arguments"], arguments, environ or {})


@pytest.mark.parametrize("version", RELEASES)
class TestEveryRelease:
    def test_what_all_have_passes_as_it_is(self, version: str) -> None:
        common: dict[str, Any] = {
            "tensor_parallel_size": 2, "gpu_memory_utilization": 0.9, "max_num_seqs": 8, "enforce_eager": True,
            "enable_prefix_caching": False, "enable_chunked_prefill": False, "disable_custom_all_reduce": True,
            "max_model_len": 2048, "quantization": "awq", "dtype": "float16", "cpu_offload_gb": 1,
        }  # fmt: skip

        assert run(version, **common) == (common, {}, [])

    @pytest.mark.parametrize(
        "arguments",
        [
            {"attention_backend": "FLASHINFER"},
            {"speculative_config": NGRAM},
            FLAT_NGRAM,
            {"max_model_len": "auto"},
            {"scheduling_policy": "fcfs"},
            {"task": "generate"},
            {"runner": "generate"},
            {"generation_config": "vllm"},
        ],
        ids=lambda arguments: next(iter(arguments)),
    )
    def test_what_has_a_counterpart_is_given_by_names_that_the_release_has(
        self, version: str, arguments: dict[str, Any]
    ) -> None:
        passed, environment, notes = run(version, **arguments)

        assert set(passed) <= set(RELEASES[version]["arguments"])
        # Nothing is lost in silence: it is passed as it was, or a note says what became of it.
        assert notes or passed == arguments
        assert set(environment) <= {"VLLM_ATTENTION_BACKEND"}

    def test_a_name_that_no_release_has_is_refused_with_the_nearest(self, version: str) -> None:
        with pytest.raises(UnsupportedArgument) as caught:
            run(version, tensor_paralel_size=2)

        assert str(caught.value) == (
            f"vLLM {version} has no argument named tensor_paralel_size; did you mean tensor_parallel_size?"
        )

    def test_each_known_name_that_it_lacks_is_either_translated_or_refused(self, version: str) -> None:
        accepted = set(RELEASES[version]["arguments"])
        translated, removed = names_without(version, accepted)

        assert set(translated) & set(removed) == set()
        assert set(translated) | set(removed) == {*ADDED, *REMOVED, *FLAT_SPECULATION.values()} - accepted
        assert all([*translated.values(), *removed.values()])

    def test_squeezellm_is_refused_where_it_is_gone(self, version: str) -> None:
        if "squeezellm" in RELEASES[version]["quantization"]:
            assert run(version, quantization="squeezellm") == ({"quantization": "squeezellm"}, {}, [])
            assert version in ("0.5.4", "0.6.0")
            return
        with pytest.raises(UnsupportedArgument) as caught:
            run(version, quantization="squeezellm")
        assert str(caught.value) == (
            "squeezellm: last in vLLM 0.6.0; name an interpreter with vllm ≤ 0.6.0 by `python:`"
        )

    def test_the_tables_say_what_the_release_has(self, version: str) -> None:
        accepted, this = RELEASES[version]["arguments"], version_of(version)
        early = [name for name, one in ADDED.items() if this < version_of(one.release) and name in accepted]
        late = [name for name, one in REMOVED.items() if this > version_of(one.release) and name in accepted]
        methods = RELEASES[version]["quantization"]
        gone = [name for name, (_, first) in LAST_QUANTIZATION.items() if this >= first and name in methods]

        assert (early, late, gone) == ([], [], [])
        # What a release adds it has, until it is removed.
        for name, one in ADDED.items():
            until = version_of(REMOVED[name].release) if name in REMOVED else (99, 0, 0)
            assert (name in accepted) == (version_of(one.release) <= this <= until), name


@pytest.mark.parametrize(
    ("version", "arguments", "passed", "environment"),
    [
        ("0.5.4", {"attention_backend": "XFORMERS"}, {}, {"VLLM_ATTENTION_BACKEND": "XFORMERS"}),
        ("0.10.2", {"attention_backend": "TRITON_ATTN"}, {}, {"VLLM_ATTENTION_BACKEND": "TRITON_ATTN_VLLM_V1"}),
        ("0.11.0", {"attention_config": {"backend": "TRITON_ATTN"}}, {}, {"VLLM_ATTENTION_BACKEND": "TRITON_ATTN"}),
        ("0.33.0", {"attention_backend": "TRITON_ATTN_VLLM_V1"}, {"attention_backend": "TRITON_ATTN"}, {}),
        ("0.5.4", {"speculative_config": NGRAM}, {**FLAT_NGRAM, "use_v2_block_manager": True}, {}),
        ("0.7.3", {"speculative_config": NGRAM}, FLAT_NGRAM, {}),
        ("0.7.3", {"speculative_config": {"model": "org/draft", "num_speculative_tokens": 2, "quantization": "awq"}},
         {"speculative_model": "org/draft", "num_speculative_tokens": 2, "speculative_model_quantization": "awq"}, {}),
        ("0.7.3", {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}},
         {**FLAT_NGRAM, "ngram_prompt_lookup_max": 5, "ngram_prompt_lookup_min": 5}, {}),
        ("0.8.5", FLAT_NGRAM, {"speculative_config": NGRAM}, {}),
        ("0.10.2", {"spec_method": "ngram", "spec_tokens": 2},
         {"speculative_config": {"method": "ngram", "num_speculative_tokens": 2}}, {}),
        ("0.14.1", {"max_model_len": "auto"}, {"max_model_len": -1}, {}),
        ("0.13.0", {"max_model_len": "auto"}, {}, {}),
        ("0.10.2", {"cudagraph_capture_sizes": [1]}, {"compilation_config": {"cudagraph_capture_sizes": [1]}}, {}),
        ("0.10.2", {"max_cudagraph_capture_size": 8}, {"cuda_graph_sizes": [8]}, {}),
        ("0.33.0", {"cuda_graph_sizes": [8]}, {"max_cudagraph_capture_size": 8}, {}),
        ("0.33.0", {"cuda_graph_sizes": [1, 8]}, {"cudagraph_capture_sizes": [1, 8]}, {}),
        ("0.10.2", {"optimization_level": 2, "compilation_config": {"cache_dir": "x"}},
         {"compilation_config": {"cache_dir": "x", "level": 2}}, {}),
        ("0.10.2", {"max_context_len_to_capture": 64}, {"max_seq_len_to_capture": 64}, {}),
        ("0.33.0", {"task": "generate"}, {"runner": "generate"}, {}),
        ("0.33.0", {"worker_use_ray": True}, {"distributed_executor_backend": "ray"}, {}),
        ("0.33.0", {"swap_space": 0}, {}, {}),
    ],
)  # fmt: skip
def test_it_is_said_in_the_words_of_the_release(
    version: str, arguments: dict[str, Any], passed: dict[str, Any], environment: dict[str, str]
) -> None:
    found, variables, notes = run(version, **arguments)

    assert (found, variables) == (passed, environment)
    assert notes


@pytest.mark.parametrize(
    ("version", "arguments", "words"),
    [
        ("0.10.0", {"kv_cache_memory_bytes": 2**30}, ["from 0.10.2 on", "gpu_memory_utilization"]),
        ("0.33.0", {"swap_space": 4}, ["up to 0.15.1", "leave it out"]),
        ("0.33.0", {"rope_scaling": {"factor": 2.0}}, ["up to 0.11.0", "hf_overrides: {rope_parameters:"]),
        ("0.33.0", {"max_seq_len_to_capture": 64}, ["up to 0.10.2", "max_cudagraph_capture_size"]),
        ("0.33.0", {"task": "embed"}, ["use runner and convert"]),
        ("0.6.0", {"scheduling_policy": "priority"}, ["from 0.6.3.post1 on", "first come, first served"]),
        ("0.6.0", {"cudagraph_capture_sizes": [1]}, ["from 0.11.2 on"]),
        ("0.5.4", {"attention_backend": "TRITON_ATTN"}, ["attention backend TRITON_ATTN", "XFORMERS"]),
        ("0.7.3", {"speculative_config": {"method": "suffix"}}, ["speculative method suffix"]),
        ("0.5.4", {"speculative_config": {**NGRAM, "disable_mqa_scorer": True}}, ["disable_mqa_scorer"]),
        ("0.10.2", {"speculative_config": {"method": "draft_model", "model": "org/draft"}}, ["no draft models"]),
        ("0.14.1", {"speculative_config": {"method": "draft_model", "model": "org/draft"}}, ["vLLM 0.15 and later"]),
        ("0.33.0", {"quantization": "fbgemm_fp8"}, ["allow_deprecated_quantization: true"]),
        ("0.33.0", {"quantization": "aqlm"}, ["aqlm: last in vLLM 0.10.0"]),
        ("0.10.2", {"optimization_level": 2, "compilation_config": {"level": 3}}, ["name it there alone"]),
        ("0.10.2", {**FLAT_NGRAM, "speculative_config": NGRAM}, ["both are named"]),
    ],
)
def test_what_nothing_stands_for_is_refused_by_name(version: str, arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UnsupportedArgument) as caught:
        run(version, **arguments)

    assert [word for word in words if word not in str(caught.value)] == []


def test_the_variable_that_is_no_longer_read_is_told_of() -> None:
    passed, environment, notes = run("0.33.0", {"VLLM_ATTENTION_BACKEND": "XFORMERS"}, max_num_seqs=1)

    assert (passed, environment) == ({"max_num_seqs": 1}, {})
    assert notes == ["VLLM_ATTENTION_BACKEND=XFORMERS is ignored since vLLM 0.15: use attention_backend"]


def test_the_argument_goes_before_the_variable_where_both_are_read() -> None:
    _, environment, notes = run("0.14.1", {"VLLM_ATTENTION_BACKEND": "FLASHINFER"}, attention_backend="TRITON_ATTN")

    assert environment == {"VLLM_ATTENTION_BACKEND": "TRITON_ATTN"}
    assert notes == ["VLLM_ATTENTION_BACKEND=FLASHINFER gave way to attention_backend=TRITON_ATTN"]


def test_deprecated_and_outsourced_methods_pass_with_what_they_need() -> None:
    allowed: dict[str, Any] = {"quantization": "fbgemm_fp8", "allow_deprecated_quantization": True}

    assert run("0.33.0", **allowed) == (allowed, {}, [])
    assert run("0.33.0", quantization="gguf")[2] == ["quantization=gguf needs vllm-gguf-plugin beside vLLM 0.33.0"]
    assert run("0.33.0", quantization="bitsandbytes")[2] == [
        "quantization=bitsandbytes needs vllm-bnb-plugin beside vLLM 0.33.0"
    ]


def test_the_callers_arguments_stay_as_they_were() -> None:
    arguments: dict[str, Any] = {"optimization_level": 2, "compilation_config": {"cache_dir": "x"}}
    run("0.10.2", **arguments)

    assert arguments == {"optimization_level": 2, "compilation_config": {"cache_dir": "x"}}


class Named:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def test_an_engine_of_old_has_its_configuration_in_parts() -> None:
    new, old = Named(vllm_config="whole"), Named(cache_config="cache", model_config="model")

    assert engine_config(new) == "whole"
    assert (engine_config(old).cache_config, engine_config(old).lora_config) == ("cache", None)


def test_times_come_from_either_kind_of_metrics() -> None:
    new = Named(first_token_latency=0.5, first_token_ts=7.0, last_token_ts=9.0)
    old = Named(arrival_time=100.0, first_token_time=100.5, finished_time=102.5)

    assert request_times(new) == request_times(old) == (0.5, 2.0)
    assert request_times(None) is None
    assert request_times(Named(arrival_time=1.0, first_token_time=None)) is None
