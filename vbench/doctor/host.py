"""The machine without its GPUs: cores, load, memory, shared memory, disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from vbench.doctor.check import Check, ok, warn
from vbench.hardware.this_machine import available_ram_bytes, host_of_this_machine
from vbench.units import GIB, MIB

_ABOUT = "machine"
_BUSY_SHARE = 0.25  # of the cores: other work of this size shows in throughputs
_LEAST_RAM_BYTES = 4 * GIB
_LEAST_SHM_BYTES = GIB
_SHM = "/dev/shm"  # noqa: S108 -- looked at, not written to
_LEAST_DISK_BYTES = 2 * GIB


def check_host(results: Path) -> list[Check]:
    """Cores and load, memory, /dev/shm, and the disk that `results` is or would be on."""
    return [_cores(), _memory(), _shared_memory(), _disk(results)]


def _cores() -> Check:
    cores = host_of_this_machine().cores
    load = os.getloadavg()[0]
    says = f"{cores} core{'s' if cores != 1 else ''}, load {load:.1f} in the last minute"
    if load > _BUSY_SHARE * cores + 0.5:
        return warn(_ABOUT, "processor", says, "other work is running: end it, or throughputs come out lower and noisy")
    return ok(_ABOUT, "processor", says)


def _memory() -> Check:
    total, free = host_of_this_machine().ram_bytes, available_ram_bytes()
    says = f"{free / GIB:.1f} of {total / GIB:.1f} GiB of memory are free"
    if free < _LEAST_RAM_BYTES:
        advice = "loading a model passes through host memory: close programs, or expect the kernel to end trials"
        return warn(_ABOUT, "memory", says, advice)
    return ok(_ABOUT, "memory", says)


def _shared_memory() -> Check:
    try:
        free = shutil.disk_usage(_SHM).free
    except OSError:
        return warn(_ABOUT, _SHM, f"there is no {_SHM}", "tensor parallelism needs it: mount a tmpfs there (1 GiB)")
    says = f"{free / MIB:,.0f} MiB free"
    if free < _LEAST_SHM_BYTES:
        advice = "tensor parallelism may fail for lack of it: start the container with `--ipc=host` or `--shm-size=2g`"
        return warn(_ABOUT, _SHM, says, advice)
    return ok(_ABOUT, _SHM, says)


def _disk(results: Path) -> Check:
    """The nearest folder above `results` that exists is where it will be made."""
    folder = results.absolute()
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return warn(
            _ABOUT, "results", f"{results} can't be written", "choose another folder: --results DIR or VBENCH_RESULTS"
        )
    free = shutil.disk_usage(folder).free
    says = f"{free / GIB:.1f} GiB free where {results} is"
    if free < _LEAST_DISK_BYTES:
        return warn(_ABOUT, "results", says, "results are small, but models are downloaded to the same disk: make room")
    return ok(_ABOUT, "results", says)
