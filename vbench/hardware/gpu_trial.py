"""The GPUs of a sweep's trials: NVML held open while trials run, a source for each, and waiting for their memory.

A trial's own are the processes that vbench started for it. What else is on the card is foreign, and said in a warning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vbench.hardware.gpu_samples import GpuSample, GpuSource, GpuUse, HostMemory
from vbench.hardware.nvml import Nvml
from vbench.hardware.visible import order_warning, visible_gpus
from vbench.units import MIB

if TYPE_CHECKING:
    from vbench.hardware.gpu_device import GpuDevice

RELEASE_TIMEOUT_S = 30.0  # a driver frees tens of GiB within a second or two; a stuck process never does
_RELEASED_WITHIN_BYTES = 128 * MIB  # contexts of a desktop come and go by about as much
_POLL_S = 0.05
_NOTABLE_FOREIGN_BYTES = 64 * MIB


def _nothing_to_check() -> None:
    """Nothing is held, so nothing can have gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What vbench itself holds on the GPUs (a balloon): no trial's, and no foreign process's. Where the driver lists
    processes, their contexts are left out of a trial's memory too."""

    pids: tuple[int, ...] = ()
    bytes_by_uuid: Mapping[str, int] = field(default_factory=dict)
    """Of each GPU (`GPU-…`)."""
    check: Callable[[], None] = field(default=_nothing_to_check, compare=False)
    """Raises MachineError once it is no longer held."""


class TrialGpus:
    """NVML for as long as trials run. Use as a context manager; its sources are read only while it is open.

    Raises MachineError on entering where CUDA_VISIBLE_DEVICES names a GPU that isn't there.
    """

    def __init__(self, environment: Mapping[str, str], reserved: Reserved | None = None) -> None:
        self.devices: list[GpuDevice] = []
        self._nvml = Nvml()
        self._environment = environment
        self._reserved = reserved or Reserved()
        self._notes: list[str] = []

    def __enter__(self) -> TrialGpus:
        self._nvml.__enter__()
        try:
            self.devices = visible_gpus(self._nvml.devices, self._environment)
        except BaseException:
            self.close()
            raise
        if self._nvml.devices and not self.devices:
            self._notes.append("CUDA_VISIBLE_DEVICES hides every GPU: nothing of them was measured")
        unsure = order_warning(self._nvml.devices, self._environment)
        if unsure is not None:
            self._notes.append(unsure)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close NVML; no sampler may be reading any more."""
        self._nvml.__exit__(None, None, None)

    @property
    def warnings(self) -> list[str]:
        """What NVML couldn't read so far, and what of the environment is doubtful."""
        return [*self._nvml.warnings, *self._notes]

    def facts(self) -> dict[str, Any]:
        """For records: `gpus` (what doesn't change, by GPU) and `driver`."""
        return {"gpus": [device.facts().as_json() for device in self.devices], "driver": self._nvml.driver_version}

    def source(self, tree_pids: Callable[[], Collection[int]], host: HostMemory) -> GpuSource:
        """A trial's source. It is read once here, so that its first sample is the GPUs before the trial took any."""
        held = self._reserved.bytes_by_uuid
        by_index = {device.index: held.get(device.uuid or "", 0) for device in self.devices}
        source = GpuSource(self.devices, tree_pids, host=host, companions=self._reserved.pids, held_bytes=by_index)
        source.read()
        return source


def wait_for_release(samples: Sequence[GpuSample], timeout_s: float | None = None) -> list[str]:
    """Wait until the GPUs hold no more for the trial than in its first sample, while a sampler adds to `samples`.

    Returns a warning for each GPU that still does after `timeout_s` (RELEASE_TIMEOUT_S if None). What can't be read
    can't be waited for, and a sampler that adds nothing ends the wait too.
    """
    if not samples:
        return []
    begin = time.monotonic()
    deadline = begin + (RELEASE_TIMEOUT_S if timeout_s is None else timeout_s)
    while time.monotonic() < deadline:
        last = samples[-1]
        if last.t >= begin and not _excess(samples[0], last):
            return []
        time.sleep(_POLL_S)
    waited_s = time.monotonic() - begin
    return [_not_released(use, kept, samples[0], waited_s) for use, kept in _excess(samples[0], samples[-1])]


def foreign_warnings(samples: Sequence[GpuSample]) -> list[str]:
    """Who else had memory on a trial's GPUs, a line per GPU."""
    warnings = []
    for place in range(len(samples[0].gpus) if samples else 0):
        uses = [one.gpus[place] for one in samples]
        most = max((use.foreign_bytes or 0 for use in uses), default=0)
        pids = sorted({pid for use in uses for pid in use.foreign_pids or ()})
        if most >= _NOTABLE_FOREIGN_BYTES:
            warnings.append(
                f"GPU {uses[0].reading.index}: {_pids(pids)} of others held up to {most / MIB:,.0f} MiB of it; end "
                "what you can, or speed and memory aren't the trial's alone"
            )
    return warnings


def _excess(first: GpuSample, last: GpuSample) -> list[tuple[GpuUse, int]]:
    """The GPUs that hold more than at first without foreign processes having taken it, and how many bytes."""
    held = []
    for before, now in zip(first.gpus, last.gpus, strict=True):
        was, has = _not_foreign(before), _not_foreign(now)
        if was is not None and has is not None and has - was > _RELEASED_WITHIN_BYTES:
            held.append((now, has - was))
    return held


def _not_foreign(use: GpuUse) -> int | None:
    return None if use.used_bytes is None else use.used_bytes - (use.foreign_bytes or 0)


def _not_released(use: GpuUse, kept: int, first: GpuSample, waited_s: float) -> str:
    index = use.reading.index
    before = {one.pid for gpu in first.gpus for one in gpu.reading.processes or ()}
    others = before | set(use.foreign_pids or ())
    pids = [one.pid for one in use.reading.processes or () if one.pid not in others]
    who = f"{_pids(pids)} hold it" if pids else "the driver names no process that holds it"
    return (
        f"GPU {index}: {kept / MIB:,.0f} MiB more are in use {waited_s:.0f} s after the trial's end than before it, "
        f"and {who}: later trials have that much less (`nvidia-smi`, then end it or restart)"
    )


def _pids(pids: Sequence[int]) -> str:
    return f"{'pid' if len(pids) == 1 else 'pids'} {', '.join(map(str, pids))}"
