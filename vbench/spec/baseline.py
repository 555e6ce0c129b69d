"""`baseline:`, checked against what the file searches and fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vbench.spec.parameters import domains, label_of
from vbench.spec.problems import Problems, shown
from vbench.spec.space import walk
from vbench.spec.suggest import closest, did_you_mean
from vbench.spec.types import Choice, Domain, Parameter, Scalar


def read_baseline(
    written: Mapping[str, Any], parameters: Sequence[Parameter], engine_args: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """The baseline with choices as labels. Conditional names (`quantization.awq.…`) belong to the chosen option only.

    A number may lie outside its range: what is compared against need not be a candidate.
    """
    baseline: dict[str, Any] = {}
    asked: set[str] = set()

    def choose(name: str, domain: Domain) -> Scalar:
        asked.add(name)
        if name not in written:
            problems.add("baseline", f"{name} needs a value", "the chosen option leaves it open")
            return domain.options[0].label if isinstance(domain, Choice) else domain.low
        value = baseline[name] = _value(name, written[name], domain, problems)
        return value

    walk([parameter for parameter in parameters if parameter.name in written], choose)
    known = dict(domains(parameters))
    for name, value in written.items():
        if name in asked:
            continue
        if name in engine_args:
            baseline[name] = value
        elif name in known:
            problems.add(f"baseline.{name}", "belongs to an option that the baseline doesn't choose")
        else:
            hint = did_you_mean(name, [*known, *engine_args]) or "fix it under engine_args, or search it"
            problems.add(f"baseline.{name}", f"{name} is neither a parameter nor an engine argument of this file", hint)
    return baseline


def _value(name: str, value: Any, domain: Domain, problems: Problems) -> Scalar:
    path = f"baseline.{name}"
    if isinstance(domain, Choice):
        labels = [option.label for option in domain.options]
        label = "" if isinstance(value, (list, dict)) else label_of(value)
        if label in labels:
            return label
        near = closest(label, labels) if label else None
        hint = f"did you mean {near}?" if near else f"there is {', '.join(labels)}"
        problems.add(path, f"{shown(value)} is not an option of {name}", hint)
        return labels[0]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        problems.add(path, f"expected a number, got {shown(value)}")
        return domain.low
    return value
