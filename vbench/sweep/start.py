"""Find the run to go on with, or make a new one, and hold it while the session lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vbench.errors import StoreError, UsageError
from vbench.execution.machine import machine_facts, vbench_version
from vbench.progress import Listener
from vbench.prompts.prompt_set import write_jsonl
from vbench.records import lock, runs
from vbench.records.identity import new_identity
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.search.make import method_of, planned_trials
from vbench.spec.config import displayed_path
from vbench.spec.digest import spec_digest
from vbench.spec.redacted_text import stored_override, text_without_secrets
from vbench.sweep.foreign_code import foreign_code_of
from vbench.sweep.limits import Limits
from vbench.sweep.prepared import Prepared
from vbench.sweep.result import SweepResult
from vbench.sweep.session import Session
from vbench.sweep.target import target_facts
from vbench.sweep.warm_start import priors as warm_start_of

_WARM_START = "warm_start"
"""Of `run.json`: the runs whose trials the search was told first, as `SWEEP/RUN` or by path."""


def run_sweep(
    prepared: Prepared,
    results_root: Path,
    listener: Listener,
    *,
    force_new: bool = False,
    overrides: Sequence[str] = (),
    is_planned: bool = True,
    limits: Limits | None = None,
    warm_start: Sequence[RunFolder] = (),
) -> SweepResult:
    """Run the sweep, or go on with the latest of its runs that is the same sweep: same digest, whatever ran since.
    With `is_planned` a configuration that the planner says can't run is recorded so instead of started.
    `overrides` are the `--set` values in `prepared`, kept with a new run: its sweep.yaml is the file without them.
    `limits` None: those of the file. `warm_start`: runs whose trials the search hears of first; the run remembers them,
    and a search that goes on hears of them again.

    An interrupt (KeyboardInterrupt, Interrupted) passes through after the running trial was ended; what was measured is
    on disk and the next call goes on. Raises StoreError for a folder that can't be written or is in use, UsageError for
    a run that has nothing to teach.
    """
    machine = prepared.target.machine.title
    warm_start_of(prepared.spec, warm_start, prepared.hardware, machine=machine)  # refused before anything is made
    run, notes = _find_or_create(prepared, results_root, force_new, overrides)
    with run.lock(), RecordStore(run.trials_jsonl) as store:
        teachers, forgotten = _teachers(run, results_root, warm_start)
        priors, taught = warm_start_of(
            prepared.spec, teachers, prepared.hardware, engine_version=prepared.interpreter.engine_version,
            prompt_set_sha256=prepared.prompt_set.sha256, own=run, machine=machine,
        )  # fmt: skip
        _remember(run, results_root, teachers)
        read = store.read()
        notes = [*foreign_code_of(prepared.spec), *notes]
        said = [
            *notes,
            *_neighbours(run, results_root),
            *prepared.target.notes,
            *store.repairs,
            *read.messages(),
            *forgotten,
            *taught,
        ]
        session = Session(
            prepared, run, store, read.records, listener, said, is_planned=is_planned, limits=limits, priors=priors
        )
        session.history.reserve(read.beyond)
        del read  # the session keeps no records, so that a run of many trials stays small
        return session.run_all()


def _neighbours(run: RunFolder, results_root: Path) -> list[str]:
    """Notes on other runs of these results that are being measured now. Those of other folders aren't seen."""
    return [
        f"{one.sweep}/{one.run_id} is being measured by another vbench (pid {pid}): on the same GPUs, or the same CPU, "
        "they disturb each other's numbers"
        for one in runs.find_runs(results_root)
        if one.path != run.path and (pid := lock.holder(one.lock_path)) is not None
    ]


