"""Two sides as two points of one sweep, so that the same runner and, where it can be, the same keeper starts both: what
differs between them is what is compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vbench.errors import UsageError
from vbench.execution.trial_record import asked_tokens
from vbench.prompts.prompt_set import load_prompt_set
from vbench.records.redaction import without_secrets
from vbench.spec.calling import SECTIONS
from vbench.spec.config import effective_config
from vbench.spec.measure_types import QualitySpec
from vbench.spec.space import Point
from vbench.spec.types import Choice, Option, Parameter, Scalar, SearchSpec, SweepSpec
from vbench.sweep.comparing import SIDES, Side
from vbench.sweep.comparing_sides import Contender
from vbench.sweep.prepared import Prepared, prepare

_PROCESS = ("python", "model", "mode", "replicas")
"""Words of a configuration that a sweep has keys of its own for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A comparison that this machine can measure: everything asked and checked, nothing started."""

    sides: Mapping[Side, Contender]
    points: Mapping[Side, Point]
    prepared: Prepared
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """What is compared: A's objective."""
        return self.prepared.spec.objective.metric

    @property
    def digest(self) -> str:
        """What makes two comparisons the same: both configurations, prompts, measuring and engine versions."""
        settings = {side: dict(self.points[side].settings) for side in SIDES}
        text = json.dumps([self.prepared.digest, settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def match(a: Contender, b: Contender) -> Match:
    """Both sides, ready to be measured as A's sweep says. Raises UsageError where they can't be compared, SpecError
    and MachineError as `prepare`."""
    _check(a, b)
    flat: dict[Side, dict[str, Any]] = {"A": _flat(a), "B": _flat(b)}
    common = {name: one for name, one in flat["A"].items() if name in flat["B"] and _is_same(one, flat["B"][name])}
    own = {side: {name: one for name, one in flat[side].items() if name not in common} for side in SIDES}
    points = {side: Point(parameters=_shown(own[side]), settings=_settings(own[side], side)) for side in SIDES}
    spec = _spec(a, common, flat["A"])
    options = tuple(Option(label=side, value=None, settings=points[side].settings) for side in SIDES)
    # Only so is it asked which interpreters there are, and whether the engine knows what the sides set.
    asked = dataclasses.replace(spec, parameters=(Parameter(name="model", domain=Choice(options=options)),))
    prepared = dataclasses.replace(prepare(asked), spec=spec)
    _check_answers(prepared, {side: effective_config(spec, points[side].settings) for side in SIDES})
    found = Match(sides={"A": a, "B": b}, points=points, prepared=prepared, notes=())
    return dataclasses.replace(found, notes=tuple(_notes(found, own)))


def _check(a: Contender, b: Contender) -> None:
    """Raises UsageError for what can't be measured side by side here."""
    for name, one, other in (
        ("engine", a.spec.engine, b.spec.engine),
        ("hardware", a.spec.hardware, b.spec.hardware),
        ("emulate", a.spec.emulate, b.spec.emulate),
    ):
        if one != other:
            raise UsageError(
                f"A and B can't be measured in turns: {name} is {_word(one)} of A ({a.title}) and {_word(other)} of B "
                f"({b.title}); what was measured of them can be compared without --again"
            )
    digests = [load_prompt_set(one.spec.prompts, one.spec.model).sha256 for one in (a, b)]
    if digests[0] != digests[1]:
        raise UsageError(
            f"A ({a.title}) and B ({b.title}) were given different prompts ({digests[0][:12]} and {digests[1][:12]}): "
            "their speeds can't be compared"
        )


def _word(value: object) -> str:
    return str(getattr(value, "profile", value))


def _check_answers(prepared: Prepared, configs: Mapping[Side, Mapping[str, Any]]) -> None:
    lengths = [asked_tokens(prepared.prompt_set, configs[side]) for side in SIDES]
    if lengths[0] != lengths[1]:
        raise UsageError("A and B are asked for answers of different lengths: their speeds can't be compared")


def _flat(one: Contender) -> dict[str, Any]:
    """Its configuration with a section's keys by their dotted names, and what a sweep leaves unsaid said."""
    flat: dict[str, Any] = {"python": one.spec.python, "mode": "offline", "replicas": 1}
    for name, value in one.config.items():
        if name in SECTIONS:
            flat.update({f"{name}.{key}": inner for key, inner in value.items()})
        elif name not in ("engine", "goodput"):
            flat[name] = value
    return flat


def _is_same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _shown(own: Mapping[str, Any]) -> dict[str, Scalar]:
    """What is this side's alone, as records have parameters: plain values, no secrets."""
    plain = {
        name: value if isinstance(value, Scalar) else json.dumps(value, sort_keys=True, default=str)
        for name, value in own.items()
    }
    variables = {name: str(value) for name, value in plain.items() if name.startswith("environment.")}
    return {**plain, **without_secrets(variables)}


def _settings(own: Mapping[str, Any], side: Side) -> dict[str, Any]:
    """As a point has them. What the sweep has keys for is A's there already."""
    if side == "A":
        return {name: value for name, value in own.items() if name not in _PROCESS}
    return {name: sys.executable if name == "python" and value is None else value for name, value in own.items()}


def _spec(a: Contender, common: Mapping[str, Any], of_a: Mapping[str, Any]) -> SweepSpec:
    """A's sweep with what both sides have: nothing to search, and no check of the answers, which costs time."""
    sections = {
        name: {key.partition(".")[2]: value for key, value in common.items() if key.startswith(f"{name}.")}
        for name in SECTIONS
    }
    arguments = {
        name: value for name, value in common.items()
        if name not in (*_PROCESS, "lora_modules") and name.partition(".")[0] not in SECTIONS
    }  # fmt: skip
    return dataclasses.replace(
        a.spec, model=of_a["model"], python=of_a["python"], mode=of_a["mode"], replicas=of_a["replicas"],
        sampling=sections["sampling"], load=sections["load"], environment=sections["environment"],
        lora_modules=common.get("lora_modules", {}), engine_args=arguments, parameters=(), baseline=None,
        more_objectives=(), search=SearchSpec(method="grid", trials=1), quality=QualitySpec(when="never"),
    )  # fmt: skip


def _notes(found: Match, own: Mapping[Side, Mapping[str, Any]]) -> list[str]:
    """What a person should know before the measuring."""
    a, b = found.sides["A"], found.sides["B"]
    notes = []
    if not any(own.values()):
        notes.append("A and B are one configuration: what differs between them is noise")
    if a.spec.measure != b.spec.measure:
        notes.append("A and B were measured in different ways (measure:); both are measured as A now")
    if a.spec.objective != b.spec.objective:
        notes.append(f"compared by A's objective, {found.metric}; B's is {b.spec.objective.metric}")
    for side in SIDES:
        now = found.prepared.engine_version(found.points[side].settings.get("python"))
        before = found.sides[side].engine_version
        if before not in (None, now):
            notes.append(f"{side} was measured with {found.prepared.spec.engine} {before}; now it is {now}")
    return notes
