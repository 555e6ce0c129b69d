"""What earlier runs of the same model and card can teach this sweep's search (`--from RUN`).

Decides which runs are refused, which of their trials are of use, and what is to be said about them. Their values may be
on another scale (other prompts, another engine version), so a searcher takes from them only what is better than what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vbench.analysis.remeasure import REPEATS
from vbench.errors import StoreError, UsageError
from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import EngineFacts, TrialRecord
from vbench.records.runs import RunFolder, read_json
from vbench.records.store import RecordStore
from vbench.spec.config import displayed, effective_config
from vbench.spec.space import Point, point_of, recorded_parameters
from vbench.spec.types import Choice, Domain, Range, SweepSpec, is_nested_argument
from vbench.sweep.placing import is_alike, is_same_model, point_in
from vbench.sweep.target import LOCAL

_FAILED = (Outcome.INFEASIBLE, Outcome.UNSUPPORTED, Outcome.OUT_OF_MEMORY)
"""Failures that the configuration decides, given the model and the card."""
_ONE_CARD = "what is fast on one card says little of another"
_WEIGHTLESS = ("python", "environment", "goodput")
"""Words of a configuration that may differ between two runs without a word."""


def priors(
    spec: SweepSpec, runs: Sequence[RunFolder], hardware: str, *, machine: str | None = None,
    engine_version: str | None = None, prompt_set_sha256: str | None = None, own: RunFolder | None = None,
) -> tuple[list[list[TrialRecord]], list[str]]:  # fmt: skip
    """What each of the runs has for this sweep, in the given order, and notes on them.

    A record is of use when its parameters, or else its configuration, are a point of this sweep's space, and it was
    measured, pruned, or failed for what it is. It comes with the parameters of this space, and slim: without passes,
    phases and what the engine said.

    `hardware` is the name that trials are judged by and `machine` this machine's title, as `run.json` has them; `own`
    is the run that is gone on with, whose records are known already. What is None isn't compared. Raises UsageError for
    a run of another model, card or engine, StoreError for one that can't be read.
    """
    found: list[list[TrialRecord]] = []
    notes: list[str] = []
    for run in runs:
        name = f"{run.sweep}/{run.run_id}"
        if own is not None and run.path.resolve() == own.path.resolve():
            notes.append(f"from {name}: it is the run that is gone on with, nothing is to be taken over")
            found.append([])
            continue
        earlier = _Earlier(name, RecordStore(run.trials_jsonl).read().records, _facts(run))
        earlier.refuse_another(spec, hardware, machine)
        useful, others = _useful(spec, earlier)
        found.append(useful)
        notes.append(_summary(name, len(useful), len(earlier.records)))
        notes += earlier.differences(spec, machine, engine_version, prompt_set_sha256)
        if others:
            notes.append(f"from {name}: measured with another {_listed(others)}")
    return found, notes


def _facts(run: RunFolder) -> dict[str, Any]:
    try:
        return read_json(run.run_json)
    except StoreError:
        return {}


class _Earlier:
    """One earlier run: its records and what `run.json` says of it."""

    def __init__(self, name: str, records: Sequence[TrialRecord], facts: Mapping[str, Any]) -> None:
        self.name, self.records = name, records
        target, objective = facts.get("target"), facts.get("objective")
        self.target: Mapping[str, Any] = target if isinstance(target, dict) else {}
        self.metric = objective.get("metric") if isinstance(objective, dict) else None

    def refuse_another(self, spec: SweepSpec, hardware: str, machine: str | None) -> None:
        """Raises UsageError where nothing can be learned from the run."""
        records = self.records
        if not records:
            raise self._error("the run has no trials to learn from")
        engines = {record.engine.name for record in records}
        if spec.engine not in engines:
            raise self._error(f"it is of the engine {_listed(engines)}, this sweep is of {spec.engine}")
        cards = {str(record.hardware.get("profile")) for record in records}
        where = self.target.get("machine")
        if hardware not in cards:
            raise self._error(f"it was measured on {_listed(cards)}, this sweep runs on {hardware}; {_ONE_CARD}")
        is_any_card = hardware == LOCAL or spec.emulate is not None  # the name doesn't say which card it was
        if is_any_card and None not in (machine, where) and machine != where:
            raise self._error(f"it was measured on {where}, this machine has {machine}; {_ONE_CARD}")
        if self.target and bool(self.target.get("is_emulated")) != (spec.emulate is not None):
            ways = ("on the card itself", "where the card was emulated")
            was, here = ways if spec.emulate is not None else ways[::-1]
            raise self._error(f"it was measured {was}, this sweep runs {here}")
        models = {str(record.config.get("model")) for record in records}
        ours = _models(spec)
        if not any(is_same_model(one, other) for one in models for other in ours):
            raise self._error(f"it is of the model {_listed(models)}, this sweep is of {_listed(ours)}")

    def differences(
        self, spec: SweepSpec, machine: str | None, engine_version: str | None, prompt_set_sha256: str | None
    ) -> list[str]:
        """What is another than here, and doesn't keep the run from being of use."""
        said: list[str] = []
        where = self.target.get("machine")
        if None not in (machine, where) and machine != where:
            said.append(f"measured on {where}, this machine is {machine}")
        versions = {record.engine.version for record in self.records if record.engine.version}
        if engine_version is not None and versions and engine_version not in versions:
            said.append(f"measured with {spec.engine} {_listed(versions)}, here it is {engine_version}")
        prompts = {record.prompt_set.sha256: record.prompt_set.source for record in self.records}
        if prompt_set_sha256 is not None and prompt_set_sha256 not in prompts:
            said.append(f"measured on other prompts ({_listed(prompts.values())})")
        if self.metric is not None and self.metric != spec.objective.metric:
            said.append(f"it was after {self.metric}, this sweep is after {spec.objective.metric}")
        return [f"from {self.name}: {one}" for one in said]

    def _error(self, text: str) -> UsageError:
        return UsageError(f"--from {self.name}: {text}")


