"""A GPU (or a machine of them, or a CPU) as data: what the planner, the emulation and the reports need to know of it.

Shipped profiles are the YAML files in `profiles/`, each number with its source. A user's own is `NAME.gpu.yaml` in the
folder of the sweep file; it may not take a shipped profile's name, so that a name means one thing in every record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vbench.errors import Problem, SpecError, UsageError
from vbench.hardware.profile_file import ProfileFile, read_profile
from vbench.spec.suggest import did_you_mean
from vbench.units import GIB, MIB

USER_SUFFIX = ".gpu.yaml"
MAX_FILE_BYTES = 256 * 1024
_SHIPPED = Path(__file__).with_name("profiles")
_HIDDEN_MIB = 512
_HIDDEN_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class AllReduce:
    """A measured fit: an all-reduce of n bytes takes latency_us + n / gb_s."""

    latency_us: float
    gb_s: float

    def seconds(self, num_bytes: int) -> float:
        """Time of one all-reduce of that many bytes."""
        return self.latency_us * 1e-6 + num_bytes / (self.gb_s * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How GPUs of this kind are joined. `gb_s`: data-sheet rate of one GPU, both directions; None where unknown."""

    kind: str
    gb_s: float | None = None
    all_reduce: AllReduce | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine around the GPUs."""

    cores: int
    ram_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareProfile:
    """All figures are per GPU; None is unknown, or doesn't apply (a CPU has no compute capability)."""

    name: str
    title: str
    kind: Literal["gpu", "cpu"] = "gpu"
    refused: str | None = None
    """Why nothing can be run on it, and what to choose instead."""
    nvml_names: tuple[str, ...] = ()
    """What NVML calls such a card, so that this machine's can be recognised."""
    nvml_memory_mib: int | None = None
    """NVML's total, as nvidia-smi shows it."""
    cuda_visible_bytes: int | None = None
    """What `torch.cuda.mem_get_info` calls total, where it has been seen; see `visible_bytes`."""
    bandwidth_gb_s: float | None = None
    """Memory bandwidth, 10⁹ bytes a second."""
    fp16_tflops: float | None = None
    """Dense tensor rate, the card's best (FP16 accumulation where that is faster)."""
    fp16_fp32_accumulate_tflops: float | None = None
    """Only where it differs from fp16_tflops (GeForce)."""
    int8_tops: float | None = None
    fp8_tflops: float | None = None
    fp8_fp32_accumulate_tflops: float | None = None
    compute_capability: tuple[int, int] | None = None
    num_gpus: int = 1
    link: Link | None = None
    tdp_w: float | None = None
    host: Host | None = None
    driver: str | None = None
    max_cuda: tuple[int, int] | None = None
    """The newest CUDA there: by the driver of a named machine, by the card's age otherwise; None: no limit known."""
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    """The user's file it came from; None for a shipped one or a live machine."""

    @property
    def memory_bytes(self) -> int | None:
        """NVML's total in bytes."""
        return None if self.nvml_memory_mib is None else self.nvml_memory_mib * MIB

    @property
    def visible_bytes(self) -> int | None:
        """What CUDA sees: as given, else NVML's total less 512 MiB or 1 %, whichever is more.

        On the cards where both are known that rule is at most 2 % off and nearly always low (docs/hardware.md).
        """
        if self.cuda_visible_bytes is not None or self.nvml_memory_mib is None:
            return self.cuda_visible_bytes
        total = self.nvml_memory_mib * MIB
        return total - max(_HIDDEN_MIB * MIB, int(total * _HIDDEN_SHARE))

    @property
    def gemm_fp16_tflops(self) -> float | None:
        """The dense FP16 rate engines reach for: they accumulate in FP32."""
        return self.fp16_fp32_accumulate_tflops or self.fp16_tflops

    @property
    def gemm_fp8_tflops(self) -> float | None:
        """The dense FP8 rate with FP32 accumulation."""
        return self.fp8_fp32_accumulate_tflops or self.fp8_tflops

    def raise_if_refused(self) -> None:
        """Raises UsageError with the reason where nothing can run on this hardware."""
        if self.refused is not None:
            raise UsageError(f"hardware: {self.name}: {self.refused}")

    def as_json(self) -> dict[str, Any]:
        """Plain data, with what is derived beside what is given."""
        plain = {**asdict(self), "file": None if self.file is None else self.file.name}
        plain["compute_capability"] = version_text(self.compute_capability)
        plain["max_cuda"] = version_text(self.max_cuda)
        plain["notes"], plain["nvml_names"] = list(self.notes), list(self.nvml_names)
        return {**plain, "memory_bytes": self.memory_bytes, "visible_bytes": self.visible_bytes}


