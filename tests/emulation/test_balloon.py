"""The balloon's real process against a CUDA driver that the tests build: what it holds, what it says, how it ends."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulation.fake_driver import build_cuda
from vbench.emulation.balloon import MARK_ENDING, Balloon
from vbench.emulation.stand import emulated_gpu
from vbench.errors import MachineError
from vbench.execution.leftovers import marked_processes
from vbench.hardware.gpu_trial import Reserved
from vbench.hardware.profile import load_profile
from vbench.spec.types import Emulation
from vbench.sweep.target import Target, gpu_budget

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
UUID = "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1"
Held = Callable[[], Counter[str]]


@pytest.fixture(scope="session")
def cuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_cuda(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def held(cuda: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    """A driver with 24 GiB, 20 free; bytes allocated by device."""
    log = tmp_path / "allocations"
    log.touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(cuda))
    monkeypatch.setenv("FAKE_CUDA_TOTAL", str(24 * GIB))
    monkeypatch.setenv("FAKE_CUDA_FREE", str(20 * GIB))
    monkeypatch.setenv("FAKE_CUDA_LOG", str(log))

    def held() -> Counter[str]:
        found: Counter[str] = Counter()
        for line in log.read_text().splitlines():
            found[line.split()[0]] += int(line.split()[1])
        return found

    return held


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path("/proc", str(pid), "status").read_text()
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{pid} still holds its memory"
        time.sleep(0.01)


def test_holds_the_same_on_each_device_and_says_so(held: Held) -> None:
    with Balloon(9 * GIB + 5, ["0", UUID], "a-run") as balloon:
        assert held() == {"0": 9 * GIB + 5, "1": 9 * GIB + 5}
        assert [(one.device, one.bytes, one.total_bytes) for one in balloon.held] == [
            ("0", 9 * GIB + 5, 24 * GIB), (UUID, 9 * GIB + 5, 24 * GIB)
        ]  # fmt: skip
        assert balloon.held[1].uuid == UUID
        assert balloon.describe()[0] == "9,216 of 24,576 MiB of GPU 0 held"


def test_is_released_at_the_end(held: Held) -> None:
    with Balloon(GIB, ["0"], "a-run") as balloon:
        pid = balloon.pid
        assert pid is not None
        assert is_alive(pid)
    assert held()
    assert not is_alive(pid)
    assert balloon.held == ()


@pytest.mark.usefixtures("held")
def test_its_mark_names_the_run_and_is_no_trials() -> None:
    with Balloon(GIB, ["0"], "some-run") as balloon:
        assert marked_processes(f"some-run{MARK_ENDING}") == [balloon.pid]
        assert marked_processes("some-run") == []


@pytest.mark.usefixtures("held")
def test_too_little_memory_is_told_with_the_numbers() -> None:
    with pytest.raises(MachineError, match=r"21,504 MiB have to be held and 20,480 could be: 20,480 of 24,576 MiB"):
        Balloon(21 * GIB, ["0"], "a-run").__enter__()
    assert marked_processes(f"a-run{MARK_ENDING}") == []


@pytest.mark.parametrize("visible", ["1", UUID])
def test_a_device_is_counted_among_the_visible_ones(held: Held, visible: str) -> None:
    with Balloon(GIB, ["0"], "a-run", {"CUDA_VISIBLE_DEVICES": visible}) as balloon:
        assert held() == {"1": GIB}
        assert [one.uuid for one in balloon.held] == [UUID]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("device", ["2", "GPU-ffff"])
def test_an_unknown_device_is_named(device: str) -> None:
    with pytest.raises(MachineError, match=f"CUDA shows no GPU {device}"):
        Balloon(GIB, [device], "a-run").__enter__()


@pytest.mark.usefixtures("held")
def test_a_driver_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_BROKEN", "1")
    with pytest.raises(MachineError, match=r"cuInit: no CUDA-capable device is detected \(CUDA error 100\)"):
        Balloon(GIB, ["0"], "a-run").__enter__()


def test_without_a_driver_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libcuda.so.1").write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    with pytest.raises(MachineError, match="the CUDA driver can't be used"):
        Balloon(GIB, ["0"], "a-run").__enter__()


def test_nothing_to_hold_starts_nothing() -> None:
    with Balloon(0, ["0"], "a-run") as balloon:
        assert balloon.pid is None
        balloon.check()


@pytest.mark.usefixtures("held")
def test_a_lost_holder_is_noticed() -> None:
    with Balloon(GIB, ["0"], "a-run") as balloon:
        balloon.check()
        assert balloon.pid is not None
        os.kill(balloon.pid, signal.SIGKILL)
        wait_until_gone(balloon.pid)
        with pytest.raises(MachineError, match=r"held 1,024 MiB of each GPU is gone \(signal 9\)"):
            balloon.check()
        with pytest.raises(MachineError, match="No result is lost: trials that had ended are kept"):
            balloon.reserved.check()


def test_where_nothing_is_held_nothing_can_go() -> None:
    Reserved().check()


@pytest.mark.usefixtures("held")
def test_a_killed_parent_takes_it_along() -> None:
    program = (
        "from vbench.emulation.balloon import Balloon\nimport time\n"
        f"with Balloon({GIB}, ['0'], 'a-run') as one:\n    print(one.pid, flush=True)\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until_gone(pid)


@pytest.mark.usefixtures("held")
def test_what_is_held_counts_as_nobodys() -> None:
    with Balloon(GIB, [UUID], "a-run") as balloon:
        assert balloon.reserved == Reserved(pids=(balloon.pid or 0,), bytes_by_uuid={UUID: GIB})


def test_a_target_holds_the_difference_on_each_gpu_while_trials_run(held: Held) -> None:
    card, machine = load_profile("t4"), dataclasses.replace(load_profile("rtx3090"), num_gpus=2)
    stand, _ = emulated_gpu(Emulation(profile="t4"), gpu_budget(card), gpu_budget(machine))
    target = Target(profile=card, machine=machine, budget=stand.card, is_emulated=True, stand=stand)
    with target.holding("a-run", {}) as reserved:
        difference = (machine.visible_bytes or 0) - (card.visible_bytes or 0)
        assert held() == {"0": difference, "1": difference}
        assert reserved is not None
        assert [is_alive(pid) for pid in reserved.pids] == [True]
    assert not is_alive(reserved.pids[0])


def test_the_sweeps_variables_reach_the_holder(held: Held) -> None:
    with (
        pytest.raises(MachineError, match="no CUDA-capable device"),
        Balloon(GIB, ["0"], "a-run", {"FAKE_CUDA_BROKEN": "1"}),
    ):
        pass
    assert not held()
