"""What NVML says, as plain data. None is "couldn't be read", never "none": that would be 0 or an empty tuple."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Bits of nvmlDeviceGetCurrentClocksEventReasons (nvml.h, nvmlClocksEventReason*), in words.
CLOCK_REASONS = {
    0x1: "idle",
    0x2: "application clocks setting",
    0x4: "software power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
# Those that say a card was slower than it could be; idling and chosen clocks are no complaint.
SLOWING_REASONS = frozenset(CLOCK_REASONS.values()) - {"idle", "application clocks setting", "display clock setting"}


def clock_reasons(bits: int) -> tuple[str, ...]:
    """
    >>> clock_reasons(0x44), clock_reasons(0), clock_reasons(0x10000)
    (('software power cap', 'hardware thermal slowdown'), (), ('reason 0x10000',))
    """
    known = [word for bit, word in CLOCK_REASONS.items() if bits & bit]
    rest = bits & ~sum(CLOCK_REASONS)
    return (*known, f"reason {rest:#x}") if rest else tuple(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """What doesn't change while vbench runs. `index` is NVML's (PCI bus order), as nvidia-smi numbers them."""

    index: int
    name: str | None = None
    uuid: str | None = None
    total_bytes: int | None = None
    reserved_bytes: int | None = None
    """Held by the driver and firmware; None where the driver has no v2 memory struct."""
    compute_capability: tuple[int, int] | None = None
    pcie_generation: int | None = None
    """The most the card and slot can do; idle cards clock their link down."""
    pcie_width: int | None = None
    power_limit_w: float | None = None
    ecc_enabled: bool | None = None
    persistence_enabled: bool | None = None
    mig_enabled: bool | None = None
    memory_struct: str | None = None
    """`v2`, or `v1` where the idle baseline had to be subtracted."""

    @property
    def label(self) -> str:
        """`GPU 0 (Tesla T4)`."""
        return f"GPU {self.index} ({self.name})" if self.name else f"GPU {self.index}"

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        capability = self.compute_capability
        return {**asdict(self), "compute_capability": f"{capability[0]}.{capability[1]}" if capability else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process with memory on a GPU; the bytes are None where the driver doesn't tell (MIG, WSL, some containers)."""

    pid: int
    used_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One GPU at one moment."""

    index: int
    used_bytes: int | None = None
    """Allocated on the whole device, without what the driver reserves."""
    processes: tuple[GpuProcess, ...] | None = None
    utilization_percent: int | None = None
    """Share of the last period (0.2 to 1 s) in which a kernel ran; not how busy it was."""
    memory_utilization_percent: int | None = None
    power_w: float | None = None
    energy_j: float | None = None
    """Since the driver was loaded; differences count."""
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_c: int | None = None
    clock_reasons: tuple[str, ...] | None = None
    ecc_errors: int | None = None
    """Uncorrected ones since the driver was loaded."""
    xids: tuple[int, ...] | None = None
    """XID errors since the last reading."""
