"""Known traps of an engine on a card, each told only where it can be stepped into. All were met by somebody."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.doctor.check import Check, warn
from vbench.doctor.engines import FoundEngine
from vbench.hardware.gpu_device import GpuDevice

_TURING = (7, 5)
_AMPERE = (8, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An engine, the GPUs it sees, and the environment it inherits."""

    engine: FoundEngine
    gpus: Sequence[GpuDevice]
    environment: Mapping[str, str]

    @property
    def is_on_gpu(self) -> bool:
        """Whether it is a GPU build with a GPU."""
        return not self.engine.is_cpu and bool(self.gpus)

    def has_capability(self, *, below: tuple[int, int], at_least: tuple[int, int] = (0, 0)) -> bool:
        """Whether one of its GPUs is known to lie there."""
        known = [gpu.facts().compute_capability for gpu in self.gpus]
        return self.is_on_gpu and any(one is not None and at_least <= one < below for one in known)

    def is_version(self, since: tuple[int, ...], before: tuple[int, ...]) -> bool:
        """Whether the engine's version lies there."""
        return since <= self.engine.version < before


def check_traps(engine: FoundEngine, gpus: Sequence[GpuDevice], environment: Mapping[str, str]) -> list[Check]:
    """Those that apply to this engine here."""
    place = Place(engine=engine, gpus=gpus, environment=environment)
    return [check for trap in _TRAPS for check in [trap(place)] if check is not None]


def _ignored_backend(place: Place) -> Check | None:
    name = "VLLM_ATTENTION_BACKEND"
    if name not in place.environment or place.engine.version < (0, 15):
        return None
    return _trap(
        name,
        f"it is set, and vLLM ignores it from 0.15 on (here is {place.engine.interpreter.engine_version})",
        "unset it; use the engine argument `attention_backend: TRITON_ATTN`",
    )


def _flashinfer_on_turing(place: Place) -> Check | None:
    if not place.has_capability(below=_AMPERE, at_least=_TURING) or not place.is_version((0, 22), (0, 24)):
        return None
    return _trap(
        "FlashInfer",
        "vLLM 0.22 and 0.23 choose FlashInfer on a T4, which fails with `BatchPrefillWithPagedKVCache failed`",
        "set `attention_backend: TRITON_ATTN`, or use 0.24 or newer",
    )


def _sampler_on_turing(place: Place) -> Check | None:
    name = "VLLM_USE_FLASHINFER_SAMPLER"
    is_open = place.environment.get(name) != "0"
    if not place.has_capability(below=_AMPERE, at_least=_TURING) or not place.is_version((0, 11), (0, 24)):
        return None
    if not is_open:
        return None
    says = "FlashInfer's sampler isn't prebuilt for compute capability 7.5 and may fail while it compiles"
    return _trap("FlashInfer sampler", says, f'set `environment: {{{name}: "0"}}` in the sweep file')


def _bfloat16(place: Place) -> Check | None:
    if not place.has_capability(below=_AMPERE):
        return None
    says = "a GPU below compute capability 8.0 has no bfloat16, which most checkpoints name as theirs"
    return _trap("bfloat16", says, "set `dtype: float16` (models that refuse float16, as Gemma, need float32 there)")


def _peer_access(place: Place) -> Check | None:
    is_kaggle = "KAGGLE_KERNEL_RUN_TYPE" in place.environment
    names = [gpu.name or "" for gpu in place.gpus]
    if len(names) < 2 or not place.is_on_gpu or place.environment.get("NCCL_P2P_DISABLE") == "1":
        return None
    if not is_kaggle and not any("T4" in name or "GeForce" in name for name in names):
        return None
    return _trap(
        "peer access",
        "these cards may not reach each other directly, and tensor parallelism then hangs at its start",
        'if it does: `environment: {NCCL_P2P_DISABLE: "1"}` and `disable_custom_all_reduce: true`',
    )


def _kv_space(place: Place) -> Check | None:
    name = "VLLM_CPU_KVCACHE_SPACE"
    value = place.environment.get(name)
    if value is None or not place.engine.is_cpu:
        return None
    if not value.strip().isdecimal():
        return _trap(name, f"it is {value!r}, and vLLM takes whole GiB only", "unset it; use `kv_cache_memory_bytes`")
    says = f"it is {value}: that many GiB are taken whatever `gpu_memory_utilization` says"
    return _trap(name, says, "unset it, and set `kv_cache_memory_bytes` in the sweep file, which is exact")


def _threads(place: Place) -> Check | None:
    name = "OMP_NUM_THREADS"
    if not place.engine.is_cpu or place.environment.get(name) == "1":
        return None
    value = place.environment.get(name)
    says = f"it is {value}" if value else "it is unset, so every core gets a thread"
    return _trap(
        name,
        f"{says}; on a busy machine throughput then collapses, and trials can't be forked (17 s instead of 2 s each)",
        f'set `environment: {{{name}: "1"}}` in the sweep file, or compare both',
    )


def _kaggle_time(place: Place) -> Check | None:
    if "KAGGLE_KERNEL_RUN_TYPE" not in place.environment:
        return None
    says = "a Kaggle session ends after 12 hours, and what isn't saved is lost"
    return _trap("Kaggle", says, "`--session 12h`, as a script in the foreground; run it again to go on")


def _old_bits(place: Place) -> Check | None:
    if not place.is_on_gpu or os.name != "posix" or Path("/dev/nvidia-uvm").exists():
        return None
    says = "/dev/nvidia-uvm is missing, and CUDA doesn't start without it"
    return _trap("device files", says, "`nvidia-modprobe -u`, or start the container with `--gpus all`")


def _trap(name: str, says: str, advice: str) -> Check:
    return warn("environment", name, says, advice)


_TRAPS: tuple[Callable[[Place], Check | None], ...] = (
    _ignored_backend, _flashinfer_on_turing, _sampler_on_turing, _bfloat16, _peer_access, _kv_space, _threads,
    _kaggle_time, _old_bits,
)  # fmt: skip
