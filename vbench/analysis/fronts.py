"""What the objective costs: for each other quantity the trials that no other beats in both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from vbench.analysis.headroom import RunFacts, headroom_bytes
from vbench.analysis.loads import load_of
from vbench.analysis.ranking import is_rankable, objective_value
from vbench.analysis.remeasure import standing
from vbench.metrics import value_of
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective

Unit = Literal["bytes", "seconds", "tokens", "share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A quantity beside the objective. `value_of` gives None where it isn't known of a trial."""

    name: str
    label: str
    short: str
    """For a cell of a table."""
    unit: Unit
    is_more_better: bool
    value_of: Callable[[TrialRecord], float | None]
    turned: str = ""
    """A metric that says the same the other way round."""

    @property
    def heading(self) -> str:
        """For a column: `Headroom`, `p95 TTFT`."""
        if self.name == "nll_increase":
            return self.label
        return f"p95 {self.short}" if self.name.startswith("p95_") else self.short.capitalize()


class FrontPoint(NamedTuple):
    """A trial: `x` is the cost, `y` the objective."""

    trial: int
    x: float
    y: float
    is_on_front: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The ranked trials by one cost and the objective, best by the objective first."""

    cost: Cost
    points: tuple[FrontPoint, ...]

    @property
    def trials(self) -> tuple[int, ...]:
        """Those on the front."""
        return tuple(point.trial for point in self.points if point.is_on_front)


def costs(facts: RunFacts) -> tuple[Cost, ...]:
    """All that are looked at, in order."""
    return (
        Cost(name="headroom", label="Memory headroom", short="headroom", unit="bytes", is_more_better=True,
             value_of=lambda record: headroom_bytes(record, facts), turned="peak_memory_bytes"),
        _metric("peak_memory_bytes", "Peak memory", "memory", "bytes"),
        _metric("p95_ttft_s", "p95 time to first token", "TTFT", "seconds"),
        _metric("p95_tpot_s", "p95 time per output token", "TPOT", "seconds"),
        _metric("p95_e2e_latency_s", "p95 end-to-end latency", "E2E", "seconds"),
        Cost(name="context", label="Context length", short="context", unit="tokens", is_more_better=True,
             value_of=lambda record: load_of(record, "max_model_len")),
        _metric("nll_increase", "NLL increase", "quality", "share"),
    )  # fmt: skip


_INSTEAD = {"peak_memory_bytes": "headroom", "p95_e2e_latency_s": "p95_tpot_s"}
"""Shown only where the other can't be."""


def _metric(name: str, label: str, short: str, unit: Unit) -> Cost:
    return Cost(
        name=name, label=label, short=short, unit=unit, is_more_better=False,
        value_of=lambda record: value_of(record.measurements, name),
    )  # fmt: skip


def fronts(records: Iterable[TrialRecord], objective: Objective, facts: RunFacts) -> list[Front]:
    """One a cost of which ranked trials have two values or more. A finalist stands with its finals."""
    ranked = [record for record in standing(records) if is_rankable(record, objective)]
    values = [objective_value(record, objective) for record in ranked]
    found: dict[str, Front] = {}
    for cost in costs(facts):
        if objective.metric in (cost.name, cost.turned) or _INSTEAD.get(cost.name) in found:
            continue
        front = _front(ranked, values, objective, cost)
        if front is not None:
            found[cost.name] = front
    return list(found.values())


def _front(
    ranked: Sequence[TrialRecord], values: Sequence[float | None], objective: Objective, cost: Cost
) -> Front | None:
    sign = 1 if objective.direction == "maximize" else -1
    side = 1 if cost.is_more_better else -1
    known = [
        (x, y, record.trial)
        for record, y in zip(ranked, values, strict=True)
        if y is not None and (x := cost.value_of(record)) is not None
    ]
    if len({x for x, _, _ in known}) < 2:
        return None
    known.sort(key=lambda one: (-sign * one[1], -side * one[0], one[2]))
    best_x: float | None = None
    last: tuple[float, float] | None = None
    points: list[FrontPoint] = []
    for x, y, trial in known:
        # In order of the objective a trial is on the front if it costs less than every one before; alike ones all are.
        is_on_front = best_x is None or side * x > side * best_x or (x, y) == last
        if is_on_front:
            best_x, last = x, (x, y)
        points.append(FrontPoint(trial=trial, x=x, y=y, is_on_front=is_on_front))
    return Front(cost=cost, points=tuple(points))
