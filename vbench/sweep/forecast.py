"""Everything that `vbench plan` says of a sweep: its configurations' verdicts, and how long it may take."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.emulation.stand import emulated_gpu, emulated_on_cpu
from vbench.errors import MachineError, StoreError, UsageError
from vbench.execution.interpreters import find_interpreter
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import load_profile
from vbench.hardware.this_machine import this_machine
from vbench.outcome import Outcome
from vbench.planner.budget import LATEST, Budget
from vbench.planner.verdict import Plan
from vbench.records import runs
from vbench.records.store import RecordStore
from vbench.search.make import planned_trials
from vbench.spec.config import effective_config
from vbench.spec.space import Point
from vbench.spec.types import SweepSpec
from vbench.sweep.planning import SweepPlanner, abilities_of
from vbench.sweep.sampling import sample_space
from vbench.sweep.target import cpu_budget, gpu_budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One configuration with its verdict."""

    point: Point
    config: Mapping[str, Any]
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A sweep, planned. Times in seconds."""

    spec: SweepSpec
    budget: Budget
    engine: str
    """`vllm 0.32.0 (installed)`, for people."""
    model_origin: str
    configurations: tuple[Planned, ...]
    notes: tuple[str, ...]
    num_trials: int
    """What the sweep would run: its budget of trials, no more than there are."""
    typical_trial_s: float | None
    """The median of earlier runs' completed trials; None without any."""

    @property
    def is_any_tried(self) -> bool:
        """Whether a sweep would start anything at all."""
        return any(one.plan.verdict.is_tried for one in self.configurations)


def forecast(spec: SweepSpec, results: Path, engine_version: str | None = None) -> Forecast:
    """Plan a sweep's whole space. Starts no engine and needs neither one nor a GPU.

    Raises UsageError or SpecError for a profile that doesn't exist, is refused, or is wrong.
    """
    budget, notes = planned_budget(spec)
    version, engine = _engine(spec, engine_version)
    planner = SweepPlanner(spec, budget, abilities_of(spec.engine, version))
    sampled = sample_space(spec)
    found = []
    for point in sampled.points:
        config = effective_config(spec, point.settings)
        found.append(Planned(point=point, config=config, plan=planner.plan(config)))
    return Forecast(
        spec=spec,
        budget=budget,
        engine=engine,
        model_origin=planner.find(spec.model).origin,
        configurations=tuple(found),
        notes=(*notes, *sampled.notes),
        num_trials=min(planned_trials(spec), sum(one.plan.verdict.is_tried for one in found)),
        typical_trial_s=_typical_trial_s(spec, results),
    )


def planned_budget(spec: SweepSpec) -> tuple[Budget, tuple[str, ...]]:
    """What `emulate:` or else `hardware:` names, or this machine; the card needn't be here."""
    here, notes = _named_budget(spec)
    if spec.emulate is None:
        return here, notes
    card = load_profile(spec.emulate.profile, spec.source.parent)
    card.raise_if_refused()
    if card.kind == "cpu":
        raise UsageError(f"emulate: {card.name} is not a GPU")
    make = emulated_on_cpu if here.is_cpu else emulated_gpu
    stand, said = make(spec.emulate, gpu_budget(card), here)
    return stand.card, said


def _named_budget(spec: SweepSpec) -> tuple[Budget, tuple[str, ...]]:
    if spec.hardware != "auto":
        profile = load_profile(spec.hardware, spec.source.parent)
        profile.raise_if_refused()
        return cpu_budget() if profile.kind == "cpu" else gpu_budget(profile), ()
    with Nvml() as nvml:
        machine = this_machine(nvml)
    if machine.kind == "cpu":
        return cpu_budget(), ("this machine has no GPU: planned for its processor; --set hardware=t4 plans for a T4",)
    return gpu_budget(machine), ()


def _engine(spec: SweepSpec, wanted: str | None) -> tuple[str | None, str]:
    """The version to plan for, and how to call it. An engine that isn't here is no reason not to plan."""
    if wanted is not None:
        if not wanted.removeprefix("v").split(".")[0].isdecimal():
            raise UsageError(f"--engine-version {wanted!r} is not a version: 0.32.0, for example")
        return wanted, f"{spec.engine} {wanted}"
    try:
        found = find_interpreter(spec.python, spec.engine)
    except MachineError:
        newest = ".".join(map(str, LATEST))
        return None, f"{spec.engine} {newest} (none is installed; --engine-version names another)"
    return found.engine_version, f"{spec.engine} {found.engine_version} (installed)"


def _typical_trial_s(spec: SweepSpec, results: Path) -> float | None:
    durations: list[float] = []
    for run in runs.find_runs(results):
        if run.sweep != spec.name:
            continue
        try:
            records = RecordStore(run.trials_jsonl).read().records
        except StoreError:
            continue  # what can't be read says nothing of time
        durations += [one.duration_s for one in records if one.outcome is Outcome.COMPLETED and one.duration_s]
    return statistics.median(durations) if durations else None
