"""One physical GPU: which NVML calls give which quantity, in which unit. Asks through an `Nvml`; raises nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vbench.hardware.gpu_types import GpuFacts, GpuProcess, GpuReading, clock_reasons

if TYPE_CHECKING:
    from vbench.hardware.nvml import Nvml

# Constants of nvml.h; pynvml has them under the names in the comments.
_CLOCK_SM, _CLOCK_MEMORY = 1, 2  # NVML_CLOCK_SM, NVML_CLOCK_MEM
_TEMPERATURE_GPU = 0  # NVML_TEMPERATURE_GPU
_UNCORRECTED, _VOLATILE = 1, 0  # NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC
_XID_EVENT = 0x8  # nvmlEventTypeXidCriticalError
_TIMEOUT = 10  # NVML_ERROR_TIMEOUT: no event is waiting
_MEMORY_V2 = 0x02000028  # nvmlMemory_v2: version 2, a struct of 40 bytes
_MAX_XIDS_A_READING = 16
_XIDS = "XID events"


class GpuDevice:
    """A GPU by NVML's index. `uuid` and `name` are None where the card doesn't answer."""

    def __init__(self, nvml: Nvml, index: int) -> None:
        self.index = index
        self.name: str | None = None
        self.uuid: str | None = None
        self._nvml = nvml
        self._facts: GpuFacts | None = None
        self._events: Any = None
        self._idle_bytes: int | None = None
        self._handle = nvml.ask(self, "handle", ("nvmlDeviceGetHandleByIndex", index))
        if self._handle is not None:
            self.name = self._ask("name", "nvmlDeviceGetName")
            self.uuid = self._ask("UUID", "nvmlDeviceGetUUID")
            self._memory()  # where there is only v1, the idle baseline is that of now
            self._listen()

    @property
    def label(self) -> str:
        """`GPU 0 (Tesla T4)`."""
        return GpuFacts(index=self.index, name=self.name).label

    @property
    def is_lost(self) -> bool:
        """Whether it has fallen off the bus."""
        return self._nvml.is_lost(self.index)

    def facts(self) -> GpuFacts:
        """What doesn't change; asked once."""
        if self._facts is None:
            self._facts = self._read_facts()
        return self._facts

    def read(self) -> GpuReading:
        """The device now."""
        memory = self._memory()
        rates = self._ask("utilisation", "nvmlDeviceGetUtilizationRates")
        power_mw = self._ask("power", "nvmlDeviceGetPowerUsage")
        energy_mj = self._ask("energy", "nvmlDeviceGetTotalEnergyConsumption")
        reasons = self._ask(
            "clock reasons", "nvmlDeviceGetCurrentClocksEventReasons", older="nvmlDeviceGetCurrentClocksThrottleReasons"
        )
        return GpuReading(
            index=self.index,
            used_bytes=None if memory is None else memory[1],
            processes=self.processes(),
            utilization_percent=None if rates is None else int(rates.gpu),
            memory_utilization_percent=None if rates is None else int(rates.memory),
            power_w=None if power_mw is None else power_mw / 1000,
            energy_j=None if energy_mj is None else energy_mj / 1000,
            sm_clock_mhz=self._ask("SM clock", "nvmlDeviceGetClockInfo", _CLOCK_SM),
            memory_clock_mhz=self._ask("memory clock", "nvmlDeviceGetClockInfo", _CLOCK_MEMORY),
            temperature_c=self._ask("temperature", "nvmlDeviceGetTemperature", _TEMPERATURE_GPU),
            clock_reasons=None if reasons is None else clock_reasons(reasons),
            ecc_errors=self._ask("ECC errors", "nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _VOLATILE),
            xids=self._new_xids(),
        )

    def processes(self) -> tuple[GpuProcess, ...] | None:
        """Who has memory on the device, compute and graphics; None where the driver doesn't say.

        The pids are the host's: in a container they may be none of those seen here, or the list may be empty.
        """
        compute = self._process_list("processes", "nvmlDeviceGetComputeRunningProcesses")
        if compute is None:
            return None
        graphics = self._process_list("graphics processes", "nvmlDeviceGetGraphicsRunningProcesses") or []
        by_pid: dict[int, int | None] = {}
        for one in (*compute, *graphics):  # one that does both is listed twice, with the same bytes
            known = by_pid.get(one.pid)
            by_pid[one.pid] = known if one.usedGpuMemory is None else max(one.usedGpuMemory, known or 0)
        return tuple(GpuProcess(pid=pid, used_bytes=by_pid[pid]) for pid in sorted(by_pid))

    def close(self) -> None:
        """Stop listening for XID errors."""
        if self._events is not None:
            self._nvml.attempt(self, _XIDS, ("nvmlEventSetFree", self._events))
            self._events = None

    def _ask(self, quantity: str, name: str, *arguments: Any, older: str | None = None) -> Any | None:
        if self._handle is None:
            return None
        forms = [(one, self._handle, *arguments) for one in (name, older) if one is not None]
        return self._nvml.ask(self, quantity, *forms)

    def _process_list(self, quantity: str, name: str) -> Any | None:
        return self._ask(quantity, f"{name}_v3", older=f"{name}_v2")

    def _memory(self) -> tuple[int, int, int | None] | None:
        """Total, used and reserved bytes; reserved is None for the v1 struct, whose `used` includes it."""
        if self._handle is None:
            return None
        name = "nvmlDeviceGetMemoryInfo"
        info = self._nvml.ask(self, "memory", (name, self._handle, _MEMORY_V2), (name, self._handle))
        if info is None:
            return None
        if hasattr(info, "reserved"):
            return int(info.total), int(info.used), int(info.reserved)
        if self._idle_bytes is None:
            held = sum(one.used_bytes or 0 for one in self.processes() or ())
            self._idle_bytes = max(0, int(info.used) - held)
        return int(info.total), max(0, int(info.used) - self._idle_bytes), None

    def _read_facts(self) -> GpuFacts:
        memory = self._memory()
        limit_mw = self._ask("power limit", "nvmlDeviceGetEnforcedPowerLimit")
        ecc = self._ask("ECC mode", "nvmlDeviceGetEccMode")
        mig = self._ask("MIG mode", "nvmlDeviceGetMigMode")
        persistence = self._ask("persistence mode", "nvmlDeviceGetPersistenceMode")
        return GpuFacts(
            index=self.index,
            name=self.name,
            uuid=self.uuid,
            total_bytes=None if memory is None else memory[0],
            reserved_bytes=None if memory is None else memory[2],
            compute_capability=self._ask("compute capability", "nvmlDeviceGetCudaComputeCapability"),
            pcie_generation=self._ask("PCIe generation", "nvmlDeviceGetMaxPcieLinkGeneration"),
            pcie_width=self._ask("PCIe width", "nvmlDeviceGetMaxPcieLinkWidth"),
            power_limit_w=None if limit_mw is None else limit_mw / 1000,
            ecc_enabled=None if ecc is None else bool(ecc[0]),
            persistence_enabled=None if persistence is None else bool(persistence),
            mig_enabled=None if mig is None else bool(mig[0]),
            memory_struct=None if memory is None else ("v1" if memory[2] is None else "v2"),
        )

    def _listen(self) -> None:
        """Have XID errors of this device queued; they need no polling in between."""
        events = self._nvml.ask(self, _XIDS, ("nvmlEventSetCreate",))
        if events is None:
            return
        register = ("nvmlDeviceRegisterEvents", self._handle, _XID_EVENT, events)
        is_listening, _ = self._nvml.attempt(self, _XIDS, register)
        if is_listening:
            self._events = events

    def _new_xids(self) -> tuple[int, ...] | None:
        xids: list[int] = []
        while self._events is not None and len(xids) < _MAX_XIDS_A_READING:
            wait = ("nvmlEventSetWait_v2", self._events, 0)
            is_event, event = self._nvml.attempt(self, _XIDS, wait, quiet=(_TIMEOUT,))
            if not is_event or event is None:
                break
            xids.append(int(event.eventData))
        # A device that was lost meanwhile may have told its last XID just before.
        return None if self._events is None or (self.is_lost and not xids) else tuple(xids)
