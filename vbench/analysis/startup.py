"""What start-up was made of: starting the process, importing the engine, and what its log names of loading."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vbench.metrics import percentile
from vbench.records.packed import phase_lengths
from vbench.records.record import TrialRecord

KV_CACHE = "profiling, KV cache"
PARTS = ("process", "import", "weights", "compiling", KV_CACHE, "capturing graphs", "the rest of loading")
"""About in their order in time. What the engine doesn't say of
loading is in the rest: its configuration, tokenizers, and weights where it doesn't name them."""
_INIT = "init_engine_s"
"""Profiling, the KV cache, compiling and capturing together."""
_FACTS = (("weights", "load_weights_s"), ("compiling", "compile_s"), ("capturing graphs", "graph_capture_s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """One trial's; `parts` are seconds by the names of `PARTS`, those that the engine named or phases show."""

    trial: int
    how: str
    """`fork` (from a process that had the engine imported), `cold`, or `reused` (an engine that was running)."""
    parts: dict[str, float]
    blocker: str | None = None
    """Why it couldn't be forked."""

    @property
    def total_s(self) -> float:
        """Of all parts."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupSummary:
    """Over trials that were started in one way."""

    how: str
    count: int
    median_s: float
    low_s: float
    """5th percentile."""
    high_s: float
    """95th percentile."""
    typical: Startup
    """The trial at the median."""


def startup_of(record: TrialRecord, said: _Remembered | None = None) -> Startup | None:
    """None of a trial that was refused, didn't get as far as loading, or ran on an engine that was there already."""
    how = str(record.environment.get("worker_start") or "")
    if how == "reused" or (record.failure is not None and record.failure.phase in ("start", "import", "load")):
        return None
    seconds: dict[str, float] = {}
    for name, _, length in phase_lengths(record.phases):
        seconds[name] = seconds.get(name, 0.0) + max(0.0, length)
    if "load" not in seconds:
        return None
    parts = {"process": seconds.get("start", 0.0), "import": seconds.get("import", 0.0)}
    left = seconds["load"]
    for name, seconds_said in (said or _said)(record.engine.facts):
        parts[name] = min(seconds_said, left)  # ranks that load side by side say more than the clock does
        left -= parts[name]
    parts["the rest of loading"] = left
    blocker = record.environment.get("fork_blocker")
    return Startup(
        trial=record.trial, how=how or "cold", parts=parts, blocker=blocker if isinstance(blocker, str) else None
    )


def _said(facts: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What the engine said of loading."""
    whole = _seconds(facts, _INIT)
    for name, fact in _FACTS:
        seconds = _seconds(facts, fact)
        if seconds is None:
            continue
        yield name, seconds
        if whole is not None and name != "weights":
            whole -= seconds
    if whole is not None and whole > 0:
        yield KV_CACHE, whole


class _Remembered:
    """`_said`, once for facts that many records of a large run share."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Mapping[str, Any], tuple[tuple[str, float], ...]]] = {}

    def __call__(self, facts: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
        known = self._known.get(id(facts))
        if known is None:
            known = self._known[id(facts)] = facts, tuple(_said(facts))
        return known[1]


def _seconds(facts: Mapping[str, Any], name: str) -> float | None:
    value = facts.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 else None


def startups(records: Iterable[TrialRecord]) -> list[Startup]:
    """Those that there are, in the given order."""
    said = _Remembered()
    return [found for record in records if (found := startup_of(record, said)) is not None]


def summaries(found: Sequence[Startup]) -> list[StartupSummary]:
    """One for each way of starting, the most frequent first."""
    by_how: dict[str, list[Startup]] = {}
    for one in found:
        by_how.setdefault(one.how, []).append(one)
    return [_summary(how, by_how[how]) for how in sorted(by_how, key=lambda how: (-len(by_how[how]), how))]


def _summary(how: str, found: Sequence[Startup]) -> StartupSummary:
    ordered = sorted(found, key=lambda one: (one.total_s, one.trial))
    totals = [one.total_s for one in ordered]
    return StartupSummary(
        how=how,
        count=len(ordered),
        median_s=statistics.median(totals),
        low_s=percentile(totals, 5),
        high_s=percentile(totals, 95),
        typical=ordered[(len(ordered) - 1) // 2],
    )


def part_totals(found: Iterable[Startup]) -> dict[str, float]:
    """Seconds of each part over all of them, in the order of `PARTS`; parts that none has are left out."""
    totals: dict[str, float] = {}
    for one in found:
        for name, seconds in one.parts.items():
            totals[name] = totals.get(name, 0.0) + seconds
    return {name: totals[name] for name in PARTS if name in totals}
