"""The whole way with the real vLLM on the tiny model: sweep, record, report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.process import Vbench, marked, records_of
from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter

pytestmark = pytest.mark.engine

SWEEP = """\
name: tiny
model: {model}
engine: vllm
hardware: cpu
prompts: {{synthetic: {{count: 6, input_tokens: 16}}, output_tokens: 8}}
engine_args:
  dtype: bfloat16
  enforce_eager: true
  max_model_len: 256
  block_size: 32
  kv_cache_memory_bytes: 16777216
  enable_prefix_caching: false
environment: {{OMP_NUM_THREADS: "1", VLLM_ENABLE_V1_MULTIPROCESSING: "0", HF_HUB_OFFLINE: "1"}}
parameters: {{max_num_seqs: [1, 2, 6]}}
search: {{method: grid}}
measure: {{warmup_passes: 1, passes: 2, settle: false, repeat_spoiled: false}}
"""


@pytest.fixture(scope="module")
def swept(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Vbench:
    try:
        find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    vbench = Vbench(tmp_path_factory.mktemp("tiny"))
    path = vbench.write(SWEEP.format(model=tiny_model / "base"), "tiny.yaml")
    done = vbench("sweep", path)
    logs = [one.read_text()[-2000:] for one in vbench.run("tiny").glob("logs/*.log")] if done.returncode else []
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
    return vbench


def test_each_setting_took_effect(swept: Vbench) -> None:
    records = records_of(swept.run("tiny"))
    assert [record["outcome"] for record in records] == ["completed"] * 3
    assert [record["engine"]["facts"]["max_num_seqs"] for record in records] == [1, 2, 6]
    assert all(record["engine"]["name"] == "vllm" for record in records)
    assert all(record["config"]["dtype"] == "bfloat16" for record in records)


def test_the_work_was_exactly_what_was_asked(swept: Vbench) -> None:
    for record in records_of(swept.run("tiny")):
        assert [one["kind"] for one in record["passes"]] == ["warmup", "timed", "timed"]
        for one in record["passes"]:
            assert one["requests"]["input_tokens"] == [16] * 6
            assert one["requests"]["output_tokens"] == [8] * 6


def test_a_configuration_generates_the_same_in_every_pass(swept: Vbench) -> None:
    for record in records_of(swept.run("tiny")):
        assert len({one["output_sha256"] for one in record["passes"]}) == 1


def test_what_was_measured_is_plausible(swept: Vbench) -> None:
    for record in records_of(swept.run("tiny")):
        measured = record["measurements"]
        assert measured["prefix_cache_hit_rate"] == 0.0
        assert measured["peak_memory_bytes"] > 100 * 1024**2
        assert measured["output_throughput_tok_s"] > 0
        for name in ("ttft_s", "tpot_s", "e2e_latency_s"):
            assert 0 < measured[name]["p50"] <= measured[name]["p99"]
        assert measured["startup_s"] > 0


def test_the_report_opens_with_the_best(swept: Vbench) -> None:
    paths = [swept.folder / line for line in swept("report", check=0).stdout.splitlines()]
    html, markdown, csv = (path.read_text(encoding="utf-8") for path in paths[:3])
    assert paths[3].read_bytes().startswith(b"PAR1")
    assert "tok/s" in html
    assert "max_num_seqs" in markdown
    assert len(csv.splitlines()) == 4
    assert re.search(
        r"^ *(vllm serve|python -m vllm\.entrypoints)|=1 vllm serve", swept("best", check=0).stdout, re.MULTILINE
    )


def test_two_of_its_trials_measured_again_in_turns(swept: Vbench) -> None:
    own = records_of(swept.run("tiny"))
    done = swept("compare", "tiny:0", "tiny:2", "--again", "--max-pairs", "2", check=0)
    records = records_of(swept.run("compare-tiny"))
    assert [one["engine"]["facts"]["max_num_seqs"] for one in records] == [1, 6, 6, 1]
    assert {one["outcome"] for one in records} == {"completed"}
    assert {one["prompt_set"]["sha256"] for one in records} == {own[0]["prompt_set"]["sha256"]}
    assert all(any(phase["name"] == "load" for phase in one["phases"]) for one in records)  # a start of its own
    rates = [one["measurements"]["output_throughput_tok_s"] for one in records]
    shown = re.search(r"Output throughput .* (\d+\.\d+) +\S+ – \S+\n", done.stdout)
    assert shown is not None, done.stdout
    assert float(shown[1]) == pytest.approx((rates[1] / rates[0] * rates[2] / rates[3]) ** 0.5, abs=1e-3)
    assert marked(swept.run("compare-tiny")) == []
