"""A card emulated on the real CPU engine: refused by memory, refused by ability, over the budget, and completed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import records_of
from tests.sweep.conftest import Recorder
from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter
from vbench.spec.loader import parse_spec
from vbench.sweep.prepared import prepare
from vbench.sweep.start import run_sweep

pytestmark = pytest.mark.engine

MIB = 1024**2
# A made-up card: a T4's abilities, and so little memory that a CPU engine reaches the end of it.
CARD = "title: A small Turing card\nnvml_memory_mib: 2560\ncompute_capability: 7.5\n"
SWEEP = """\
name: emulated
model: {model}
hardware: auto
emulate: {{profile: small-turing}}
prompts: {{synthetic: {{count: 4, input_tokens: 16}}, output_tokens: 8}}
engine_args: {{enforce_eager: true, max_model_len: 256, max_num_seqs: 4, block_size: 32}}
environment: {{OMP_NUM_THREADS: "1", VLLM_ENABLE_V1_MULTIPROCESSING: "0", HF_HUB_OFFLINE: "1"}}
parameters:
  dtype:
    - small: {{dtype: auto, kv_cache_memory_bytes: 16777216}}
    - large: {{dtype: auto, kv_cache_memory_bytes: 1845493760}}
    - huge: {{dtype: auto, kv_cache_memory_bytes: 4294967296}}
    - bfloat16: {{kv_cache_memory_bytes: 16777216}}
    - share: {{dtype: auto, gpu_memory_utilization: 0.9}}
search: {{method: grid}}
measure: {{warmup_passes: 0, passes: 1, repeat_spoiled: false}}
"""


@pytest.fixture(scope="module")
def records(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By the option of `dtype`."""
    try:
        find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("emulated")
    (folder / "small-turing.gpu.yaml").write_text(CARD)
    prepared = prepare(parse_spec(SWEEP.format(model=tiny_model / "base"), folder / "emulated.yaml"))
    result = run_sweep(prepared, folder / "results", Recorder())
    return {one["parameters"]["dtype"]: one for one in records_of(result.run.path)}


def test_what_stays_within_the_card_completes(records: dict[str, dict[str, Any]]) -> None:
    record = records["small"]
    assert record["outcome"] == "completed"
    assert record["hardware"]["profile"] == "small-turing"
    assert record["measurements"]["peak_memory_bytes"] <= 2048 * MIB


def test_the_record_keeps_what_was_asked_and_notes_what_was_passed(records: dict[str, dict[str, Any]]) -> None:
    record = records["small"]
    assert record["config"]["dtype"] == "auto"
    assert "dtype auto of small-turing passed as float16" in record["environment"]["notes"]


def test_a_peak_beyond_the_card_is_over_budget(records: dict[str, dict[str, Any]]) -> None:
    record = records["large"]
    assert record["outcome"] == "over_budget"
    assert record["measurements"]["peak_memory_bytes"] > 2048 * MIB


def test_what_the_planner_says_cannot_fit_is_not_started(records: dict[str, dict[str, Any]]) -> None:
    assert records["huge"]["outcome"] == "infeasible"
    assert records["huge"]["passes"] == []


def test_what_the_card_cannot_do_is_refused_in_the_cards_words(records: dict[str, dict[str, Any]]) -> None:
    record = records["bfloat16"]
    assert record["outcome"] == "unsupported"
    assert "bfloat16 needs compute capability 8.0, small-turing has 7.5" in str(record["failure"])


def test_a_share_of_the_card_becomes_kv_space(records: dict[str, dict[str, Any]]) -> None:
    record = records["share"]
    assert record["outcome"] in ("completed", "over_budget")
    assert record["config"]["gpu_memory_utilization"] == 0.9
    assert "kv_cache_memory_bytes" not in record["config"]
    passed = "gpu_memory_utilization 0.9 of small-turing passed as kv_cache_memory_bytes"
    assert any(note.startswith(passed) for note in record["environment"]["notes"])