def _useful(spec: SweepSpec, earlier: _Earlier) -> tuple[list[TrialRecord], list[str]]:
    """The records that this sweep can use, and the names of fixed settings in which some of them differ."""
    useful: list[TrialRecord] = []
    others: Counter[str] = Counter()
    is_same_metric = earlier.metric in (None, spec.objective.metric)
    for record in earlier.records:
        if record.origin in REPEATS or not _says_something(record, spec, is_same_metric=is_same_metric):
            continue
        point = _point(spec, record)
        if point is None:
            continue
        ours = displayed(effective_config(spec, point.settings))
        if not is_same_model(str(record.config.get("model")), str(ours["model"])) or _lies_beside(record, point, ours):
            continue
        others.update(_other_settings(record.config, ours))
        useful.append(_slim(record, recorded_parameters(spec.parameters, point)))
    return useful, [name for name, _ in others.most_common()]


def _lies_beside(record: TrialRecord, point: Point, ours: Mapping[str, Any]) -> bool:
    """Whether the earlier search chose something that is fixed here, and chose it otherwise."""
    for name in record.parameters:
        if name not in point.parameters:
            key = name.partition(".")[0]
            if not is_alike(record.config.get(key), ours.get(key)):
                return True
    return False


def _says_something(record: TrialRecord, spec: SweepSpec, *, is_same_metric: bool) -> bool:
    if record.outcome.is_measured:
        return value_of(record.measurements, spec.objective.metric) is not None
    if record.outcome is Outcome.PRUNED:
        return is_same_metric  # what it was stopped by is a bound on that metric
    return record.outcome in _FAILED


def _point(spec: SweepSpec, record: TrialRecord) -> Point | None:
    """Where in this space the record lies: by what its own search chose, else by its whole configuration."""
    point = point_of(spec.parameters, record.parameters)
    return point if point is not None else point_in(spec.parameters, record.config)


def _models(spec: SweepSpec) -> set[str]:
    """Every model that the sweep may run, as records would show it."""
    found = {spec.model}

    def look(key: str, domain: Domain) -> None:
        for option in domain.options if isinstance(domain, Choice) else ():
            if key == "model" and isinstance(option.value, str):
                found.add(option.value)
            for name, setting in option.settings.items():
                if isinstance(setting, (Choice, Range)):
                    look(name, setting)
                elif name == "model" and not is_nested_argument(key):
                    found.add(str(setting))

    for parameter in spec.parameters:
        look(parameter.name, parameter.domain)
    return {str(displayed({"model": model})["model"]) for model in found}


def _other_settings(config: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    names = [name for name in dict.fromkeys([*config, *ours]) if name not in _WEIGHTLESS]
    return [name for name in names if not is_alike(config.get(name), ours.get(name))]


def _slim(record: TrialRecord, parameters: Mapping[str, Any]) -> TrialRecord:
    engine = EngineFacts(name=record.engine.name, version=record.engine.version)
    empty: dict[str, Any] = {"passes": [], "phases": [], "warnings": [], "environment": {}, "estimate": None}
    return record.model_copy(update={**empty, "parameters": dict(parameters), "engine": engine})


def _summary(name: str, useful: int, total: int) -> str:
    if not useful:
        return f"from {name}: none of its {total} trials lies in this sweep's space, nothing is taken over"
    return f"from {name}: {useful} of its {total} trials are taken over as hints; none of them counts as measured here"


def _listed(names: Any, limit: int = 4) -> str:
    words = sorted({str(name) for name in names})
    return ", ".join(words[:limit]) + (f" and {len(words) - limit} more" if len(words) > limit else "")
