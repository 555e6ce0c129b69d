from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vbench.execution.engine_log import facts_in, read_log
from vbench.units import GIB

PREFIX = "(EngineCore pid=7) INFO 11-03 09:30:00 [gpu_model_runner.py:2007] "


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("Model loading took 1.5 GiB memory and 3.25 seconds", {"weights_bytes": 1.5 * GIB, "load_weights_s": 3.25}),
        ("Model loading took 1.5 GiB and 3.25 seconds", {"weights_bytes": 1.5 * GIB, "load_weights_s": 3.25}),
        ("Loading model weights took 0.5 GB", {"weights_bytes": 0.5 * GIB}),
        ("Available KV cache memory: 10.25 GiB", {"kv_cache_bytes": 10.25 * GIB}),
        (
            "CPU KV cache size: 524,288 tokens, Maximum concurrency for 256 tokens per request: 2048.00x",
            {"kv_cache_tokens": 524288, "max_concurrency": 2048.0},
        ),
        ("GPU KV cache size: 8,192 tokens", {"kv_cache_tokens": 8192}),
        (
            "Graph capturing finished in 3 secs, took 0.25 GiB",
            {"graph_capture_s": 3.0, "graph_bytes": 0.25 * GIB},
        ),
        ("Graph capturing finished in 12 secs., took 0.25 GiB", {"graph_capture_s": 12.0, "graph_bytes": 0.25 * GIB}),
        ("torch.compile took 43.5 s in total", {"compile_s": 43.5}),
        ("init engine (profile, create kv cache, warmup model) took 0.05 s", {"init_engine_s": 0.05}),
        ("init engine (profile, create kv cache, warmup model) took 61.20 seconds", {"init_engine_s": 61.2}),
        ("Resolved architecture: LlamaForCausalLM", {}),
    ],
)
def test_a_line_tells_its_facts(line: str, facts: dict[str, Any]) -> None:
    assert facts_in(f"noise\n{PREFIX}{line}\nnoise") == facts


def test_the_last_mention_wins() -> None:
    assert facts_in("GPU KV cache size: 100 tokens\nGPU KV cache size: 200 tokens") == {"kv_cache_tokens": 200}


@pytest.mark.parametrize(
    "line",
    [
        "torch.compile took .. s",
        "torch.compile took 1.2.3 s",
        "GPU KV cache size: , tokens",
        f"Model loading took {'9' * 400} GiB",
        f"GPU KV cache size: {'9,' * 400} tokens",
        "init engine " * 200_000,
    ],
    ids=lambda line: line[:30],
)
def test_a_number_that_is_none_is_no_fact(line: str) -> None:
    assert facts_in(line) == {}


def test_a_log_can_be_read_from_where_an_attempt_began(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first attempt\nsecond \xff attempt\n")

    assert read_log(log) == "first attempt\nsecond \ufffd attempt\n"
    assert read_log(log, len("first attempt\n")) == "second \ufffd attempt\n"


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none") == ""


@pytest.mark.parametrize("start", [0, 1000])
def test_of_a_long_log_head_and_tail_are_read(tmp_path: Path, start: int) -> None:
    log = tmp_path / "log"
    head, tail = 512 * 1024, 2 * 1024**2
    log.write_bytes(b"o" * start + b"a" * head + b"b" * 5000 + b"c" * tail)

    assert read_log(log, start) == "a" * head + "\n[... 5000 bytes left out ...]\n" + "c" * tail
