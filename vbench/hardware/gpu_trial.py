"""The GPUs of a sweep's trials: NVML held open while trials run, a source for each, and waiting for their memory.

A trial's own are the processes that vbench started for it. What else is on the card is foreign, and said in a warning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vbench.errors import MachineError
from vbench.hardware import gpu_unready
from vbench.hardware.gpu_samples import GpuSample, GpuSource, GpuUse, HostMemory
from vbench.hardware.gpu_unready import (
    LOST_ADVICE,
    STUCK,
    Fault,
    answers,
    excess,
    holders,
    more_of_others,
    not_released,
    pids_of,
)
from vbench.hardware.nvml import Nvml
from vbench.hardware.visible import order_warning, visible_gpus
from vbench.units import MIB

if TYPE_CHECKING:
    from vbench.hardware.gpu_device import GpuDevice

RELEASE_TIMEOUT_S = 30.0  # a driver frees tens of GiB within a second or two; a stuck process never does
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

    Raises MachineError on entering where CUDA_VISIBLE_DEVICES names a GPU that isn't there, or the driver is stuck.
    `release_s`: how long memory is waited for; None: RELEASE_TIMEOUT_S.
    """

    def __init__(
        self, environment: Mapping[str, str], reserved: Reserved | None = None, release_s: float | None = None
    ) -> None:
        self.devices: list[GpuDevice] = []
        self.at_first: GpuSample | None = None
        """The GPUs as the session found them; None where there are none."""
        self._release_s = release_s
        self._is_stuck = False
        self._source: GpuSource | None = None
        """The last trial's."""
        self._between: GpuSource | None = None
        """What is read between trials."""
        self._tree: set[int] = set()
        """Pids that are, or were, a trial's."""
        self._nvml = Nvml()
        self._environment = environment
        self._reserved = reserved or Reserved()
        self._notes: list[str] = []

    def __enter__(self) -> TrialGpus:
        if not self._asked(self._open):
            raise MachineError(f"{STUCK.evidence}: {STUCK.advice}")
        if self._nvml.devices and not self.devices:
            self._notes.append("CUDA_VISIBLE_DEVICES hides every GPU: nothing of them was measured")
        unsure = order_warning(self._nvml.devices, self._environment)
        if unsure is not None:
            self._notes.append(unsure)
        return self

    def _open(self) -> None:
        self._nvml.__enter__()
        try:
            self.devices = visible_gpus(self._nvml.devices, self._environment)
        except BaseException:
            self._nvml.__exit__(None, None, None)
            raise
        if self.devices:
            self._between = self._new_source(lambda: self._tree, None)
            self._between.read()
            self.at_first = self._between.samples[0]
        for device in self.devices:
            device.facts()  # asked once, and here: a driver that is stuck later isn't waited for

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close NVML; no sampler may be reading any more, unless the driver is stuck: then nothing more is asked."""
        if not self.is_stuck:
            self._nvml.__exit__(None, None, None)

    @property
    def is_stuck(self) -> bool:
        """Whether the driver has left a question unanswered."""
        self._is_stuck |= self._source is not None and self._source.is_stuck(gpu_unready.ANSWER_S)
        return self._is_stuck

    def others_leave(self) -> bool:
        """Wait until foreign processes hold no more than when the session began; False where they stay."""
        if self._between is None or self.at_first is None:
            return True
        deadline = time.monotonic() + (RELEASE_TIMEOUT_S if self._release_s is None else self._release_s)
        while self.lost() is None and self._asked(self._between.read):
            more = more_of_others(self.at_first, self._between.samples[-1:])
            del self._between.samples[:]
            if not more or time.monotonic() >= deadline:
                return not more
            time.sleep(_POLL_S)
        return False

    def _asked(self, ask: Callable[[], object]) -> bool:
        """Whether the driver answered; one that once didn't isn't asked again."""
        self._is_stuck = self.is_stuck or not answers(ask)
        return not self._is_stuck

    def lost(self) -> Fault | None:
        """What is known of a GPU that has fallen off the bus, or a driver that is stuck."""
        if self.is_stuck:
            return STUCK
        gone = [device.label for device in self.devices if device.is_lost]
        if not gone:
            return None
        which = f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} lost"
        evidence = f"{which}: no longer answering on the PCI bus"
        return Fault(failure_class="gpu_lost", evidence=evidence, advice=LOST_ADVICE)

    def unready(self, own_pids: Callable[[], Collection[int]]) -> Fault | None:
        """Why no trial can be started now; None: the GPUs are as the session found them. What isn't given back is
        waited for. `own_pids`: what is left of this run's processes."""
        if self._between is None or self.at_first is None:
            return None
        begin = time.monotonic()
        deadline = begin + (RELEASE_TIMEOUT_S if self._release_s is None else self._release_s)
        if self._source is not None:
            self._tree |= self._source.own_pids
        while True:
            self._tree |= set(own_pids())
            self._asked(self._between.read)
            if (fault := self.lost()) is not None:
                return fault
            last = self._between.samples[-1]
            del self._between.samples[:]
            held = excess(self.at_first, last)
            now = time.monotonic()
            if not held or now >= deadline:
                return not_released(held, self.at_first, now - begin) if held else None
            time.sleep(_POLL_S)

    @property
    def warnings(self) -> list[str]:
        """What NVML couldn't read so far, and what of the environment is doubtful."""
        return [*self._nvml.warnings, *([STUCK.evidence] if self.is_stuck else []), *self._notes]

    def facts(self) -> dict[str, Any]:
        """For records: `gpus` (what doesn't change, by GPU) and `driver`."""
        return {"gpus": [device.facts().as_json() for device in self.devices], "driver": self._nvml.driver_version}

    def source(self, tree_pids: Callable[[], Collection[int]], host: HostMemory) -> GpuSource:
        """A trial's source. It is read once here, so that its first sample is the GPUs before the trial took any."""
        source = self._source = self._new_source(tree_pids, host)
        source.release_s = self._release_s
        self._asked(source.read)
        return source

    def _new_source(self, tree_pids: Callable[[], Collection[int]], host: HostMemory | None) -> GpuSource:
        held = self._reserved.bytes_by_uuid
        by_index = {device.index: held.get(device.uuid or "", 0) for device in self.devices}
        return GpuSource(self.devices, tree_pids, host=host, companions=self._reserved.pids, held_bytes=by_index)


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
        if last.t >= begin and not excess(samples[0], last):
            return []
        time.sleep(_POLL_S)
    waited_s = time.monotonic() - begin
    return [_not_released(use, kept, samples[0], waited_s) for use, kept in excess(samples[0], samples[-1])]


def foreign_warnings(samples: Sequence[GpuSample]) -> list[str]:
    """Who else had memory on a trial's GPUs, a line per GPU."""
    warnings = []
    for place in range(len(samples[0].gpus) if samples else 0):
        uses = [one.gpus[place] for one in samples]
        most = max((use.foreign_bytes or 0 for use in uses), default=0)
        pids = sorted({pid for use in uses for pid in use.foreign_pids or ()})
        if most >= _NOTABLE_FOREIGN_BYTES:
            warnings.append(
                f"GPU {uses[0].reading.index}: {pids_of(pids)} of others held up to {most / MIB:,.0f} MiB of it; end "
                "what you can, or speed and memory aren't the trial's alone"
            )
    return warnings


def _not_released(use: GpuUse, kept: int, first: GpuSample, waited_s: float) -> str:
    return (
        f"GPU {use.reading.index}: {kept / MIB:,.0f} MiB more are in use {waited_s:.0f} s after the trial's end than "
        f"before it, and {holders(use, first)}: later trials have that much less (`nvidia-smi`, then end it or restart)"
    )
