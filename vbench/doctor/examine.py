"""All checks, and whether a sweep could start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.doctor.check import Check, Status, fail
from vbench.doctor.engines import FoundEngine, check_engine, interpreters_here, shown_path
from vbench.doctor.gpus import check_gpus
from vbench.doctor.host import check_host
from vbench.doctor.traps import check_traps
from vbench.hardware.nvml import Nvml


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found. A sweep can start where an engine is usable."""

    checks: Sequence[Check]
    engines: Sequence[FoundEngine]
    """The usable ones."""

    @property
    def can_sweep(self) -> bool:
        """Whether a sweep could start on this machine."""
        return bool(self.engines)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "can_sweep": self.can_sweep,
            "engines": [
                {
                    "python": shown_path(one.interpreter.path),
                    "engine": one.interpreter.distribution,
                    "version": one.interpreter.engine_version,
                    "platform": one.platform,
                    "python_version": one.interpreter.python_version,
                    "packages": one.interpreter.packages,
                }
                for one in self.engines
            ],
            "counts": {str(status): sum(one.status is status for one in self.checks) for status in Status},
            "checks": [one.as_json() for one in self.checks],
        }


def examine(python: str | None, folder: Path, results: Path, environment: Mapping[str, str]) -> Examination:
    """Look at everything. With `python`, that interpreter alone decides; else those found in and for `folder`.

    Importing an engine for the first time takes seconds; what it said is kept.
    """
    checks = check_host(results)
    engines: list[FoundEngine] = []
    traps: list[Check] = []
    with Nvml() as nvml:
        on_gpus, visible = check_gpus(nvml, environment)
        checks += on_gpus
        for path in [python] if python is not None else interpreters_here(folder):
            found, engine = check_engine(path, nvml.driver_version, visible, is_named=python is not None)
            checks += found
            if engine is not None:
                engines.append(engine)
                traps += check_traps(engine, visible, environment)
    if not engines and not any(one.about == "engine" and one.status is Status.FAIL for one in checks):
        advice = "`pip install 'vbench[vllm]'` for NVIDIA GPUs, `make setup` for a CPU, or --python PATH"
        checks.append(fail("engine", "vllm", "no interpreter here holds an engine", advice))
    return Examination(checks=[*checks, *dict.fromkeys(traps)], engines=engines)
