"""The shares of GPUs and cores that engines side by side get: exact, never overlapping, or said to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vbench.execution.failures import classify
from vbench.worker.engines import devices


class TestGpus:
    def test_are_those_visible(self) -> None:
        assert devices.visible_gpus("2, 0,1") == ["2", "0", "1"]
        assert devices.visible_gpus("GPU-aa,GPU-bb") == ["GPU-aa", "GPU-bb"]
        assert devices.visible_gpus("") == devices.visible_gpus("-1") == []
        assert devices.visible_gpus("0,-1,1") == ["0"]  # as CUDA reads it

    def test_are_dealt_out_in_slices(self) -> None:
        found = devices.gpu_places(["4", "5", "6", "7", "8"], ranks=2, count=2)

        assert [one.environment for one in found] == [{"CUDA_VISIBLE_DEVICES": "4,5"}, {"CUDA_VISIBLE_DEVICES": "6,7"}]
        assert [one.name for one in found] == ["GPU 4,5", "GPU 6,7"]

    def test_too_few_are_classed_as_for_one_engine(self) -> None:
        with pytest.raises(ValueError, match="World size") as caught:
            devices.gpu_places(["0", "1", "2"], ranks=2, count=2)

        text = "ValueError: World size (4) is larger than the number of available GPUs (3): 2 replicas of 2 GPUs each"
        assert f"ValueError: {caught.value}" == text
        match = classify(text)
        assert match is not None
        assert match.failure_class.name == "too_few_gpus"

    def test_are_counted_by_the_driver(self, tmp_path: Path) -> None:
        if shutil.which("gcc") is None:
            pytest.skip("gcc is missing: the fake NVML can't be built")
        source = Path(__file__).parents[1] / "hardware" / "fake_nvml.c"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "libnvidia-ml.so.1", source], check=True)
        (tmp_path / "script").write_text("nvmlInitWithFlags - 0 0\nnvmlDeviceGetCount_v2 - 0 0 3\n")
        inherited = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        environment = {**inherited, "LD_LIBRARY_PATH": str(tmp_path), "FAKE_NVML_SCRIPT": str(tmp_path / "script")}
        code = "from vbench.worker.engines.devices import visible_gpus; print(*visible_gpus(None))"
        command = [sys.executable, "-c", code]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True, text=True)

        assert done.stdout == "0 1 2\n"


class TestCores:
    def test_keep_their_hyperthreads(self) -> None:
        cores = [[0, 4], [1, 5], [2, 6], [3, 7]]
        found, notes = devices.core_places(cores, ranks=1, count=2, binds=True)

        assert [one.cores for one in found] == [[0, 1, 4, 5], [2, 3, 6, 7]]
        # One hyperthread of each core, and a core for the scheduler, as vLLM binds by itself.
        assert [one.environment for one in found] == [{devices.BIND: "4"}, {devices.BIND: "6"}]
        assert notes == [
            "each replica on cores of its own, set by vbench: 0-1,4-5; 2-3,6-7",
            f"{devices.BIND}=4; 6 set by vbench on the CPU platform",
        ]

    def test_never_overlap_and_none_is_left_out(self) -> None:
        for count in range(1, 6):
            found, _ = devices.core_places([[one] for one in range(5)], ranks=1, count=count, binds=True)

            assert sorted(core for one in found for core in one.cores or ()) == list(range(5))
            assert all(one.cores for one in found)

    def test_unequal_numbers_are_noted(self) -> None:
        _, notes = devices.core_places([[0], [1], [2]], ranks=1, count=2, binds=False)

        assert notes[-1] == "the replicas have unequal numbers of cores; a pass takes as long as the slowest"

    def test_hyperthreads_where_cores_are_too_few(self) -> None:
        found, notes = devices.core_places([[0, 1]], ranks=1, count=2, binds=True)

        assert [one.cores for one in found] == [[0], [1]]
        assert notes[0].startswith("fewer cores than replicas: some replicas share a core")

    def test_one_is_shared(self) -> None:
        found, notes = devices.core_places([[0]], ranks=1, count=2, binds=True)

        assert [(one.cores, one.environment) for one in found] == [(None, {devices.BIND: "nobind"})] * 2
        assert notes == [f"fewer cores than replicas: they share what there is ({devices.BIND}=nobind)"]

    def test_are_shared_by_a_replicas_ranks(self) -> None:
        found, _ = devices.core_places([[0], [1]], ranks=2, count=2, binds=True)

        assert [(one.cores, one.environment[devices.BIND]) for one in found] == [([0], "nobind"), ([1], "nobind")]

    def test_are_the_users_where_they_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(devices.BIND, "0|1|4-5|6")
        found, _ = devices.places("cpu", "vllm", {"tensor_parallel_size": 2}, 2)

        assert [one.environment[devices.BIND] for one in found] == ["0|1", "4-5|6"]
        assert [one.cores for one in found] == [[0, 1], [4, 5, 6]]
        with pytest.raises(ValueError, match=r"names 4 group\(s\) of cores; 3 replicas of 1 rank\(s\) need 3"):
            devices.places("cpu", "vllm", {}, 3)

    def test_of_this_machine_are_all_there_once(self) -> None:
        processors = os.sched_getaffinity(0)

        assert sorted(one for core in devices.cores_of(processors) for one in core) == sorted(processors)
