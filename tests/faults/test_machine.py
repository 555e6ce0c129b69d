"""A machine that goes wrong under a sweep: its failures aren't taken for the configuration's, and nothing is lost."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.process import BASE, COMMAND, Vbench, records_of
from tests.faults.matrix import Counts, fault
from tests.faults.small_disk import small_disk
from tests.hardware.conftest import GIB, T4_RESERVED, T4_TOTAL
from tests.hardware.conftest import libraries as libraries
from tests.hardware.conftest import probe as probe
from tests.hardware.test_emulated_gpu import cuda as cuda
from tests.hardware.test_emulated_gpu import emulated as emulated

Probe = Callable[..., dict[str, Any]]
LOST = [f"{name} 0 0 15" for name in ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo")]
UNLOADED = [
    f"{name} - 0 1" for name in ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPowerUsage")
]
STUCK = ["nvmlDeviceGetMemoryInfo_v2 0 0 7777"]
IDLE = [f"nvmlDeviceGetComputeRunningProcesses_v{n} - 0 0" for n in (2, 3)]
TWO = "parameters: {max_num_seqs: [1, 2]}\n"


def _card(used: int, *processes: str) -> list[str]:
    """GPU 0, with so many bytes in use, by whom."""
    return [
        f"nvmlDeviceGetMemoryInfo_v2 0 0 0 {T4_TOTAL} {T4_RESERVED} {used}",
        f"nvmlDeviceGetComputeRunningProcesses_v3 0 0 0 {' '.join(processes)}",
    ]


@pytest.fixture
def card(probe: Probe, short_folder: Path) -> Probe:
    """A sweep on two T4s without processes of others; `acts` are what happens to the first one."""

    def card(**wanted: Any) -> dict[str, Any]:
        variables = {"XDG_CACHE_HOME": str(short_folder / "cache")}
        folder = str(short_folder / "sweep")
        return probe(*IDLE, program="../faults/machine_probe.py", folder=folder, environment=variables, **wanted)

    return card


def _ends(said: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["outcome"], (one["failure"] or {}).get("class")) for one in said["records"]]


KINDS = {
    "a port in use": ("errno=EADDRINUSE@load", "address_in_use"),
    "the engine's file-descriptor limit": ("errno=EMFILE@pass", "too_many_open_files"),
    "no more threads or processes for the engine": ("raise=can't start new thread@load", "too_many_processes"),
    "a mapped page that isn't there (SIGBUS)": ("bus_error@pass", "bus_error"),
}


@fault(
    "machine",
    "a port in use, no more files, threads or pages",
    "`interrupted`, with what to do; stop, or go on as told",
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_engine_meets(vbench: Vbench, counts: Counts, kind: str) -> None:
    fail, failure_class = KINDS[kind]
    vbench.write(f'{BASE}parameters: {{fail: ["{fail}", null]}}\nsearch: {{method: grid}}\n')

    done = vbench("sweep", "small.yaml", check=3)

    assert "trial 0 was spoilt by the machine, not by its settings" in done.stderr
    (spoilt,) = records_of(vbench.run())
    assert (spoilt["outcome"], spoilt["failure"]["class"]) == ("interrupted", failure_class)
    vbench("sweep", "small.yaml", "--machine-faults", "go_on", check=0)
    counts.records(vbench.run(), 3)
    assert [one["outcome"] for one in records_of(vbench.run())] == ["interrupted", "interrupted", "completed"]
    counted = json.loads(vbench("list", "--json", check=0).stdout)["counts"]
    assert (counted["interrupted"], counted["failed"]) == (2, 0)


@fault("machine", "the machine spoils one trial after another", "three in a row end a sweep that was told to go on")
def test_a_sweep_that_goes_on_ends_at_last(vbench: Vbench, counts: Counts) -> None:
    vbench.write(
        f"{BASE}parameters: {{max_num_seqs: [1, 2, 4, 8]}}\nengine_args: {{fail: errno=EMFILE}}\nbaseline: {{}}\n"
    )

    done = vbench("sweep", "small.yaml", "--machine-faults", "go_on", check=3)

    assert "trial 2 was spoilt by the machine" in done.stderr
    counts.records(vbench.run(), 3)
    assert [one["origin"] for one in records_of(vbench.run())] == ["baseline"] * 3  # measured before all else


@fault("machine", "`/dev/shm` full", "`interrupted`, with what to do; the same command goes on")
def test_shared_memory_is_full(vbench: Vbench, counts: Counts) -> None:
    vbench.write(f"{BASE}engine_args: {{fail: fill_shm@load}}\n")
    with small_disk(Path("/dev/shm"), "size=64k", is_there=True):
        done = vbench("sweep", "small.yaml", check=3)
    assert "shared memory is full (`df -h /dev/shm`" in done.stderr
    vbench("sweep", "small.yaml", check=0)
    counts.records(vbench.run(), 2)
    assert [one["outcome"] for one in records_of(vbench.run())] == ["interrupted", "completed"]


@fault("machine", "vbench's own file-descriptor limit", "it works, or ends with the limit named; nothing is lost")
def test_the_limit_of_open_files(vbench: Vbench, counts: Counts) -> None:
    vbench.write(f"{BASE}parameters: {{max_num_seqs: [1, 2]}}\nsearch: {{method: grid, finalists: 0}}\n")
    limits = (8, 16, 24)
    counts.tried(len(limits) - 1)
    for most in limits:

        def limit(most: int = most) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

        done = subprocess.run(
            [COMMAND, "sweep", "small.yaml", "--json"], cwd=vbench.folder, env=vbench.environment(), preexec_fn=limit,
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = f"{most} files: exit code {done.returncode}\n{done.stderr}"
        assert done.returncode in (0, 3, 4), said
        assert done.returncode == 0 or "ulimit -n" in done.stderr, said
    vbench("sweep", "small.yaml", check=0)
    counts.records(vbench.run(), 2)
    assert [one["outcome"] for one in records_of(vbench.run())] == ["completed"] * 2


@fault(
    "machine",
    "a GPU falls off the bus",
    "what was measured stands; the next trial is `interrupted`",
)
def test_a_gpu_that_is_lost(card: Probe) -> None:
    said = card(spec=TWO, acts={"pass 0": LOST}, mend=[])

    assert "GPU 0 (Tesla T4) is lost: no longer answering on the PCI bus" in said["stopped"]
    assert _ends(said) == [("completed", None), ("interrupted", "gpu_lost"), ("completed", None)]
    assert any("is lost" in text for text in said["records"][0]["warnings"])
    assert said["again"] is None


@fault(
    "machine",
    "a GPU falls off the bus",
    "what was measured stands; the next trial is `interrupted`",
)
def test_a_gpu_that_is_lost_with_the_trial(card: Probe) -> None:
    said = card(spec=f"{TWO}sampling: {{fail: exception}}\n", acts={"pass 0": LOST})

    assert _ends(said) == [("interrupted", "gpu_lost")]


@fault("machine", "NVML lost in mid-run", "trials go on; their memory is unknown, and the record says why")
def test_nvml_that_no_longer_reads(card: Probe) -> None:
    said = card(spec=TWO, acts={"trial_started 1": UNLOADED})

    assert (said["stopped"], _ends(said)) == (None, [("completed", None)] * 2)
    assert said["records"][0]["measurements"]["peak_memory_bytes"] == 2 * GIB
    assert said["records"][1]["measurements"]["peak_memory_bytes"] is None
    assert any("memory" in text and "can't be read" in text for text in said["records"][1]["warnings"])


@fault(
    "machine",
    "an NVML call that never returns",
    "the trial is measured, the next `interrupted`; vbench doesn't hang",
)
@pytest.mark.parametrize("moment", ["pass 0", "trial_finished 0"])
def test_nvml_that_blocks(card: Probe, moment: str) -> None:
    said = card(spec=TWO, acts={moment: STUCK}, answer_s=8.0)

    assert "the NVIDIA driver no longer answers" in said["stopped"]
    assert _ends(said) == [("completed", None), ("interrupted", "nvml_stuck")]


@fault(
    "machine",
    "memory that isn't released",
    "its pid is named, it is waited for, the next trial is `interrupted`",
)
@pytest.mark.parametrize("told", ["stop", "go_on"])
def test_memory_that_is_not_given_back(card: Probe, told: str) -> None:
    acts = {"pass 0": _card(7 * GIB, f"PID:{5 * GIB}"), "trial_finished 1": [] if told == "go_on" else _card(7 * GIB)}
    said = card(
        spec="parameters: {max_num_seqs: [1, 2, 4]}\n", overrides=[f"search.machine_faults={told}"], acts=acts, mend=[]
    )

    ends = [("completed", None), ("interrupted", "gpu_memory_not_released"), ("completed", None), ("completed", None)]
    assert _ends(said) == ends
    spoilt = said["records"][1]
    assert "GPU 0: 5,120 MiB more are in use than when the session began, and pid" in spoilt["failure"]["evidence"]
    assert "hold it (waited" in spoilt["failure"]["evidence"]
    assert (said["stopped"] is None) == (told == "go_on")
    assert spoilt["config"]["max_num_seqs"] in [one["config"]["max_num_seqs"] for one in said["records"][2:]]


@fault("machine", "a foreign process takes GPU memory", "named; a trial that ran out of memory for it is `interrupted`")
def test_memory_that_another_process_takes(card: Probe) -> None:
    taken = _card(9 * GIB, f"OTHER:{7 * GIB}")
    said = card(spec=f"{TWO}sampling: {{fail: oom}}\n", acts={"load 1": taken})

    assert _ends(said) == [("out_of_memory", "gpu_out_of_memory"), ("interrupted", "gpu_memory_taken")]
    assert f"pid {said['pid']} of others took 7,168 MiB of GPU 0 meanwhile" in said["stopped"]


@fault("machine", "a foreign process takes GPU memory", "named; a trial that ran out of memory for it is `interrupted`")
def test_memory_that_another_process_takes_without_harm(card: Probe) -> None:
    said = card(spec=TWO, acts={"load 1": _card(9 * GIB, f"OTHER:{7 * GIB}")})

    assert _ends(said) == [("completed", None)] * 2
    assert any(f"pid {said['pid']} of others held up to 7,168 MiB" in text for text in said["records"][1]["warnings"])


@fault("machine", "the balloon of an emulated card is killed", "the sweep ends and says so; the same command goes on")
@pytest.mark.parametrize("point", ["trial_finished 0", "pass 1"])
def test_the_balloon_is_killed(emulated: Probe, point: str) -> None:
    said = emulated(kill_at=point)

    assert "the process that held 9,214 MiB of each GPU is gone (signal 9)" in said["refused"]
    assert [(one["trial"], one["outcome"]) for one in said["records"]] == [(n, "completed") for n in range(3)]


@fault("machine", "a foreign process takes GPU memory", "named; a trial that ran out of memory for it is `interrupted`")
def test_memory_that_another_process_gives_back(card: Probe) -> None:
    """The trial is run once more, and this time the failure is its own."""
    taken = _card(9 * GIB, f"OTHER:{7 * GIB}")
    said = card(spec=f"{TWO}sampling: {{fail: oom}}\n", acts={"load 1": taken}, gives_back_s=3.0, release_s=120.0)

    assert _ends(said) == [("out_of_memory", "gpu_out_of_memory")] * 2
    assert "started anew after gpu_memory_taken" in said["records"][1]["environment"]["notes"]
