"""What runs a session's trials: one runner, or one for each place and one for the whole machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vbench.emulation.apply import Passed
from vbench.execution.runner import OnEvent
from vbench.execution.trial_record import Judging
from vbench.execution.trials import TrialRunner
from vbench.hardware.gpu_trial import Reserved
from vbench.records.runs import RunFolder
from vbench.spec.config import engine_key
from vbench.sweep.jobs import Executor, Inline
from vbench.sweep.prepared import Prepared
from vbench.sweep.slot_places import Place
from vbench.sweep.slots import WHOLE, Slots


def make_executor(
    prepared: Prepared, run: RunFolder, run_uid: str, reserved: Reserved, places: Sequence[Place], on_event: OnEvent
) -> Executor:
    """For one trial at a time where there are no places. `reserved` is what vbench holds on the GPUs meanwhile."""
    if not places:
        return Inline(_runner(prepared, run, run_uid, reserved, WHOLE), on_event)

    def make(place: Place, mark: str, check: Callable[[], None]) -> TrialRunner:
        def check_both() -> None:
            check()
            reserved.check()

        return _runner(prepared, run, mark, dataclasses.replace(reserved, check=check_both), place)

    spec = prepared.spec
    return Slots(places, make, run_uid, on_event, lambda job: engine_key(spec, job.point.settings))


def _runner(prepared: Prepared, run: RunFolder, mark: str, reserved: Reserved, place: Place) -> TrialRunner:
    target = prepared.target

    def passed(config: Mapping[str, Any]) -> Passed:
        given = target.passed(config, prepared.engine_version(config.get("python")))
        if place is WHOLE:
            return given
        return dataclasses.replace(given, notes=(*given.notes, f"ran beside other trials, on {place.name}"))

    judging = Judging(
        hardware=prepared.hardware, limit_bytes=target.limit_bytes, is_cpu=target.is_cpu, reserved=reserved,
        passed=passed,
    )  # fmt: skip
    return TrialRunner(
        prepared.spec, run, prepared.prompt_set, prepared.interpreter, mark, judging, others=prepared.others,
        place=place.environment,
    )  # fmt: skip
