"""The two sides of a comparison: a trial of an earlier run, found again in the run's folder, or a sweep file with
changes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vbench.errors import SpecError, StoreError, UsageError
from vbench.execution.trial_record import recorded_config
from vbench.outcome import Outcome
from vbench.prompts.jsonl import read_prompts
from vbench.records.record import TrialRecord
from vbench.records.redaction import HIDDEN
from vbench.records.runs import RunFolder, is_comparison, read_json
from vbench.spec.config import baseline_point, displayed_path, effective_config
from vbench.spec.loader import load_spec, parse_spec
from vbench.spec.prompt_types import PER_PROMPT
from vbench.spec.redacted_text import stored_override
from vbench.spec.space import Point, point_of
from vbench.spec.stored import readable
from vbench.spec.types import SweepSpec
from vbench.spec.yaml_lines import parse_value, read_yaml
from vbench.sweep.placing import is_alike
from vbench.sweep.single import single_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One side: a configuration, and the sweep that says how it is measured."""

    title: str
    spec: SweepSpec
    config: Mapping[str, Any]
    """As `spec.config.effective_config` has it."""
    is_proven: bool = False
    """Whether it has run before: then the planner isn't asked."""
    engine_version: str | None = None
    """With which; None where it hasn't run."""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Where it comes from, for `run.json`; without secrets."""


def contender_of_file(file: Path, overrides: Sequence[str], own: Sequence[str]) -> Contender:
    """The file's one configuration (as `vbench run` takes it) with the `--set` values of both sides, and its own.

    Raises SpecError, UsageError.
    """
    spec = single_trial(load_spec(file, [*overrides, *own]))
    title = " ".join(map(stored_override, own)) or spec.name.removesuffix("-run")
    shown = [stored_override(one) for one in (*overrides, *own)]
    facts = {"file": displayed_path(str(spec.source)), "set": shown}
    return Contender(title=title, spec=spec, config=effective_config(spec, {}), facts=facts)


def contender_of_run(run: RunFolder, record: TrialRecord) -> Contender:
    """A trial of an earlier run, with the prompts that are stored there.

    The sweep file is read anew, from the run's copy and its `--set` values; relative paths count from where the file
    lay. What comes of it must be the configuration of the record. Raises UsageError where it can't be had any more.
    """
    title = f"{run.sweep}/{run.run_id}:{record.trial}"
    facts = read_json(run.run_json)
    if is_comparison(run):
        raise UsageError(f"{title}: the run is a comparison: name the runs that it compared")
    overrides, hidden = _visible(facts.get("overrides") or [])
    text = _sweep_text(run)
    overrides.append(f"prompts={json.dumps(_stored_prompts(run, text, overrides, title))}")
    problems = []
    for source in _sources(run, facts):
        try:
            spec = parse_spec(text, source, overrides)
        except SpecError as error:
            problems.append(str(error))
            continue
        spec = _with_environment(spec, record, hidden, title)
        found = _found(spec, record)
        if found is not None:
            _refuse_hidden(found[1], title)
            return Contender(
                title=title, spec=found[0], config=found[1], is_proven=record.outcome is Outcome.COMPLETED,
                engine_version=record.engine.version, facts={"run": f"{run.sweep}/{run.run_id}", "trial": record.trial},
            )  # fmt: skip
        problems.append(f"{displayed_path(str(source))}: it doesn't give the configuration of trial {record.trial}")
    raise UsageError(
        f"{title}: the sweep that it was part of can't be had any more:\n{problems[0]}\n"
        "Compare in the folder where the sweep was run, or name the file: `vbench compare FILE --a KEY=VALUE --b "
        "KEY=VALUE`"
    )


def _sweep_text(run: RunFolder) -> str:
    try:
        return readable(run.sweep_yaml.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{run.sweep_yaml} can't be read: {error.strerror}") from error


def _sources(run: RunFolder, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Where the sweep file may have lain: as the run says, or, of runs that don't say, around here and the results."""
    said = facts.get("source")
    if isinstance(said, str):
        yield Path(said)
        return
    root = run.path.resolve().parent.parent.parent
    for folder in dict.fromkeys(map(os.path.abspath, (Path("sweeps"), Path(), root / "sweeps", root))):
        yield Path(folder) / f"{run.sweep.removesuffix('-run')}.yaml"


