"""The NVML session, and vbench's only importer of pynvml (the distribution is `nvidia-ml-py`).

Nothing here raises: what can't be read is None, and `warnings` says why, once per device and cause. The traps it knows:

* Memory: the v1 struct's `used` includes what the driver reserves (about 450 MiB on a T4), v2's doesn't
  (nvmlMemory_t, nvmlMemory_v2_t in NVIDIA's NVML API reference; Cldfire/nvml-wrapper#57).
* After GPU_IS_LOST no call on that device is made again: some of them block.
* A driver updated under a running kernel module answers nvmlInit with LIB_RM_VERSION_MISMATCH until a reboot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vbench.hardware.gpu_device import GpuDevice

if TYPE_CHECKING:
    from types import TracebackType

# Return codes of nvml.h (nvmlReturn_t).
_INVALID_ARGUMENT, _NOT_SUPPORTED, _NO_PERMISSION = 2, 3, 4
_FUNCTION_NOT_FOUND, _GPU_IS_LOST, _VERSION_MISMATCH = 13, 15, 25
_OLDER_FORM = frozenset((_INVALID_ARGUMENT, _NOT_SUPPORTED, _FUNCTION_NOT_FOUND, _VERSION_MISMATCH))
_FOR_GOOD = frozenset((_NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND))
_UNAVAILABLE = {
    4: "no permission to use NVML: is /dev/nvidiactl readable by this user?",
    9: "the NVIDIA driver's kernel module isn't loaded (try `nvidia-smi`; after an update, reboot)",
    12: "libnvidia-ml.so.1 isn't found: no NVIDIA driver here, or a container started without it (`--gpus all`)",
    13: "the NVIDIA driver is too old for NVML as vbench uses it",
    18: "the NVIDIA driver was updated while its old kernel module is still loaded: reboot",
}
# Absent on whole families of cards (ECC on GeForce, events in containers): not worth a warning in every report.
_OPTIONAL = frozenset(("ECC mode", "ECC errors", "XID events", "MIG mode", "persistence mode", "graphics processes"))
Call = tuple[Any, ...]
"""The name of a pynvml function and its arguments."""


class Nvml:
    """An open NVML, or the reason why there is none. Use as a context manager.

    `problem` is None when it is open. `devices` are all physical GPUs in NVML's order (the PCI bus's).
    """

    def __init__(self) -> None:
        self.problem: str | None = "NVML isn't open"
        self.devices: tuple[GpuDevice, ...] = ()
        self.driver_version: str | None = None
        self.cuda_version: tuple[int, int] | None = None
        """The newest CUDA that the driver runs."""
        self._lib: Any = None
        self._unread: dict[tuple[str, str], list[str]] = {}
        self._lost: dict[int, str] = {}
        self._given_up: set[tuple[int, str]] = set()
        self._form: dict[str, int] = {}

    def __enter__(self) -> Nvml:
        self.problem = self._open()
        if self.problem is None:
            self.driver_version = self.ask(None, "driver version", ("nvmlSystemGetDriverVersion",))
            cuda = self.ask(None, "CUDA version", ("nvmlSystemGetCudaDriverVersion_v2",))
            self.cuda_version = None if cuda is None else (cuda // 1000, cuda % 1000 // 10)
            count = self.ask(None, "number of GPUs", ("nvmlDeviceGetCount",)) or 0
            self.devices = tuple(GpuDevice(self, index) for index in range(count))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lib is not None:
            for device in self.devices:
                device.close()
            self.ask(None, "shutdown", ("nvmlShutdown",))
            self._lib, self.problem = None, "NVML is closed"

    @property
    def warnings(self) -> list[str]:
        """What couldn't be read so far and why, a line per device and cause."""
        lines = [self.problem] if self.problem is not None and not self.devices else []
        lines += list(self._lost.values())
        for (who, why), quantities in list(self._unread.items()):  # the sampler's thread may be adding to it
            said = [
                one for one in quantities if not (one in _OPTIONAL and why in ("Not Supported", "Function Not Found"))
            ]
            if said:
                lines.append(f"{who}: {', '.join(said)} can't be read: {why}")
        return lines

    @property
    def unread(self) -> dict[str, list[str]]:
        """Every quantity that couldn't be read, optional ones too, by `GPU 0 (name): cause`."""
        return {f"{who}: {why}": list(quantities) for (who, why), quantities in list(self._unread.items())}

    def is_lost(self, index: int) -> bool:
        """Whether that GPU has fallen off the bus."""
        return index in self._lost

    def ask(self, device: GpuDevice | None, quantity: str, *forms: Call) -> Any | None:
        """The answer of the first form that this driver has, newest first; None where there is none."""
        return self.attempt(device, quantity, *forms)[1]

    def attempt(
        self, device: GpuDevice | None, quantity: str, *forms: Call, quiet: Sequence[int] = ()
    ) -> tuple[bool, Any | None]:
        """Whether it was answered, and the answer. `quiet` are return codes that need no warning.

        Which form works is remembered, and what a device will never answer isn't asked again.
        """
        index = -1 if device is None else device.index
        if self._lib is None or index in self._lost or (index, quantity) in self._given_up:
            return False, None
        first = self._form.get(quantity, 0)
        for number, (name, *arguments) in enumerate(forms[first:], start=first):
            code, answer = self._call(name, arguments)
            if code is None:
                self._form[quantity] = number
                return True, answer
            if code in quiet:
                return False, None
            if code not in _OLDER_FORM or number == len(forms) - 1:
                self._note(device, quantity, code, answer)
                break
        return False, None

    def _call(self, name: str, arguments: Sequence[Any]) -> tuple[int | None, Any]:
        """None and the answer, or the return code and its words."""
        lib = self._lib
        function = getattr(lib, name, None)
        if function is None:  # an older nvidia-ml-py
            return _FUNCTION_NOT_FOUND, "Function Not Found"
        try:
            return None, function(*arguments)
        except lib.NVMLError as error:
            return int(error.value), str(error)
        except lib.NVMLLibraryMismatchError:
            return _FUNCTION_NOT_FOUND, "Function Not Found"
        except UnicodeDecodeError:
            return _INVALID_ARGUMENT, "not text"

    def _note(self, device: GpuDevice | None, quantity: str, code: int, why: str) -> None:
        who = "NVML" if device is None else device.label
        if code == _GPU_IS_LOST and device is not None:
            self._lost[device.index] = (
                f"{who} is lost: it no longer answers on the PCI bus and its readings stay empty from here "
                "(`dmesg | grep -i xid` says why; a reboot usually brings it back)"
            )
            return
        if code in _FOR_GOOD:
            self._given_up.add((-1 if device is None else device.index, quantity))
        quantities = self._unread.setdefault((who, why), [])
        if quantity not in quantities:
            quantities.append(quantity)

    def _open(self) -> str | None:
        """Load and initialise the library; returns why it can't."""
        try:
            import pynvml  # type: ignore[import-untyped]
        except ImportError:
            return "nvidia-ml-py isn't installed: pip install nvidia-ml-py"
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return _UNAVAILABLE.get(int(error.value), f"NVML doesn't start: {error}")
        self._lib = pynvml
        return None
