"""What the real vLLM says when it can't, taken for what it is. Each is a forked trial of about a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.execution.bench import PROMPTS, Bench
from vbench.outcome import Outcome

pytestmark = pytest.mark.engine
NO, OOM, UNSUPPORTED = Outcome.INFEASIBLE, Outcome.OUT_OF_MEMORY, Outcome.UNSUPPORTED


@dataclass(frozen=True, kw_only=True)
class Case:
    engine_args: dict[str, Any]
    outcome: Outcome
    failure_class: str
    evidence: str
    model: str = "base"
    phase: str = "load"
    prompts: Any = field(default=PROMPTS)


CASES = {
    "unknown argument": Case(
        engine_args={"max_num_sequences": 3},
        outcome=NO, failure_class="unknown_argument",
        evidence="has no argument named max_num_sequences; did you mean max_num_seqs?",
    ),
    "an argument of old": Case(
        engine_args={"swap_space": 4},
        outcome=UNSUPPORTED, failure_class="unsupported_argument",
        evidence="has no argument named swap_space: vLLM has it up to 0.15.1; the V1 engine never swaps: leave it out",
    ),
    "awq of a plain checkpoint": Case(
        engine_args={"quantization": "awq", "dtype": "float16"},
        outcome=NO, failure_class="not_quantized", evidence="Cannot find the config file for awq",
    ),
    "gptq of an awq checkpoint": Case(
        model="awq", engine_args={"quantization": "gptq", "dtype": "float16"},
        outcome=NO, failure_class="quantization_mismatch",
        evidence="(awq) does not match the quantization method specified in the `quantization` argument (gptq).",
    ),
    "4 heads on 3 ranks": Case(
        engine_args={"tensor_parallel_size": 3},
        outcome=NO, failure_class="heads_not_divisible",
        evidence="Total number of attention heads (4) must be divisible by tensor parallel size (3).",
    ),
    "a context beyond the model's": Case(
        engine_args={"max_model_len": 4096},
        outcome=NO, failure_class="max_model_len_beyond_model",
        evidence="User-specified max_model_len (4096) is greater than the derived max_model_len "
        "(max_position_embeddings=2048",
    ),
    "no KV space": Case(
        engine_args={"kv_cache_memory_bytes": 65536},
        outcome=OOM, failure_class="kv_cache_too_small",
        evidence="ValueError: No available memory for the cache blocks.",
    ),
    # 1 MiB ÷ 2048 B per token = 512 tokens.
    "KV space for a quarter of a request": Case(
        engine_args={"kv_cache_memory_bytes": 1024**2, "max_model_len": 2048},
        outcome=OOM, failure_class="kv_cache_too_small",
        evidence="ValueError: To serve at least one request with the model's max seq len (2048)",
    ),
    "awq in float32": Case(
        model="awq", engine_args={"quantization": "awq", "dtype": "float32"},
        outcome=UNSUPPORTED, failure_class="dtype_unsupported_by_quantization",
        evidence="torch.float32 is not supported for quantization method awq. Supported dtypes:",
    ),
    "squeezellm": Case(
        engine_args={"quantization": "squeezellm"},
        outcome=UNSUPPORTED, failure_class="quantization_unknown",
        evidence="squeezellm: last in vLLM 0.6.0; name an interpreter with vllm ≤ 0.6.0 by `python:`",
    ),
    "a quantization that never was": Case(
        engine_args={"quantization": "squeezed"},
        outcome=UNSUPPORTED, failure_class="quantization_unknown",
        evidence="Unknown quantization method: squeezed. Must be one of [",
    ),
    "ngram without a number of tokens": Case(
        engine_args={"speculative_config": {"method": "ngram", "prompt_lookup_max": 3}},
        outcome=NO, failure_class="speculation_misconfigured", evidence="num_speculative_tokens must be provided",
    ),
    "blocks of 16": Case(
        engine_args={"block_size": 16},
        outcome=UNSUPPORTED, failure_class="attention_backend_unsupported",
        evidence="ValueError: No common block size for 16 (CPU_ATTN:",
    ),
    "a model that isn't there": Case(
        model="missing", engine_args={}, outcome=NO, failure_class="model_unreadable", evidence="Repo id must be",
    ),
    "a prompt beyond the context": Case(
        prompts=[{"prompt_token_ids": [100] * 300}], engine_args={}, phase="warmup",
        outcome=NO, failure_class="prompt_too_long",
        evidence="VLLMValidationError: This model's maximum context length is 256 tokens.",
    ),
    "a token beyond the vocabulary": Case(
        prompts=[{"prompt_token_ids": [99_999]}], engine_args={}, phase="warmup",
        outcome=NO, failure_class="bad_token_ids", evidence="Token id 99999 is out of vocabulary",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_is_taken_for_what_it_is(vllm_bench: Bench, tiny_model: Path, name: str) -> None:
    case = CASES[name]
    ran = vllm_bench.run(model=tiny_model / case.model, engine_args=case.engine_args, prompts=case.prompts, passes=1)

    assert (ran.outcome, ran.failure_class) == (case.outcome, case.failure_class), ran.log
    assert case.evidence in ran.why.evidence
    assert "raise " not in ran.why.evidence
    assert ran.why.phase == case.phase
    assert ran.why.advice
    assert (ran.raw.exit and ran.raw.exit.code, ran.raw.leftovers, ran.passes) == (1, [], [])
    assert vllm_bench.processes() == []


def test_host_memory_that_runs_out_is_said(vllm_bench: Bench) -> None:
    # More KV space than any machine has address space for.
    ran = vllm_bench.run(engine_args={"kv_cache_memory_bytes": 2**50}, passes=1)

    assert ran.outcome is OOM, ran.log
    assert ran.failure_class in ("host_out_of_memory", "not_enough_free_memory")
