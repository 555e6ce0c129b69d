"""A comparison's run folder: the unfinished one of the same two sides, or a new one, held while the session lasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vbench.analysis.foreign_code import foreign_code_note
from vbench.errors import StoreError
from vbench.execution.machine import machine_facts, vbench_version
from vbench.execution.trial_record import recorded_config
from vbench.prompts.prompt_set import write_jsonl
from vbench.records import runs
from vbench.records.identity import new_identity
from vbench.records.runs import RunFolder
from vbench.records.store import RecordStore
from vbench.spec.config import effective_config
from vbench.spec.redacted_text import text_without_secrets
from vbench.sweep.comparing import SIDES, Side
from vbench.sweep.comparing_match import Match
from vbench.sweep.comparing_session import ComparisonResult, ComparisonSession, Until, Watcher
from vbench.sweep.target import target_facts

_LONGEST_NAME = 180


def run_comparison(
    match: Match, results_root: Path, watcher: Watcher, until: Until, *, force_new: bool = False,
    is_planned: bool = True,
) -> ComparisonResult:  # fmt: skip
    """Measure both sides in turns, or go on with the latest comparison of the same two that isn't finished: same
    configurations, prompts and engine versions. With `is_planned` a side that the planner says can't run, and that
    hasn't run before, is recorded so instead of started.

    An interrupt passes through after the running trial was ended; what was measured is on disk and the next call goes
    on. Raises StoreError for a folder that can't be written or is in use.
    """
    run = None if force_new else _unfinished(match, results_root)
    if run is None:
        run = _create(match, results_root)
    with run.lock(), RecordStore(run.trials_jsonl) as store:
        read = store.read()
        notes = [*_foreign_code(match), *match.notes, *match.prepared.target.notes, *store.repairs, *read.messages()]
        session = ComparisonSession(match, run, store, read.records, watcher, until, notes)
        return session.run_all(is_planned=is_planned)


def _unfinished(match: Match, results_root: Path) -> RunFolder | None:
    for run in runs.find_runs(results_root):
        if run.sweep != _name(match):
            continue
        try:
            facts = runs.read_json(run.run_json)
        except StoreError:
            continue
        if facts.get("kind") == runs.COMPARISON and facts.get("digest") == match.digest:
            return run if facts.get("status") != "finished" else None
    return None


def _foreign_code(match: Match) -> list[str]:
    note = foreign_code_note(effective_config(match.prepared.spec, match.points[side].settings) for side in SIDES)
    return [] if note is None else [note]


def _name(match: Match) -> str:
    names = [match.sides[side].spec.name.removesuffix("-run") for side in SIDES]
    name = "-".join(["compare", *dict.fromkeys(names)])
    return name.encode()[:_LONGEST_NAME].decode("utf-8", "ignore")


def _create(match: Match, results_root: Path) -> RunFolder:
    """Make the folder; `run.json` is written last, so a folder without it was never started."""
    prepared = match.prepared
    run = runs.create(results_root, _name(match), datetime.now(UTC))
    runs.write_bytes_atomic(run.sweep_yaml, text_without_secrets(prepared.spec.text).encode())
    write_jsonl(prepared.prompt_set, run.prompts_jsonl)
    description = machine_facts(prepared.interpreter, prepared.spec.engine, prepared.description)
    runs.write_json_atomic(run.machine_json, description)
    objective = prepared.spec.objective
    runs.write_json_atomic(
        run.run_json,
        {
            "name": run.sweep,
            "kind": runs.COMPARISON,
            "description": " against ".join(match.sides[side].title for side in SIDES),
            "sides": {side: _side(match, side) for side in SIDES},
            "digest": match.digest,
            **new_identity(run),
            "prompt_set_sha256": prepared.prompt_set.sha256,
            "objective": {"metric": objective.metric, "direction": objective.direction},
            "more_objectives": [],
            "constraints": [constraint.text for constraint in prepared.spec.constraints],
            "parameters": sorted({name for side in SIDES for name in match.points[side].parameters}),
            "hardware": prepared.hardware,
            "target": dict(target_facts(prepared.target)),
            "overrides": [],
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "vbench_version": vbench_version(),
            "status": "running",
        },
    )
    return run


def _side(match: Match, side: Side) -> Mapping[str, Any]:
    """What `run.json` says of a side."""
    one, point = match.sides[side], match.points[side]
    return {
        "title": one.title,
        **one.facts,
        "config": recorded_config(effective_config(match.prepared.spec, point.settings)),
        "engine_version": match.prepared.engine_version(point.settings.get("python")),
    }
