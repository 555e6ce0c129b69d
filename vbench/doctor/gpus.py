"""Driver, GPUs, and what CUDA_VISIBLE_DEVICES makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from vbench.doctor.check import Check, fail, ok, warn
from vbench.errors import MachineError
from vbench.execution.machine import nvidia_gpu_count
from vbench.hardware.gpu_device import GpuDevice
from vbench.hardware.gpu_types import SLOWING_REASONS, GpuReading
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import version_text
from vbench.hardware.visible import order_warning, visible_gpus
from vbench.units import GIB, MIB

_ABOUT = "GPU"
_IDLE_BYTES = 300 * MIB
_HOT_C = 80


def check_gpus(nvml: Nvml, environment: Mapping[str, str]) -> tuple[list[Check], list[GpuDevice]]:
    """What there is to say, and the GPUs that an engine started here would see."""
    if not nvml.devices:
        return [_driver(nvml)], []
    checks = [_driver(nvml)]
    for device in nvml.devices:
        checks += _device(device)
    visibility, visible = _visible(nvml, environment)
    return [*checks, *visibility], visible


def _driver(nvml: Nvml) -> Check:
    if nvml.devices:
        says = f"driver {nvml.driver_version or 'of unknown version'} runs CUDA up to {version_text(nvml.cuda_version)}"
        return ok(_ABOUT, "driver", says)
    why = nvml.problem or "the driver shows no GPU"
    if nvidia_gpu_count() > 0:  # a card is there, and can't be used
        advice = "the kernel shows an NVIDIA device: `nvidia-smi` should too before a sweep is started"
        return fail(_ABOUT, "driver", f"NVML can't be used: {why}", advice)
    return ok(_ABOUT, "driver", f"no NVIDIA GPU ({why}); engines built for the CPU run here")


def _device(device: GpuDevice) -> list[Check]:
    facts, reading = device.facts(), device.read()
    if device.is_lost:
        advice = "`dmesg | grep -i xid` says why; a reboot usually brings it back"
        return [fail(_ABOUT, facts.label, "it has fallen off the bus", advice)]
    used, total = reading.used_bytes, facts.total_bytes
    memory = "memory not readable" if total is None else f"{total / GIB:.2f} GiB"
    if used is not None:
        memory += f", {used / MIB:,.0f} MiB in use"
    capability = version_text(facts.compute_capability)
    says = f"{memory}, compute capability {capability or 'unknown'}"
    checks = [ok(_ABOUT, facts.label, says)]
    if facts.mig_enabled:
        advice = "vbench measures whole GPUs: switch MIG off (`nvidia-smi -mig 0`), or use another GPU"
        checks.append(warn(_ABOUT, facts.label, "MIG is on", advice))
    return [*checks, *_busy(facts.label, reading), *_slow(facts.label, reading)]


def _busy(label: str, reading: GpuReading) -> list[Check]:
    if reading.processes:
        pids = ", ".join(str(one.pid) for one in reading.processes)
        advice = "end them before a sweep, or plan for less memory and noisier speeds"
        return [warn(_ABOUT, label, f"processes have memory on it: pid {pids}", advice)]
    if reading.used_bytes is not None and reading.used_bytes > _IDLE_BYTES:
        advice = "a process that isn't listed (another container?) holds it: `nvidia-smi` on the host names it"
        return [warn(_ABOUT, label, f"{reading.used_bytes / MIB:,.0f} MiB are in use by nobody listed", advice)]
    return []


def _slow(label: str, reading: GpuReading) -> list[Check]:
    slowing = [one for one in reading.clock_reasons or () if one in SLOWING_REASONS]
    if slowing:
        advice = "it is slower than it could be: see to cooling and the power limit (`nvidia-smi -q -d PERFORMANCE`)"
        return [warn(_ABOUT, label, f"its clocks are held down now: {', '.join(slowing)}", advice)]
    if reading.temperature_c is not None and reading.temperature_c >= _HOT_C:
        advice = "it will lower its clocks under load: let it cool, and use more passes"
        return [warn(_ABOUT, label, f"{reading.temperature_c} °C before anything runs", advice)]
    return []


def _visible(nvml: Nvml, environment: Mapping[str, str]) -> tuple[list[Check], list[GpuDevice]]:
    name = "CUDA_VISIBLE_DEVICES"
    try:
        visible = visible_gpus(nvml.devices, environment)
    except MachineError as error:
        return [fail(_ABOUT, name, str(error), f"unset {name}, or name GPUs that are here")], []
    if not visible:
        return [fail(_ABOUT, name, f"{name}={environment.get(name)!r} hides every GPU", f"unset {name}")], []
    unsure = order_warning(nvml.devices, environment)
    if unsure is not None:
        return [warn(_ABOUT, name, "the GPUs differ, and their order isn't certain", unsure)], visible
    if name in environment:
        return [ok(_ABOUT, name, f"an engine sees {', '.join(one.label for one in visible)}")], visible
    return [], visible
