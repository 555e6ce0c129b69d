"""What tests of several folders share: the small model, and keepers (vLLM's takes seconds to import)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.execution.bench import Bench, open_bench
from tests.faults import left_over
from vbench.errors import MachineError

ROOT = Path(__file__).resolve().parents[1]
# A shell's background jobs begin with SIGINT ignored, and what they start inherits that: Ctrl-C couldn't be tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# `nohup` has SIGHUP ignored, and what inherits that goes on. A handler isn't inherited.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def _own_shared_memory() -> None:
    """Before anything else: a keeper that several folders share makes its shared memory where the tests look for it."""
    left_over.own_shared_memory()


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The folder of the tiny checkpoints: `base`, `awq`, `gptq` and `draft`."""
    subprocess.run([sys.executable, "tools/demo_model.py", "tiny"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "models" / "tiny"


@pytest.fixture(scope="session")
def fake_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A keeper that has loaded the fake engine."""
    with open_bench("fake", tmp_path_factory.mktemp("fake")) as bench:
        yield bench


@pytest.fixture(scope="session")
def vllm_bench(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Bench]:
    """A keeper that has imported the real vLLM; skipped where this interpreter has none, or not the CPU's."""
    settings = {
        "dtype": "bfloat16",
        "max_model_len": 256,
        "max_num_seqs": 8,
        "kv_cache_memory_bytes": 16 * 1024**2,
        "enforce_eager": True,
        "block_size": 32,
        "enable_prefix_caching": False,
    }
    folder = tmp_path_factory.mktemp("vllm")
    try:
        with open_bench("vllm", folder, model=tiny_model / "base", engine_args=settings) as bench:
            if not bench.keeper.can_fork:
                pytest.skip(f"vLLM can't fork here: {bench.keeper.fork_blocker}")
            yield bench
    except MachineError as error:
        pytest.skip(str(error))
