"""A profile's YAML file as strict pydantic models: what each key may hold, and which numbers can't be true.

Bounds are wide: they catch a slipped unit (GiB for MiB, TB/s for GB/s), not an unusual card.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from vbench.errors import SpecError
from vbench.spec.fields import Text, wrong
from vbench.spec.problems import Problems, add_pydantic_errors, shown
from vbench.spec.suggest import did_you_mean
from vbench.spec.yaml_lines import read_yaml
from vbench.units import MIB

_MIN_VISIBLE_SHARE = 0.85  # the least that CUDA sees of NVML's total on any card met so far is 0.97


def _bounded(least: float, most: float, unit: str, hint: str = "") -> AfterValidator:
    """A number from least to most; anything else is a slipped unit or a typo, and `hint` says which."""

    def check(value: float) -> float:
        if not least <= value <= most:
            raise wrong(f"{value:,} {unit} can't be: expected {least:,} to {most:,}", hint)
        return value

    return AfterValidator(check)


def _version(value: object) -> tuple[int, int]:
    """`7.5` or `"12.9"` as (major, minor)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wrong(f"expected a version such as 7.5, got {shown(value)}")
    major, _, minor = str(value).partition(".")
    if not (major.isascii() and major.isdigit() and (minor or "0").isascii() and (minor or "0").isdigit()):
        raise wrong(f"expected a version such as 7.5, got {shown(value)}")
    return int(major), int(minor or 0)


def _capability(value: object) -> tuple[int, int]:
    major, minor = _version(value)
    if not (3 <= major <= 20 and minor <= 9):
        hint = f"did you mean {major // 10}.{major % 10}?" if 30 <= major <= 209 else "7.5 is a T4, 8.6 an RTX 3090"
        raise wrong(f"there is no compute capability {value}", hint)
    return major, minor


Mib = Annotated[
    int, _bounded(1_024, 1_048_576, "MiB", "MiB as nvidia-smi shows them: 15360 for a T4, 24576 for an RTX 3090")
]
GbPerS = Annotated[float, _bounded(10, 50_000, "GB/s", "GB/s, not TB/s: 3350 for an H100")]
Rate = Annotated[float, _bounded(1, 100_000, "T(FL)OPS", "dense tera-operations a second: 65 for a T4 in FP16")]
Watts = Annotated[float, _bounded(10, 5_000, "W")]
Version = Annotated[tuple[int, int], BeforeValidator(_version)]
Capability = Annotated[tuple[int, int], BeforeValidator(_capability)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AllReduceSection(_Section):
    """Time of one all-reduce over the profile's GPUs: latency_us + bytes / gb_s, as measured."""

    latency_us: Annotated[float, _bounded(0.1, 100_000, "µs")]
    gb_s: Annotated[float, _bounded(0.05, 5_000, "GB/s")]


class LinkSection(_Section):
    """How GPUs of this kind are joined; gb_s is a GPU's data-sheet rate, both directions together."""

    kind: Text
    gb_s: Annotated[float, _bounded(0.5, 5_000, "GB/s")] | None = None
    all_reduce: AllReduceSection | None = None


class HostSection(_Section):
    """What the machine around the GPUs has."""

    cores: Annotated[int, _bounded(1, 8_192, "cores")]
    ram_gib: Annotated[float, _bounded(0.5, 65_536, "GiB")]


class ProfileFile(_Section):
    """A profile as its file holds it. All figures are per GPU."""

    title: Text | None = None
    kind: Literal["gpu", "cpu"] = "gpu"
    refused: Text | None = None
    nvml_names: list[Text] = Field(default_factory=list)
    nvml_memory_mib: Mib | None = None
    cuda_visible_bytes: int | None = None
    bandwidth_gb_s: GbPerS | None = None
    fp16_tflops: Rate | None = None
    fp16_fp32_accumulate_tflops: Rate | None = None
    int8_tops: Rate | None = None
    fp8_tflops: Rate | None = None
    fp8_fp32_accumulate_tflops: Rate | None = None
    compute_capability: Capability | None = None
    num_gpus: Annotated[int, _bounded(1, 1_024, "GPUs")] = 1
    link: LinkSection | None = None
    tdp_w: Watts | None = None
    host: HostSection | None = None
    driver: Text | None = None
    max_cuda: Version | None = None
    notes: list[Text] = Field(default_factory=list)
    sources: dict[str, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _holds_together(self) -> ProfileFile:
        if self.kind == "cpu":
            return self
        for name, example in (("nvml_memory_mib", "15360"), ("compute_capability", "7.5")):
            if getattr(self, name) is None:
                raise wrong(f"{name} is missing", f"write {name}: {example}; a machine without a GPU is kind: cpu")
        self._check_visible()
        if self.fp8_tflops is not None and (self.compute_capability or (0, 0)) < (8, 9):
            raise wrong("fp8_tflops on a card without FP8 units", "they came with compute capability 8.9: leave it out")
        if self.link is not None and self.link.all_reduce is not None and self.num_gpus == 1:
            raise wrong(
                "link.all_reduce is a measurement between GPUs, and num_gpus is 1", "write num_gpus: 2, or more"
            )
        return self

    def _check_visible(self) -> None:
        if self.cuda_visible_bytes is None:
            return
        total = (self.nvml_memory_mib or 0) * MIB
        if not _MIN_VISIBLE_SHARE * total <= self.cuda_visible_bytes <= total:
            raise wrong(
                f"cuda_visible_bytes ({self.cuda_visible_bytes:,}) isn't just below nvml_memory_mib ({total:,})",
                "bytes, as torch.cuda.mem_get_info()[1] says; leave it out and it is derived",
            )


def read_profile(text: str, source: str) -> ProfileFile:
    """Check a profile's text. Raises SpecError with every problem found, each with its line."""
    document = read_yaml(text, source)
    problems = Problems(document.lines, source=source)
    problems.add_unread(document.problems)
    known = list(ProfileFile.model_fields)
    raw = _without_unknown(document.value, known, problems)
    file: ProfileFile | None = None
    try:
        file = ProfileFile.model_validate(raw)
    except ValidationError as error:
        add_pydantic_errors(problems, error.errors(include_url=False), ProfileFile)
    for key in raw["sources"] if isinstance(raw.get("sources"), dict) else ():
        if key not in known:
            problems.add(f"sources.{key}", f"{key!r} is not a key of a profile", did_you_mean(key, known))
    problems.raise_if_any(source)
    if file is None:  # every error of pydantic is a problem, so this can't be
        raise SpecError(source, [])
    return file


def _without_unknown(raw: Mapping[str, Any], known: list[str], problems: Problems) -> dict[str, Any]:
    """Unknown keys told here: what they mean in a sweep file would mislead in a profile."""
    for key in raw:
        if key not in known:
            hint = did_you_mean(key, known) or f"known here: {', '.join(known)}"
            problems.add(key, f"unknown key {key!r}", hint)
    # A key whose value is commented out reads as null, and is meant as absent.
    return {key: value for key, value in raw.items() if key in known and value is not None}
