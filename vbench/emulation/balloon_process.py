"""The process that holds GPU memory: standard library only, run by its path in an isolated interpreter.

Arguments: the parent's pid, the bytes to hold on each device, and the devices (an ordinal as CUDA counts, or a UUID).
Says one line of JSON, `{"held": […]}` or `{"error": "…"}`, and then waits for the end of its standard input, which
comes however the parent ends. Calls are those of the CUDA Driver API, sections 6.2 to 6.13.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

_CHUNK_BYTES = 256 * 1024**2
_LEAST_CHUNK_BYTES = 2 * 1024**2  # the driver's granule
_OUT_OF_MEMORY = 2
_PR_SET_PDEATHSIG = 1


class CudaError(Exception):
    """A call of the driver that failed; `code` is its CUresult."""

    def __init__(self, call: str, code: int, text: str) -> None:
        super().__init__(f"{call}: {text} (CUDA error {code})")
        self.code = code


class Driver:
    """libcuda's calls that are needed here, each checked."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", ctypes.c_uint(0))

    def call(self, name: str, *arguments: Any) -> None:
        """Raises CudaError with the driver's own words."""
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
            raise CudaError(name, code, (text.value or b"unknown").decode(errors="replace"))

    def device(self, wanted: str) -> ctypes.c_int:
        """By ordinal or UUID. Raises LookupError for one that CUDA doesn't show."""
        count, device = ctypes.c_int(), ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        for ordinal in range(count.value):
            self.call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(ordinal))
            if wanted == str(ordinal) or (wanted.startswith("GPU-") and self.uuid(device).startswith(wanted)):
                return device
        raise LookupError(f"CUDA shows no GPU {wanted} ({count.value} in all)")

    def uuid(self, device: ctypes.c_int) -> str:
        """As NVML writes it."""
        raw = (ctypes.c_ubyte * 16)()
        self.call("cuDeviceGetUuid", ctypes.byref(raw), device)
        text = bytes(raw).hex()
        return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the current context's device."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def hold(self, num_bytes: int) -> int:
        """Allocate so much in chunks, smaller ones where memory is in pieces; returns the bytes that could be had."""
        held, chunk = 0, _CHUNK_BYTES
        while held < num_bytes:
            size = min(chunk, num_bytes - held)
            pointer = ctypes.c_uint64()
            try:
                self.call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
            except CudaError as error:
                if error.code != _OUT_OF_MEMORY:
                    raise
                if size <= _LEAST_CHUNK_BYTES:
                    break
                chunk = max(_LEAST_CHUNK_BYTES, size // 2)
                continue
            held += size
        return held


def hold_on(driver: Driver, wanted: str, num_bytes: int) -> dict[str, Any]:
    """Raises MemoryError where less is free than has to be held."""
    device, context = driver.device(wanted), ctypes.c_void_p()
    driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    driver.call("cuCtxSetCurrent", context)
    free_before, total = driver.memory()
    held = driver.hold(num_bytes)
    if held < num_bytes:
        raise MemoryError(
            f"GPU {wanted}: {num_bytes / 1024**2:,.0f} MiB have to be held and {held / 1024**2:,.0f} could be: "
            f"{free_before / 1024**2:,.0f} of {total / 1024**2:,.0f} MiB were free"
        )
    return {"device": wanted, "uuid": driver.uuid(device), "bytes": held, "total_bytes": total}


def main(arguments: list[str]) -> int:
    """Hold until standard input ends; 1 where it can't be held."""
    parent, num_bytes, devices = int(arguments[0]), int(arguments[1]), arguments[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        driver = Driver()
        answer: dict[str, Any] = {"held": [hold_on(driver, device, num_bytes) for device in devices]}
    except (CudaError, LookupError, MemoryError) as error:
        answer = {"error": str(error)}
    except (OSError, AttributeError) as error:
        answer = {"error": f"the CUDA driver can't be used: {error}"}
    print(json.dumps(answer), flush=True)
    if "error" in answer:
        return 1
    sys.stdin.buffer.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
