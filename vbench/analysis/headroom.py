"""How much memory a trial left: its measured peak against what it could have had, and which of both limits that was.

The limit is the least of what is known: an emulated card's bytes, the GPU's own, or on a CPU the machine's memory; and
a bound on peak memory among the sweep's constraints. On GPUs peak and limit are of the fullest one. What
`gpu_memory_utilization` allows is a setting of the trial itself, not a limit: raising it would look like more room.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.spec.calling import num_gpus
from vbench.spec.constraints import parse_constraint
from vbench.spec.types import Constraint


class RunFacts(Protocol):
    """What is known of a run beside its records: `run.json` and `machine.json`, empty where they couldn't be read."""

    @property
    def run(self) -> Mapping[str, Any]:
        """As `run.json` has it."""

    @property
    def machine(self) -> Mapping[str, Any]:
        """As `machine.json` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBudget:
    """What a trial's peak is held against. `what` continues "of": `the emulated t4`, `the machine's memory`."""

    num_bytes: int
    what: str
    is_constraint: bool = False
    """Whether the sweep set it, below what the hardware has."""


def memory_budget(record: TrialRecord, facts: RunFacts) -> MemoryBudget | None:
    """The least that is known; None where nothing is."""
    return min(_budgets(record, facts), key=lambda one: one.num_bytes, default=None)


def headroom_bytes(record: TrialRecord, facts: RunFacts) -> float | None:
    """The budget less the measured peak, below 0 where that is over it; None where either isn't known."""
    budget = memory_budget(record, facts)
    peak = value_of(record.measurements, "peak_memory_bytes")
    return None if budget is None or peak is None else budget.num_bytes - peak


def headroom_share(record: TrialRecord, facts: RunFacts) -> float | None:
    """The headroom as a share of the budget."""
    peak = value_of(record.measurements, "peak_memory_bytes")
    budget = None if peak is None else memory_budget(record, facts)
    return None if budget is None or peak is None else 1 - peak / budget.num_bytes


def metric_constraint(text: str) -> Constraint | None:
    """A stored constraint that bounds a metric; None where it bounds a setting, or can't be read."""
    return _parsed(text)


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Constraint | None:
    try:
        return parse_constraint(text, ())
    except ValueError:
        return None


def _budgets(record: TrialRecord, facts: RunFacts) -> Iterator[MemoryBudget]:
    """The hardware's first, which are named where a bound is the same. Those of a run are made once, as reports ask for
    them 100,000 times."""
    gpus = record.hardware.get("gpus")
    target = facts.run.get("target")
    limit = _positive(target.get("limit_bytes")) if isinstance(target, Mapping) else None
    if limit is not None and isinstance(target, Mapping):
        # On a CPU one process tree stands for all the GPUs that the trial would take (`over_budget` judges the same).
        count = 1 if gpus else num_gpus(record.config)
        yield _of_target(limit, str(target.get("profile") or "card"), bool(target.get("is_emulated")), count)
    if gpus:
        yield from _of_gpus(gpus)
    elif _is_on_cpu(record, facts):
        ram = _positive(facts.machine.get("memory_bytes"))
        if ram is not None:
            yield _of_machine(ram)
    yield from _bounds(tuple(_texts(facts.run.get("constraints"))))


@functools.lru_cache(maxsize=256)
def _bounds(texts: tuple[str, ...]) -> tuple[MemoryBudget, ...]:
    parsed = [(text, bound) for text in texts if (bound := metric_constraint(text)) is not None]
    return tuple(
        MemoryBudget(num_bytes=limit, what=f"the constraint {text}", is_constraint=True)
        for text, bound in parsed
        if bound.quantity == "peak_memory_bytes"
        and bound.operator in ("<=", "<")
        and (limit := _positive(bound.bound)) is not None
    )


@functools.lru_cache(maxsize=256)
def _of_target(limit: int, profile: str, is_emulated: bool, count: int) -> MemoryBudget:
    name = f"emulated {profile}" if is_emulated else profile
    return MemoryBudget(num_bytes=limit * count, what=f"the {name}" if count == 1 else f"{count} {name}s together")


def _of_gpus(stored: Any) -> Iterator[MemoryBudget]:
    """The smallest of them; nothing where the size of one isn't known."""
    gpus = [one for one in stored if isinstance(one, Mapping)] if isinstance(stored, list) else []
    sizes = [(size, str(one.get("name") or "GPU")) for one in gpus if (size := _positive(one.get("total_bytes")))]
    if sizes and len(sizes) == len(gpus):
        size, name = min(sizes)
        yield MemoryBudget(num_bytes=size, what=f"the {name}" if len(gpus) == 1 else f"each {name}")


@functools.lru_cache(maxsize=256)
def _of_machine(size: int) -> MemoryBudget:
    return MemoryBudget(num_bytes=size, what="the machine’s memory")


def _is_on_cpu(record: TrialRecord, facts: RunFacts) -> bool:
    """By what was measured: a process tree's memory is the host's."""
    source = str(record.hardware.get("memory_source") or "").lower()
    return "pss" in source or (not source and facts.machine.get("engine_platform") == "cpu")


def _positive(value: Any) -> int | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return int(value) if is_number and value > 0 else None


def _texts(stored: Any) -> list[str]:
    return [one for one in stored if isinstance(one, str)] if isinstance(stored, list) else []