def _visible(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The `--set` values that a run shows, and the keys of those that it hides: environment variables."""
    split = [(one, one.partition("=")) for one in overrides]
    shown = [one for one, (_, _, value) in split if value != HIDDEN]
    return shown, [key.strip() for _, (key, _, value) in split if value == HIDDEN]


def _stored_prompts(run: RunFolder, text: str, overrides: Sequence[str], title: str) -> dict[str, Any]:
    """A `prompts` section that gives the very prompts of the run: its own file's, how much each generates as it was."""
    path = run.prompts_jsonl.resolve()
    if not path.is_file():
        raise UsageError(f"{title}: {run.prompts_jsonl} is gone, so it can't be asked the same again")
    section: dict[str, Any] = {"file": str(path), "format": "jsonl"}
    if "output_tokens" in read_prompts(path, 1)[0]:
        return {**section, "output_tokens": PER_PROMPT}
    written = _written_prompts(text, overrides)
    return {**section, **{key: written[key] for key in ("output_tokens", "until_stop", "max_tokens") if key in written}}


def _written_prompts(text: str, overrides: Sequence[str]) -> dict[str, Any]:
    section = read_yaml(text, "sweep.yaml").value.get("prompts")
    written = dict(section) if isinstance(section, dict) else {}
    for override in overrides:
        key, _, value = override.partition("=")
        if key.strip() == "prompts":
            given = parse_value(value)
            written = dict(given) if isinstance(given, dict) else {}
        elif key.strip().startswith("prompts."):
            written[key.strip().removeprefix("prompts.")] = parse_value(value)
    return written


def _with_environment(spec: SweepSpec, record: TrialRecord, hidden: Sequence[str], title: str) -> SweepSpec:
    """With the variables that `--set` gave and the run hides, as the record shows them. Secrets, which it hides too,
    are left to this process's environment, which every trial inherits."""
    recorded = dict(record.config.get("environment") or {})
    names = [key.partition(".")[2] for key in hidden if key.startswith("environment.")]
    given = recorded if "environment" in hidden else {name: recorded[name] for name in names if name in recorded}
    environment = {**spec.environment, **given}
    for name in [name for name, value in environment.items() if HIDDEN in value]:
        if name not in os.environ:
            raise UsageError(f"{title}: {name}, a secret that runs don't keep, must be set in the environment")
        del environment[name]
    return dataclasses.replace(spec, environment=environment)


def _found(spec: SweepSpec, record: TrialRecord) -> tuple[SweepSpec, dict[str, Any]] | None:
    """The sweep's configuration that the record is of: a point of its space, its baseline, or the one that `vbench run`
    takes."""
    points = [point_of(spec.parameters, record.parameters), baseline_point(spec)]
    if record.origin == "baseline":
        points.reverse()
    tried: list[tuple[SweepSpec, Point]] = [(spec, one) for one in points if one is not None]
    for one, point in [*tried, (single_trial(spec), Point(parameters={}, settings={}))]:
        config = effective_config(one, point.settings)
        if is_alike(_comparable(recorded_config(config)), _comparable(record.config)):
            return one, config
    return None


def _refuse_hidden(config: Mapping[str, Any], title: str) -> None:
    """Raises UsageError for an engine argument that runs don't keep: `***` is no token."""
    hidden = [name for name, value in config.items() if HIDDEN in json.dumps(value, default=str)]
    if hidden:
        raise UsageError(
            f"{title}: {', '.join(hidden)} holds a secret, which runs don't keep: name the sweep file instead, or "
            "leave the secret to the environment (HF_TOKEN), which every trial inherits"
        )


def _comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without the variables whose values a record hides."""
    shown = {name: one for name, one in (config.get("environment") or {}).items() if HIDDEN not in str(one)}
    return {**config, "environment": shown}
