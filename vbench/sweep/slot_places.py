"""Which GPU, or which processor cores, each of several trials side by side has for itself."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vbench.hardware.gpu_device import GpuDevice
from vbench.hardware.nvml import Nvml
from vbench.hardware.visible import visible_gpus
from vbench.spec.types import SweepSpec
from vbench.sweep.target import Target

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where trials run: what their environment gets, the logical processors they may use (None: all), a name."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: frozenset[int] | None = None


def places_of(spec: SweepSpec, target: Target) -> tuple[list[Place], list[str]]:
    """A place for each trial that may run beside others, none where trials run one at a time; and what to say of it.
    Raises MachineError where CUDA_VISIBLE_DEVICES names a GPU that isn't there."""
    asked = spec.search.parallel_trials
    if asked < 2 or not spec.parameters:
        return [], []
    if target.is_cpu:
        cores = cores_of(os.sched_getaffinity(0))
        found, there = core_places(cores, min(asked, len(cores))), _counted(len(cores), "core")
    else:
        environment = {**os.environ, **spec.environment}
        with Nvml() as nvml:
            devices = visible_gpus(nvml.devices, environment)
            found, there = gpu_places(devices[:asked], environment), _counted(len(devices), "GPU")
    if len(found) >= asked:
        return found, []
    instead = f"{len(found)} side by side" if len(found) > 1 else "trials run one at a time"
    return (found if len(found) > 1 else []), [f"parallel_trials: {asked}, but here is {there}: {instead}"]


def gpu_places(devices: Sequence[GpuDevice], environment: Mapping[str, str]) -> list[Place]:
    """One for each GPU. By its number in the order of the bus, as older engines can't read UUIDs; by its UUID where
    the environment has UUIDs."""
    by_uuid = environment.get(_VARIABLE, "").strip().startswith("GPU-")
    found = []
    for device in devices:
        if by_uuid and device.uuid is not None:
            variables = {_VARIABLE: device.uuid}
        else:
            variables = {_VARIABLE: str(device.index), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        found.append(Place(name=f"GPU {device.index}", environment=variables))
    return found


def core_places(cores: Sequence[Collection[int]], count: int) -> list[Place]:
    """Neighbouring cores for each, hyperthreads of a core together.

    >>> [place.name for place in core_places([[0, 4], [1, 5], [2, 6]], 2)]
    ['processors 0, 4', 'processors 1, 2, 5, 6']
    """
    found = []
    for index in range(count):
        share = cores[index * len(cores) // count : (index + 1) * len(cores) // count]
        every = sorted(one for core in share for one in core)
        name = f"processor{'' if len(every) == 1 else 's'} {', '.join(map(str, every))}"
        found.append(Place(name=name, cores=frozenset(every)))
    return found


def cores_of(processors: Collection[int], siblings: str = _SIBLINGS) -> list[list[int]]:
    """The processors by core, as the kernel says which share one; each a core of its own where it doesn't."""
    cores: dict[str, list[int]] = {}
    for one in sorted(processors):
        try:
            name = Path(siblings.format(one)).read_text().strip()
        except OSError:
            name = str(one)
        cores.setdefault(name, []).append(one)
    return list(cores.values())


def _counted(count: int, what: str) -> str:
    return f"only {count} {what}{'' if count == 1 else 's'}" if count else f"no {what}"
