"""Find the run to go on with, or make a new one, and hold it while the session lasts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vbench.errors import StoreError
from vbench.execution.machine import machine_facts, vbench_version
from vbench.progress import Listener
from vbench.prompts.prompt_set import write_jsonl
from vbench.records import runs
from vbench.records.redaction import text_without_secrets
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.search.make import planned_trials
from vbench.spec.digest import spec_digest
from vbench.sweep.prepared import Prepared
from vbench.sweep.session import Session, SweepResult
from vbench.sweep.target import target_facts


def run_sweep(
    prepared: Prepared,
    results_root: Path,
    listener: Listener,
    *,
    force_new: bool = False,
    overrides: Sequence[str] = (),
    is_planned: bool = True,
) -> SweepResult:
    """Run the sweep, or go on with the latest of its runs that is the same sweep: same digest, whatever ran since.
    With `is_planned` a configuration that the planner says can't run is recorded so instead of started.
    `overrides` are the `--set` values in `prepared`, kept with a new run: its sweep.yaml is the file without them.

    An interrupt (KeyboardInterrupt, Interrupted) passes through after the running trial was ended; what was measured is
    on disk and the next call goes on. Raises StoreError for a folder that can't be written or is in use.
    """
    run, notes = _find_or_create(prepared, results_root, force_new, overrides)
    with run.lock(), RecordStore(run.trials_jsonl) as store:
        read = store.read()
        said = [*notes, *prepared.target.notes, *store.repairs, *read.messages()]
        session = Session(prepared, run, store, list(read.records), listener, said, is_planned=is_planned)
        return session.run_all()


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


def _without_secrets(override: str) -> str:
    """Environment variables may hold tokens, and results are made to be shown to others."""
    key, equals, _ = override.partition("=")
    return f"{key}{equals}***" if "environment" in key.strip().split(".")[:2] else override


def _create(prepared: Prepared, results_root: Path, overrides: Sequence[str]) -> RunFolder:
    """Make the folder; `run.json` is written last, so a folder without it was never started."""
    spec = prepared.spec
    run = runs.create(results_root, spec.name, datetime.now(UTC))
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
            "run_uid": uuid.uuid4().hex,
            "prompt_set_sha256": prepared.prompt_set.sha256,
            "objective": {"metric": spec.objective.metric, "direction": spec.objective.direction},
            "constraints": [constraint.text for constraint in spec.constraints],
            "parameters": [parameter.name for parameter in spec.parameters],
            "search_method": spec.search.method,
            "seed": spec.search.seed,
            "hardware": prepared.hardware,
            "target": dict(target_facts(prepared.target)),
            "overrides": [_without_secrets(override) for override in overrides],
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "vbench_version": vbench_version(),
            "num_trials_planned": planned_trials(spec),
            "status": "running",
        },
    )
    return run
