"""Constraints: `name operator number`, read by one pattern. Nothing is evaluated."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from vbench.metrics import BY_NAME, metric_names, metric_of, value_of
from vbench.spec.problems import shown
from vbench.spec.suggest import did_you_mean
from vbench.spec.types import Constraint
from vbench.units import GIB, MIB

_PATTERN = re.compile(
    r"\s*(?P<name>[A-Za-z_]\w*)\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<bound>[-+]?(\d+(_\d+)*(\.\d*)?|\.\d+)([eE][-+]?\d+)?)\s*",
    re.ASCII,
)
_LONGEST = 300
_OPERATORS = {"<=": "<=", ">=": ">=", "<": "<", ">": ">"}


def parse_constraint(text: str, parameter_names: Collection[str]) -> Constraint:
    """Read one constraint; `parameter_names` are the engine arguments that the file sets.

    Raises ValueError with what is wrong; its second argument, where there is one, says what to write instead.
    """
    match = _PATTERN.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(
            f"{shown(text)} is not a constraint",
            "write NAME <= NUMBER with <=, >=, < or >, one number, no unit: peak_memory_mib <= 15360",
        )
    name, operator = match["name"], match["operator"]
    bound = float(match["bound"])
    quantities = _quantities()
    if name in quantities:
        quantity, factor = quantities[name]
        bound *= factor
    elif name not in parameter_names:
        raise ValueError(
            f"{name} is neither a metric nor an argument that this file sets", _instead(name, parameter_names)
        )
    if not math.isfinite(bound):
        raise ValueError(f"{shown(text)}: too large for a number")
    return Constraint(
        text=text.strip(),
        name=name,
        quantity=quantity if name in quantities else name,
        operator=_OPERATORS[operator],  # type: ignore[arg-type]
        bound=bound,
        is_metric=name in quantities,
    )


def violations(
    constraints: Sequence[Constraint], measurements: dict[str, Any], settings: Mapping[str, Any]
) -> dict[str, float]:
    """By constraint text. What wasn't measured can't be shown to keep its bound, so it counts as violated."""
    found = {}
    for constraint in constraints:
        name = constraint.quantity
        value = value_of(measurements, name) if constraint.is_metric else settings.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[constraint.text] = constraint.violation(value)
        else:
            found[constraint.text] = 1.0
    return found


def metric_bounded_by(text: str) -> str | None:
    """The metric that a constraint is on; None where it is on a parameter, or isn't sound."""
    match = _PATTERN.fullmatch(text) if len(text) <= _LONGEST else None
    return _quantities().get(match["name"], (None, 0.0))[0] if match is not None else None


@cache
def _quantities() -> dict[str, tuple[str, float]]:
    """Every name that a metric goes by: the metric, and what a bound is multiplied by to be in its unit."""
    named: dict[str, tuple[str, float]] = {}
    for metric in metric_names():
        named[metric] = (metric, 1.0)
        unit = metric_of(metric).unit
        if unit == "B":
            stem = metric.removesuffix("_bytes")
            named[f"{stem}_mib"] = (metric, float(MIB))
            named[f"{stem}_gib"] = (metric, float(GIB))
        elif unit == "s":
            named[f"{metric.removesuffix('_s')}_ms"] = (metric, 0.001)
    return named


def _instead(name: str, parameter_names: Collection[str]) -> str:
    if name in BY_NAME:
        return f"of many requests, which? p50_{name}, p95_{name}, mean_{name}, …"
    return did_you_mean(name, [*_quantities(), *parameter_names]) or "put the argument under engine_args or parameters"
