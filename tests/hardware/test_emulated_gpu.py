"""A T4 emulated on RTX 3090s: the target, what is held on which card, what counts as a trial's, and a lost holder.

Real processes, the real pynvml and ctypes; the drivers under them are the tests' own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.emulation.fake_driver import build_cuda

Probe = Callable[..., dict[str, Any]]
GIB, MIB = 1024**3, 1024**2
UUIDS = ["GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0", "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1"]
T4_BYTES, RTX3090_BYTES = 15_636_037_632, 25_297_357_373  # as CUDA shows them
DIFFERENCE = 9_661_319_741
CONTEXT_BYTES = 300 * MIB
MACHINE = [
    "nvmlDeviceGetName - 0 0 NVIDIA GeForce RTX 3090",
    "nvmlDeviceGetCudaComputeCapability - 0 0 8 6",
    f"nvmlDeviceGetMemoryInfo_v2 - 0 0 {24_576 * MIB} 0 0",
    "nvmlDeviceGetComputeRunningProcesses_v3 - 0 0",
    *(f"nvmlDeviceGetUUID {index} 0 0 {uuid}" for index, uuid in enumerate(UUIDS)),
]


@pytest.fixture(scope="session")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_cuda(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def emulated(probe: Probe, libraries: dict[str, Path], cuda: Path, tmp_path: Path) -> Probe:
    """Two 3090s with 300 MiB of each in use."""
    log = tmp_path / "allocations"
    log.touch()
    variables = {
        "LD_LIBRARY_PATH": f"{libraries['new']}:{cuda}", "FAKE_CUDA_LOG": str(log),
        "FAKE_CUDA_TOTAL": str(RTX3090_BYTES), "FAKE_CUDA_FREE": str(RTX3090_BYTES - CONTEXT_BYTES),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }  # fmt: skip

    def emulated(environment: dict[str, str] | None = None, **wanted: Any) -> dict[str, Any]:
        return probe(
            *MACHINE, program="emulation_probe.py", folder=str(tmp_path),
            environment={**variables, **(environment or {})}, **wanted,
        )  # fmt: skip

    return emulated


def test_the_target_is_the_t4_with_what_it_doesnt_have_held_on_each_card(emulated: Probe) -> None:
    said = emulated(are_listed=True)

    assert (said["name"], said["machine"]) == ("t4", "2 × NVIDIA GeForce RTX 3090")
    assert (said["limit"], said["num_gpus"]) == (T4_BYTES, 1)
    assert RTX3090_BYTES - T4_BYTES == DIFFERENCE
    assert said["held"] == {"0": DIFFERENCE, "1": DIFFERENCE}
    assert said["reserved"] == dict.fromkeys(UUIDS, DIFFERENCE)
    assert said["left"] == []  # nothing is held any more
    assert said["notes"][0].startswith("t4 emulated on this machine: 14.56 GiB of memory")


def test_the_engine_is_asked_for_the_same_bytes(emulated: Probe) -> None:
    said = emulated(are_listed=True)

    utilization = said["passed"]["gpu_memory_utilization"]
    assert utilization == 0.55628  # 0.9 · 15,636,037,632 ÷ 25,297,357,373, down to a millionth
    assert 0 <= 0.9 * T4_BYTES - utilization * RTX3090_BYTES < RTX3090_BYTES / 1e6
    assert said["passed"]["dtype"] == "float16"
    assert said["environment"]["VLLM_ATTENTION_BACKEND"] == "TRITON_ATTN_VLLM_V1"
    assert "gpu_memory_utilization 0.9 of t4 passed as 0.556" in said["said"]
    assert said["said"][0].startswith("t4 emulated on this machine")


@pytest.mark.parametrize("visible", ["1", UUIDS[1]])
@pytest.mark.parametrize("by", ["sweep", "shell"])
def test_only_visible_cards_are_held_and_read(emulated: Probe, visible: str, by: str) -> None:
    variable = {"CUDA_VISIBLE_DEVICES": visible}
    spec = f"environment: {{CUDA_VISIBLE_DEVICES: '{visible}'}}\n" if by == "sweep" else ""
    said = emulated(are_listed=True, spec=spec, environment=variable if by == "shell" else {})

    assert said["machine"] == "NVIDIA GeForce RTX 3090"
    assert said["held"] == {"1": DIFFERENCE}
    assert said["reserved"] == {UUIDS[1]: DIFFERENCE}
    assert said["gpus"] == [[1, GIB, []]]


def test_what_is_held_is_neither_the_trials_nor_foreign(emulated: Probe) -> None:
    assert emulated(are_listed=True)["gpus"] == [[0, GIB, []], [1, GIB, []]]


def test_where_processes_arent_listed_the_holders_context_stays_in(emulated: Probe) -> None:
    said = emulated(are_listed=False, spec="environment: {CUDA_VISIBLE_DEVICES: '1'}\n")

    assert said["gpus"] == [[1, GIB + CONTEXT_BYTES, None]]


@pytest.mark.parametrize("point", ["trial_finished 0", "pass 1"])
def test_a_holder_that_is_lost_ends_the_sweep_and_loses_no_result(emulated: Probe, point: str) -> None:
    said = emulated(kill_at=point)

    assert said["refused"].startswith("emulate: the process that held 9,214 MiB of each GPU is gone (signal 9)")
    assert "No result is lost" in said["refused"]
    # Whether it went between the trials or during trial 1: that one has no record, and is the first to be tried again.
    assert said["said"][-3:] == ["trial_finished 0", "trial_started 1", "run_finished"]
    assert said["status"] == "interrupted"
    assert said["again"][-5:] == [
        "trial_started 1", "trial_finished 1", "trial_started 2", "trial_finished 2", "run_finished"
    ]  # fmt: skip
    assert said["status_again"] == "finished"
    assert [one["trial"] for one in said["records"]] == [0, 1, 2]
    assert {one["outcome"] for one in said["records"]} == {"completed"}
