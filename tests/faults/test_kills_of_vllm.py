"""vbench killed while the real vLLM, with an engine core in a process of its own, works for it: nothing is left."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.cli.process import Vbench, marked, records_of, wait_for
from tests.faults.matrix import Counts, fault
from tests.faults.test_signals import sweeping
from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter

pytestmark = pytest.mark.engine

SWEEP = """\
name: small
model: {model}
engine: vllm
mode: async
hardware: cpu
prompts: {{synthetic: {{count: 4, input_tokens: 16}}, output_tokens: 8}}
engine_args:
  dtype: bfloat16
  enforce_eager: true
  max_model_len: 256
  block_size: 32
  kv_cache_memory_bytes: 16777216
  enable_prefix_caching: false
environment: {{OMP_NUM_THREADS: "1", HF_HUB_OFFLINE: "1"}}
parameters: {{max_num_seqs: [2, 4]}}
search: {{method: grid}}
measure: {{warmup_passes: 0, passes: 1, settle: false, repeat_spoiled: false}}
"""


@fault("vbench", "SIGKILL while the real vLLM loads or answers", "vLLM's processes end too; the next call goes on")
def test_killed_beside_vllm(vbench: Vbench, counts: Counts, tiny_model: Path) -> None:
    try:
        find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    path = vbench.write(SWEEP.format(model=tiny_model / "base"))
    draw = random.Random()
    for _ in range(2):
        with sweeping(vbench, path) as process:
            time.sleep(draw.uniform(0, 8))  # a moment, not a wait: any will do
            process.kill()
            process.communicate()
        wait_for(lambda: not marked(vbench.run()), "the end of vLLM's processes")
    counts.tried(1)
    vbench("sweep", path, check=0)
    counts.records(vbench.run(), 2)
    for cache in (vbench.folder / "tmp").glob("torchinductor_*"):
        cache.rmdir()  # torch's, for all programs of a user; nothing was compiled
    assert [record["outcome"] for record in records_of(vbench.run())] == ["completed"] * 2