def version_text(version: tuple[int, int] | None) -> str | None:
    """
    >>> version_text((7, 5)), version_text(None)
    ('7.5', None)
    """
    return None if version is None else f"{version[0]}.{version[1]}"


def profile_names(extra_folder: Path | None = None) -> list[str]:
    """Every name that `load_profile` knows, shipped ones first, each part in alphabetical order."""
    shipped = sorted(path.stem for path in _SHIPPED.glob("*.yaml"))
    return shipped + [name for name in sorted(_user_files(extra_folder)) if name not in shipped]


def list_profiles(extra_folder: Path | None = None) -> list[HardwareProfile]:
    """All profiles, in the order of `profile_names`. Raises SpecError where a user's file is wrong."""
    return [load_profile(name, extra_folder) for name in profile_names(extra_folder)]


def load_profile(name: str, extra_folder: Path | None = None) -> HardwareProfile:
    """The profile of that name, the user's own from `extra_folder` (the sweep file's) among them.

    Raises UsageError for an unknown name (with the nearest one), SpecError where the user's file is wrong.
    """
    names = profile_names(extra_folder)
    own = _user_files(extra_folder).get(name)
    shipped = _SHIPPED / f"{name}.yaml"
    if name not in names:
        hint = (
            did_you_mean(name, names)
            or f"there is {', '.join(names)}; or add {name}{USER_SUFFIX} to the sweep's folder"
        )
        raise UsageError(f"no hardware profile {name!r}: {hint}")
    if own is None:
        return _profile(name, read_profile(shipped.read_text(encoding="utf-8"), str(shipped)), None)
    if shipped.is_file():
        taken = Problem(
            message=f"{name} is a shipped profile", hint="name the file otherwise, so that names stay clear"
        )
        raise SpecError(str(own), [taken])
    return _profile(name, read_profile(_text(own), str(own)), own)


def _user_files(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    return {path.name.removesuffix(USER_SUFFIX): path for path in folder.glob(f"?*{USER_SUFFIX}") if path.is_file()}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise SpecError(str(path), [Problem(message="larger than 256 KiB: this is not a hardware profile")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(message="not UTF-8 text", line=line, hint="save the file as UTF-8")
        raise SpecError(str(path), [problem]) from error


def _profile(name: str, file: ProfileFile, path: Path | None) -> HardwareProfile:
    link = file.link
    fit = link.all_reduce if link is not None else None
    all_reduce = None if fit is None else AllReduce(latency_us=fit.latency_us, gb_s=fit.gb_s)
    plain = file.model_dump(exclude={"title", "nvml_names", "link", "host", "notes", "sources", "num_gpus"})
    return HardwareProfile(
        **plain,
        name=name,
        title=file.title or name,
        nvml_names=tuple(file.nvml_names),
        num_gpus=file.num_gpus if file.kind == "gpu" else 0,
        link=None if link is None else Link(kind=link.kind, gb_s=link.gb_s, all_reduce=all_reduce),
        host=None if file.host is None else Host(cores=file.host.cores, ram_bytes=int(file.host.ram_gib * GIB)),
        notes=tuple(file.notes),
        sources=dict(file.sources),
        file=path,
    )