def _teachers(run: RunFolder, results_root: Path, given: Sequence[RunFolder]) -> tuple[list[RunFolder], list[str]]:
    """The runs to begin with, those that the run remembers first; and notes on what isn't there any more."""
    found: dict[Path, RunFolder] = {}
    notes: list[str] = []
    for name in runs.read_json(run.run_json).get(_WARM_START) or []:
        try:
            one = runs.resolve_run(results_root, str(name))
        except UsageError:
            notes.append(f"the run {name}, which this one was begun with (--from), is gone: the search goes on without")
        else:
            found[one.path.resolve()] = one
    found.update({one.path.resolve(): one for one in given})
    return list(found.values()), notes


def _remember(run: RunFolder, results_root: Path, teachers: Sequence[RunFolder]) -> None:
    facts = runs.read_json(run.run_json)
    names = list(facts.get(_WARM_START) or [])
    for one in teachers:
        is_here = one.path.resolve().parent.parent == results_root.resolve()
        name = f"{one.sweep}/{one.run_id}" if is_here else displayed_path(str(one.path.resolve()))
        if name not in names and one.path.resolve() != run.path.resolve():
            names.append(name)
    if names != list(facts.get(_WARM_START) or []):
        runs.write_json_atomic(run.run_json, {**facts, _WARM_START: names})


def _find_or_create(
    prepared: Prepared, results_root: Path, force_new: bool, overrides: Sequence[str]
) -> tuple[RunFolder, list[str]]:
    earlier = [run for run in runs.find_runs(results_root) if run.sweep == prepared.spec.name]
    if not earlier or force_new:
        return _create(prepared, results_root, overrides), []
    reasons = {}
    for run in earlier:
        try:
            facts = runs.read_json(run.run_json)
        except StoreError as error:
            reasons[run.run_id] = f"it can't be gone on with: {error}"
            continue
        if facts.get("digest") == prepared.digest:
            return run, []
        reasons[run.run_id] = _what_changed(facts, prepared)
    latest = earlier[0].run_id
    return _create(prepared, results_root, overrides), [f"a new run beside {latest}: {reasons[latest]}"]


def _what_changed(facts: Mapping[str, Any], prepared: Prepared) -> str:
    if facts.get("spec_digest") != spec_digest(prepared.spec):
        return "the sweep changed since"
    if facts.get("prompt_set_sha256") != prepared.prompt_set.sha256:
        return "the prompts changed since"
    return f"the engine's version changed since, to {prepared.interpreter.engine_version}"


def _create(prepared: Prepared, results_root: Path, overrides: Sequence[str]) -> RunFolder:
    """Make the folder; `run.json` is written last, so a folder without it was never started."""
    spec, now = prepared.spec, datetime.now(UTC)
    run = runs.create(results_root, spec.name, now)
    runs.write_bytes_atomic(run.sweep_yaml, text_without_secrets(spec.text).encode())
    write_jsonl(prepared.prompt_set, run.prompts_jsonl)
    runs.write_json_atomic(run.machine_json, machine_facts(prepared.interpreter, spec.engine, prepared.description))
    runs.write_json_atomic(
        run.run_json,
        {
            "name": spec.name,
            "description": spec.description,
            "digest": prepared.digest,
            "spec_digest": spec_digest(spec),
            **new_identity(run),
            "prompt_set_sha256": prepared.prompt_set.sha256,
            "objective": {"metric": spec.objective.metric, "direction": spec.objective.direction},
            "more_objectives": [{"metric": one.metric, "direction": one.direction} for one in spec.more_objectives],
            "constraints": [constraint.text for constraint in spec.constraints],
            "parameters": [parameter.name for parameter in spec.parameters],
            "search_method": method_of(spec),
            "seed": spec.search.seed,
            "hardware": prepared.hardware,
            "target": dict(target_facts(prepared.target)),
            "overrides": [stored_override(override) for override in overrides],
            "source": displayed_path(str(spec.source)),
            "created_at": now.isoformat(timespec="seconds"),
            "vbench_version": vbench_version(),
            "num_trials_planned": planned_trials(spec),
            "status": "running",
        },
    )
    return run
