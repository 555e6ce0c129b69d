"""Which GPUs, or which processor cores, each of several engines side by side gets for itself.

Two engines that share a core or a GPU would each be measured at the other's cost, so shares never overlap, or a note in
the record says that they do. Nothing here imports an engine or makes a GPU context.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

BIND = "VLLM_CPU_OMP_THREADS_BIND"
_GPU_FOLDER = "/proc/driver/nvidia/gpus"
_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/"


class Place:
    """Where one replica runs: what its environment gets, the logical processors it may use (None: all), a name."""

    def __init__(self, name: str, environment: Dict[str, str], cores: Optional[List[int]] = None) -> None:
        self.name = name
        self.environment = environment
        self.cores = cores


def places(platform: str, engine: str, engine_args: Mapping[str, Any], count: int) -> Tuple[List[Place], List[str]]:
    """A place for each of `count` replicas, and what to note in the record. ValueError where there are too few GPUs."""
    ranks = int(engine_args.get("tensor_parallel_size") or 1) * int(engine_args.get("pipeline_parallel_size") or 1)
    if platform == "cuda":
        return gpu_places(visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES")), ranks, count), []
    processors = cores_of(os.sched_getaffinity(0))
    if engine != "vllm":
        return core_places(processors, ranks, count, binds=False)
    asked = os.environ.get(BIND, "auto")
    if asked == "nobind":
        return _shared(count), [BIND + "=nobind: the replicas share all cores"]
    if asked != "auto":
        return _asked_places(asked, ranks, count), []
    return core_places(processors, ranks, count, binds=True)


def gpu_places(gpus: List[str], ranks: int, count: int) -> List[Place]:
    """Each replica's slice of the visible GPUs. The error's words are vLLM's, for it is the same failure."""
    if len(gpus) < count * ranks:
        raise ValueError(
            "World size ({}) is larger than the number of available GPUs ({}): {} replicas of {} GPU{} each".format(
                count * ranks, len(gpus), count, ranks, "" if ranks == 1 else "s"
            )
        )
    slices = [",".join(gpus[index * ranks : (index + 1) * ranks]) for index in range(count)]
    return [Place("GPU " + one, {"CUDA_VISIBLE_DEVICES": one}) for one in slices]


def visible_gpus(setting: Optional[str]) -> List[str]:
    """The GPUs that a process with this CUDA_VISIBLE_DEVICES sees, as it would name them there."""
    if setting is None:
        return [str(index) for index in range(_count_gpus())]
    names: List[str] = []
    for name in (part.strip() for part in setting.split(",")):
        if not name or name.startswith("-"):  # as CUDA does: what stands behind an invalid entry isn't seen
            break
        names.append(name)
    return names


def _count_gpus() -> int:
    """As NVML counts them, which makes no context; by the driver's folder where its library isn't found."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        number = ctypes.c_uint(0)
        if nvml.nvmlInitWithFlags(0) == 0:
            failed = nvml.nvmlDeviceGetCount_v2(ctypes.byref(number))
            nvml.nvmlShutdown()
            if failed == 0:
                return number.value
    except (OSError, AttributeError):
        pass
    return len(os.listdir(_GPU_FOLDER)) if os.path.isdir(_GPU_FOLDER) else 0


def core_places(processors: List[List[int]], ranks: int, count: int, *, binds: bool) -> Tuple[List[Place], List[str]]:
    """Neighbouring cores for each replica, hyperthreads of a core together; `binds`: vLLM is told its cores as well.

    An affinity is set in any case: vLLM's own variable does nothing where its core runs in the caller's process.
    """
    notes: List[str] = []
    if len(processors) < count <= sum(map(len, processors)):
        processors = [[one] for core in processors for one in core]
        notes.append("fewer cores than replicas: some replicas share a core, each on a hyperthread of its own")
    if len(processors) < count:
        notes.append("fewer cores than replicas: they share what there is (" + BIND + "=nobind)")
        return _shared(count, {BIND: "nobind"} if binds else {}), notes
    found = []
    for index in range(count):
        cores = processors[index * len(processors) // count : (index + 1) * len(processors) // count]
        every = sorted(one for core in cores for one in core)
        environment = {BIND: _bound_to(cores, ranks)} if binds else {}
        found.append(Place("cores " + ranges(every), environment, every))
    notes.append("each replica on cores of its own, set by vbench: " + "; ".join(one.name[6:] for one in found))
    if binds:
        bound = "nobind" if ranks > 1 else "; ".join(one.environment[BIND] for one in found)
        notes.append(BIND + "=" + bound + " set by vbench on the CPU platform")
    if len({len(one.cores or ()) for one in found}) > 1:
        notes.append("the replicas have unequal numbers of cores; a pass takes as long as the slowest")
    return found, notes


def _bound_to(cores: List[List[int]], ranks: int) -> str:
    """As vLLM binds by itself (`auto`): one hyperthread of each core, and one core left to the scheduler.

    `auto` itself would look on the first NUMA node, where this replica may have no core. Ranks share the replica's.
    """
    if ranks > 1:
        return "nobind"
    threads = [core[-1] for core in cores]
    return ",".join(map(str, threads[:-1] or threads))


def _asked_places(asked: str, ranks: int, count: int) -> List[Place]:
    """The user's own groups of cores: one for each rank of each replica, in the order in which vLLM takes them."""
    groups = asked.split("|")
    if len(groups) != count * ranks:
        raise ValueError(
            "{}={} names {} group(s) of cores; {} replicas of {} rank(s) need {}, separated by |".format(
                BIND, asked, len(groups), count, ranks, count * ranks
            )
        )
    slices = ["|".join(groups[index * ranks : (index + 1) * ranks]) for index in range(count)]
    return [
        Place("cores " + one, {BIND: one}, sorted({core for group in one.split("|") for core in _numbers(group)}))
        for one in slices
    ]


def _shared(count: int, environment: Optional[Dict[str, str]] = None) -> List[Place]:
    return [Place("all cores", dict(environment or {})) for _ in range(count)]


def cores_of(processors: Iterable[int]) -> List[List[int]]:
    """The logical processors by core, cores of a socket together; one core each where the kernel doesn't say."""
    cores: Dict[Tuple[int, str], List[int]] = {}
    for one in sorted(processors):
        folder = _TOPOLOGY.format(one)
        try:
            with open(folder + "physical_package_id") as package, open(folder + "thread_siblings_list") as siblings:
                key = (int(package.read()), siblings.read().strip())
        except (OSError, ValueError):
            key = (0, str(one))
        cores.setdefault(key, []).append(one)
    return [core for _, core in sorted(cores.items(), key=lambda item: (item[0][0], item[1][0]))]


def _numbers(text: str) -> List[int]:
    """`0-2,5` → 0, 1, 2, 5."""
    numbers: List[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def ranges(numbers: List[int]) -> str:
    """0, 1, 2, 5 → `0-2,5`."""
    runs: List[List[int]] = []
    for one in numbers:
        if runs and one == runs[-1][1] + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return ",".join(str(low) if low == high else "{}-{}".format(low, high) for low, high in runs)
