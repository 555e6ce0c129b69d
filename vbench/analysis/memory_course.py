"""Memory over time of the trials that tell most: the best, the baseline, the hungriest, and one that ran out."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vbench.metrics import value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.records.samples import MemorySamples

MAX_POINTS = 400
"""Points of one line: more can't be told apart on a page."""
_TRIES = 5  # files looked at for one that is there, of each kind of trial
_KINDS = {
    "start": "start-up", "import": "start-up", "load": "start-up", "probe": "warm-up", "warmup": "warm-up",
    "pass": "timed passes", "close": "closing", "after_close": "closing",
}  # fmt: skip
RAN_OUT = "ran out of memory"
SPAN_KINDS = ("start-up", "warm-up", "timed passes", "closing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Phases that follow each other and are of one kind, one of `SPAN_KINDS`."""

    kind: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCourse:
    """One trial. `points` are seconds since its start and bytes; `gpus` has each GPU's where there are several."""

    trial: int
    why: tuple[str, ...]
    """Why it was chosen: `best`, `baseline`, `largest peak`, `ran out of memory`."""
    points: tuple[tuple[float, float], ...]
    gpus: dict[int, tuple[tuple[float, float], ...]]
    spans: tuple[Span, ...]
    num_samples: int
    budget_bytes: float | None

    @property
    def peak(self) -> tuple[float, float]:
        """When the most was in use, and how much."""
        return max(self.points, key=lambda point: point[1])


def courses(
    records: Sequence[TrialRecord],
    best: TrialRecord | None,
    samples_of: Callable[[TrialRecord], MemorySamples | None],
    budget_of: Callable[[TrialRecord], float | None],
) -> list[MemoryCourse]:
    """The chosen trials that have samples, each once; of a kind, the next one where a file is missing. `best` is by its
    number: what is shown is how its own trial went, not those that measured it again."""
    found: dict[int, MemoryCourse] = {}
    for why, candidates in _candidates(records, best):
        for record in candidates:
            if record.trial in found:
                earlier = found[record.trial]
                found[record.trial] = replace(earlier, why=(*earlier.why, why))
                break
            course = _course(record, why, samples_of(record), budget_of(record))
            if course is not None:
                found[record.trial] = course
                break
    return list(found.values())


def _candidates(records: Sequence[TrialRecord], best: TrialRecord | None) -> Iterator[tuple[str, list[TrialRecord]]]:
    yield "best", [record for record in records if best is not None and record.trial == best.trial]
    yield "baseline", [record for record in records if record.origin == "baseline"][:1]
    searched = (record for record in records if record.repeat_of is None)
    measured = [(peak, record) for record in searched if (peak := _peak(record)) is not None]
    largest = heapq.nsmallest(_TRIES, measured, key=lambda pair: (-pair[0], pair[1].trial))
    yield "largest peak", [record for _, record in largest]
    gone = [record for record in records if record.outcome is Outcome.OUT_OF_MEMORY and record.phases]
    yield RAN_OUT, gone[:_TRIES]


def _peak(record: TrialRecord) -> float | None:
    return value_of(record.measurements, "peak_memory_bytes")


def _course(
    record: TrialRecord, why: str, samples: MemorySamples | None, budget_bytes: float | None
) -> MemoryCourse | None:
    if samples is None:
        return None
    whole = _known(samples.t_s, samples.memory_bytes)
    if not whole:
        return None
    each = {index: thinned(_known(samples.t_s, values)) for index, values in sorted(samples.gpus.items())}
    return MemoryCourse(
        trial=record.trial,
        why=(why,),
        points=thinned(whole),
        gpus={index: points for index, points in each.items() if points} if len(each) > 1 else {},
        spans=spans_of(record),
        num_samples=len(whole),
        budget_bytes=budget_bytes,
    )


def _known(times: Sequence[float], values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(t, value) for t, value in zip(times, values, strict=True) if value is not None]


def thinned(points: Sequence[tuple[float, float]], most: int = MAX_POINTS) -> tuple[tuple[float, float], ...]:
    """At most `most` points in which every peak and dip of a stretch is kept: of equal counts of samples, the first,
    the lowest, the highest and the last."""
    if len(points) <= most:
        return tuple(points)
    size = -(-len(points) // (most // 4))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        part = range(start, min(start + size, len(points)))
        lowest, highest = min(part, key=lambda place: points[place][1]), max(part, key=lambda place: points[place][1])
        kept += [points[place] for place in sorted({part[0], lowest, highest, part[-1]})]
    return tuple(kept)


def spans_of(record: TrialRecord) -> tuple[Span, ...]:
    """The trial's phases in order, neighbours of one kind as one."""
    spans: list[Span] = []
    for phase in sorted(record.phases, key=lambda phase: phase.start_s):
        kind = _KINDS.get(phase.name, "closing")
        if phase.end_s < phase.start_s:
            continue
        if spans and spans[-1].kind == kind:
            last = spans.pop()
            spans.append(Span(kind=kind, start_s=last.start_s, end_s=max(last.end_s, phase.end_s)))
        else:
            spans.append(Span(kind=kind, start_s=phase.start_s, end_s=phase.end_s))
    return tuple(spans)
