"""Everything that `vbench plan` says of a sweep: its configurations' verdicts, and how long it may take."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.emulation.stand import emulated_gpu, emulated_on_cpu
from vbench.errors import MachineError, StoreError, UsageError
from vbench.execution.interpreters import cached_description, find_interpreter
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import load_profile
from vbench.hardware.this_machine import this_machine
from vbench.outcome import Outcome
from vbench.planner.abilities import EngineAbilities
from vbench.planner.budget import LATEST, Budget
from vbench.planner.verdict import Plan
from vbench.records import runs
from vbench.records.store import RecordStore
from vbench.search.make import planned_trials
from vbench.spec.config import displayed_path, effective_config
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
    floors: str
    """Whose answer the quantization floors are: `vLLM 0.32.0, as installed`, or the shipped table's, and why."""
    model_origin: str
    configurations: tuple[Planned, ...]
    notes: tuple[str, ...]
    num_trials: int
    """What the sweep would run: its budget of trials, no more than there are."""
    typical_trial_s: float | None
    """The median of earlier runs' completed trials; None without any."""

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What any of the plans takes to be so of the engine's version, each once."""
        return tuple(dict.fromkeys(said for one in self.configurations for said in one.plan.assumptions))

    @property
    def is_any_tried(self) -> bool:
        """Whether a sweep would start anything at all."""
        return any(one.plan.verdict.is_tried for one in self.configurations)


def forecast(spec: SweepSpec, results: Path, engine_version: str | None = None) -> Forecast:
    """Plan a sweep's whole space. Starts no engine and needs neither one nor a GPU.

    Raises UsageError or SpecError for a profile that doesn't exist, is refused, or is wrong.
    """
    budget, notes = planned_budget(spec)
    engine = _engine(spec, budget, engine_version)
    named = {python: _installed(spec, budget, python) for python in spec.interpreters()}
    others = {python: None if one is None else one.abilities for python, one in named.items()}
    planner = SweepPlanner(spec, budget, engine.abilities, others)
    sampled = sample_space(spec)
    found = []
    for point in sampled.points:
        config = effective_config(spec, point.settings)
        found.append(Planned(point=point, config=config, plan=planner.plan(config)))
    return Forecast(
        spec=spec,
        budget=budget,
        engine=engine.name,
        floors=engine.floors,
        model_origin=planner.find(spec.model).origin,
        configurations=tuple(found),
        notes=(*notes, *sampled.notes, *(_said(python, one) for python, one in named.items())),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    """The engine that is planned for, and how to call it and what is known of it."""

    name: str
    abilities: EngineAbilities
    floors: str


def _engine(spec: SweepSpec, budget: Budget, wanted: str | None) -> _Engine:
    """The one named by `--engine-version`, or the installed one, with what it once said of itself. An engine that isn't
    here is no reason not to plan, and one that wasn't asked yet isn't asked now: that would import it."""
    if wanted is not None:
        if not wanted.removeprefix("v").split(".")[0].isdecimal():
            raise UsageError(f"--engine-version {wanted!r} is not a version: 0.32.0, for example")
        return _by_table(spec, wanted, f"{spec.engine} {wanted}", "")
    installed = _installed(spec, budget, spec.python)
    if installed is not None:
        return installed
    name = f"{spec.engine} {_dotted(LATEST)} (none is installed; --engine-version names another)"
    return _by_table(spec, None, name, ": no engine was found here")


def _installed(spec: SweepSpec, budget: Budget, python: str | None) -> _Engine | None:
    """The engine that an interpreter holds; None where there is none."""
    try:
        found = find_interpreter(python, spec.engine)
    except MachineError:
        return None
    name = f"{spec.engine} {found.engine_version} (installed)"
    description = cached_description(found, spec.engine)
    if description is None:
        why = ": the installed engine wasn't asked yet (a sweep or `vbench doctor` asks it)"
        return _by_table(spec, found.engine_version, name, why)
    # A least capability is the method's own, the same in every build of a version. A list isn't: plugins add to it, and
    # a build for another platform than the target's isn't what would run there. What is emulated runs in this very one.
    platform = description.get("platform")
    is_same_build = spec.emulate is not None or platform == ("cpu" if budget.is_cpu else "cuda")
    abilities = abilities_of(spec.engine, found.engine_version, description, is_same_build=is_same_build)
    if abilities.methods is None:
        return _by_table(spec, found.engine_version, name, ": the installed engine doesn't say")
    others = "" if is_same_build else f" (its build for {platform}; what that doesn't list: shipped table)"
    floors = f"{'vLLM' if spec.engine == 'vllm' else spec.engine} {found.engine_version}, as installed{others}"
    return _Engine(name=name, abilities=abilities, floors=floors)


def _by_table(spec: SweepSpec, version: str | None, name: str, why: str) -> _Engine:
    abilities = abilities_of(spec.engine, version)
    floors = f"shipped table for vLLM {_dotted(abilities.version)}{why}"
    return _Engine(name=name, abilities=abilities, floors=floors)


def _said(python: str, engine: _Engine | None) -> str:
    """Of an interpreter that an option names."""
    what = "no engine was found there: its configurations are tried" if engine is None else engine.name
    floors = "" if engine is None else f"; quantization floors: {engine.floors}"
    return f"python {displayed_path(python)}: {what}{floors}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


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
