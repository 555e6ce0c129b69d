"""A bound of quality in a sweep of the real vLLM: who loses too much likelihood isn't the best, however fast."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.execution.bench import Bench
from tests.sweep.conftest import Sweeps
from tests.worker.test_quality import own_texts, sharpened
from vbench.analysis.ranking import best
from vbench.outcome import Outcome
from vbench.spec.types import Objective

pytestmark = [pytest.mark.engine, pytest.mark.slow]
OBJECTIVE = Objective(metric="output_throughput_tok_s", direction="maximize")

# The quantized one runs all prompts at once, the plain one each by itself: by speed alone it is the best by far.
TINY = """\
name: small
model: {base}
engine: vllm
hardware: cpu
prompts: {{synthetic: {{count: 8, input_tokens: 8}}, output_tokens: 16}}
engine_args:
  dtype: bfloat16
  enforce_eager: true
  block_size: 32
  max_model_len: 64
  max_num_seqs: 1
  kv_cache_memory_bytes: 16777216
environment: {{OMP_NUM_THREADS: "1", VLLM_ENABLE_V1_MULTIPROCESSING: "0", HF_HUB_OFFLINE: "1"}}
parameters: {{quantization: [none, {{awq: {{model: {awq}, max_num_seqs: 8}}}}]}}
baseline: {{}}
search: {{method: grid}}
measure: {{warmup_passes: 1, passes: 3, settle: false, repeat_spoiled: false}}
quality: {{max_nll_increase: 2%, texts: {texts}, greedy_prompts: 2, greedy_tokens: 8}}
"""


def test_who_breaks_the_bound_is_the_fastest_and_not_the_best(
    sweep: Sweeps, vllm_bench: Bench, tiny_model: Path, tmp_path: Path
) -> None:
    base, awq = (sharpened(tiny_model / name, tmp_path / name) for name in ("base", "awq"))
    texts = own_texts(vllm_bench, base, tmp_path)

    result = sweep(base=TINY.format(base=base, awq=awq, texts=texts))

    assert [record.outcome for record in result.records] == [Outcome.COMPLETED] * 2
    plain, quantized = result.records
    assert plain.measurements["nll_increase"] == 0
    assert quantized.measurements["nll_increase"] > 0.05
    assert quantized.constraint_violations["nll_increase <= 0.02"] > 0
    unbound = [record.model_copy(update={"constraint_violations": {}}) for record in result.records]
    fastest = best(unbound, OBJECTIVE)
    assert fastest is not None
    assert (fastest.trial, result.best and result.best.trial) == (quantized.trial, plain.trial)
