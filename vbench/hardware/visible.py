"""CUDA_VISIBLE_DEVICES to physical GPUs. CUDA's rules are in the CUDA C++ Programming Guide, environment variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vbench.errors import MachineError
from vbench.hardware.gpu_device import GpuDevice

_VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus(devices: Sequence[GpuDevice], environment: Mapping[str, str]) -> list[GpuDevice]:
    """The GPUs that a program with this environment sees, in its order: its `cuda:0` first.

    Raises MachineError where the variable names what isn't here: CUDA would silently hide it and all after it.
    """
    text = environment.get(_VARIABLE)
    if text is None or not devices:
        return list(devices)
    chosen: list[GpuDevice] = []
    for part in (one.strip() for one in text.split(",")):
        # CUDA hides an entry below 0 and all that follow; an empty value hides everything; Slurm writes NoDevFiles.
        if part in ("", "NoDevFiles") or (part.startswith("-") and part[1:].isdecimal()):
            break
        device = _named(part, devices, text)
        if device in chosen:
            raise MachineError(f"{_VARIABLE}={text} names {device.label} twice; name each GPU once")
        chosen.append(device)
    return chosen


def order_warning(devices: Sequence[GpuDevice], environment: Mapping[str, str]) -> str | None:
    """What to set where CUDA may number the GPUs otherwise than NVML does; None where both surely agree.

    CUDA puts the fastest first unless CUDA_DEVICE_ORDER says PCI_BUS_ID, which is NVML's order.
    """
    names = {device.name for device in devices}
    text = environment.get(_VARIABLE, "0")
    by_number = not text.strip().startswith("GPU-")
    if len(names) < 2 or not by_number or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return None
    return "the GPUs differ, so CUDA may number them otherwise than nvidia-smi: set CUDA_DEVICE_ORDER=PCI_BUS_ID"


def _named(part: str, devices: Sequence[GpuDevice], text: str) -> GpuDevice:
    if part.startswith("MIG-"):
        raise MachineError(
            f"{_VARIABLE}={text}: vbench measures whole GPUs, not MIG slices; name a GPU without MIG, or by its UUID"
        )
    here = ", ".join(f"{device.index} ({device.uuid or 'UUID unknown'})" for device in devices)
    if part.isdecimal() and part.isascii():
        if int(part) >= len(devices):
            raise MachineError(f"{_VARIABLE}={text}: there is no GPU {part}; here are {here}")
        return devices[int(part)]
    if not part.startswith("GPU-"):
        raise MachineError(f"{_VARIABLE}={text}: {part!r} is neither a number nor a UUID; here are {here}")
    found = [device for device in devices if (device.uuid or "").startswith(part)]
    if len(found) != 1:
        what = "is no GPU here" if not found else "fits more than one GPU"
        raise MachineError(f"{_VARIABLE}={text}: {part} {what}; here are {here}")
    return found[0]
