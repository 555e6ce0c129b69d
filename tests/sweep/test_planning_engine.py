"""The planner within a sweep of the real vLLM: what it said agrees with the engine, what it refuses isn't started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweep.conftest import Sweeps
from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter
from vbench.outcome import Outcome
from vbench.report.build import build_report

pytestmark = pytest.mark.engine

TINY = """\
name: small
model: {model}
engine: vllm
hardware: cpu
prompts: {{synthetic: {{count: 4, input_tokens: 16}}, output_tokens: 8}}
engine_args:
  dtype: bfloat16
  enforce_eager: true
  block_size: 32
  kv_cache_memory_bytes: {kv_bytes}
environment: {{OMP_NUM_THREADS: "1", VLLM_ENABLE_V1_MULTIPROCESSING: "0", HF_HUB_OFFLINE: "1"}}
parameters: {{max_model_len: [128, 256, 1048576]}}
search: {{method: grid}}
measure: {{warmup_passes: 0, passes: 1, repeat_spoiled: false}}
"""


def test_estimates_agree_and_the_refused_is_not_started(sweep: Sweeps, tiny_model: Path, tmp_path: Path) -> None:
    try:
        find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    result = sweep(base=TINY.format(model=tiny_model / "base", kv_bytes=16 * 1024**2))
    *started, refused = result.records
    assert [record.outcome for record in started] == [Outcome.COMPLETED] * 2
    for record in started:
        assert record.estimate is not None
        assert record.estimate["verdict"] == "fits"
        facts = record.engine.facts
        assert record.estimate["kv_blocks"] == facts["num_gpu_blocks"]
        assert record.estimate["per_gpu"]["weights_bytes"] == pytest.approx(facts["weights_bytes"], rel=0.02)
        assert record.estimate["per_gpu"]["kv_tokens"] == pytest.approx(facts["kv_cache_tokens"], rel=0.01)
    assert refused.outcome is Outcome.INFEASIBLE
    assert refused.failure is not None
    assert refused.failure.failure_class == "planner_infeasible"
    assert not result.run.log(2).exists()

    files = build_report(result.run, tmp_path / "reports")
    markdown = files.markdown.read_text()
    assert "## Estimate against measurement" in markdown
    assert "planner" in markdown.partition("## What failed")[2]
