"""`{low, high, step, log}` to a range."""

from __future__ import annotations

import math
from typing import Any

from vbench.spec.problems import Problems, shown
from vbench.spec.suggest import did_you_mean
from vbench.spec.types import Range

MAX_RANGE_VALUES = 1_000_000
_RANGE_KEYS = ("low", "high", "step", "log")


def read_range(path: str, written: dict[str, Any], problems: Problems, *, is_grid: bool) -> Range | None:
    """The range, or None with what is wrong noted."""
    wrong: list[tuple[str, str, str]] = []
    for name, value in written.items():
        at = f"{path}.{name}"
        if name not in _RANGE_KEYS:
            wrong.append((at, f"unknown key {name!r} of a range", did_you_mean(name, _RANGE_KEYS)))
        elif name == "log" and not isinstance(value, bool):
            wrong.append((at, f"expected true or false, got {shown(value)}", ""))
        elif name != "log" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            wrong.append((at, f"expected a number, got {shown(value)}", ""))
    wrong += [(path, f"a range needs {name}", "") for name in ("low", "high") if name not in written]
    for at, message, hint in wrong:
        problems.add(at, message, hint)
    if wrong:
        return None
    low, high, step = written["low"], written["high"], written.get("step")
    if any(isinstance(part, float) for part in (low, high, step)):
        low, high, step = float(low), float(high), None if step is None else float(step)
    made = Range(low=low, high=high, step=step, log=written.get("log", False))
    return _checked(path, made, problems, is_grid=is_grid)


def _checked(path: str, domain: Range, problems: Problems, *, is_grid: bool) -> Range | None:
    low, high, step = domain.low, domain.high, domain.step
    problem = hint = ""
    if low >= high:
        problem, hint = f"low ({low}) must be below high ({high})", "put a fixed value under engine_args"
    elif step is not None and step <= 0:
        problem = f"step must be above 0, got {step}"
    elif step is not None and step > high - low:
        problem = f"step ({step}) is wider than the range ({low} to {high})"
    elif not math.isfinite(high - low):
        problem = f"from {low} to {high} is wider than a number can say"
    elif domain.log and low <= 0:
        problem = f"log needs low above 0, got {low}"
    elif domain.log and step is not None:
        problem, hint = "log and step exclude each other", "keep one of them"
    elif is_grid and step is None and not domain.is_int:
        problem, hint = "a grid can't walk a continuous range", "give it a step, or use method: tpe or random"
    elif (step is not None or domain.is_int) and (high - low) / (step or 1) >= MAX_RANGE_VALUES:
        problem, hint = "more than a million values", "give it a wider step"
    if problem:
        problems.add(path, problem, hint)
        return None
    return domain


def is_range(written: Any) -> bool:
    """Whether what is written is meant as a range."""
    return isinstance(written, dict) and ("low" in written or "high" in written)
