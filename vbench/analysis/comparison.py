"""Two trials compared: each metric with the interval of its ratio, what differs between them, and the gate of a CI job.

From interleaved repeats where there are some (`repeats_in_turns`), else from the passes of each as they are. What may
be compared at all is `comparability`'s; the words are `comparison_wording`'s.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vbench.analysis.answer import differences
from vbench.analysis.comparability import NLL, Side, missing, notes, refusals
from vbench.analysis.paired import Ratio, ratio_of_pairs
from vbench.analysis.statistics import pass_values
from vbench.analysis.unpaired import ratio_of_passes
from vbench.errors import UsageError
from vbench.metrics import metric_of, value_of
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord

SHOWN = (
    "output_throughput_tok_s", "total_token_throughput_tok_s", "request_throughput_req_s", "request_goodput_req_s",
    "p50_ttft_s", "p95_ttft_s", "p50_tpot_s", "p95_tpot_s", "p50_itl_s", "p95_itl_s", "p50_e2e_latency_s",
    "p95_e2e_latency_s", "peak_memory_bytes", "startup_s",
)  # fmt: skip
"""Metrics that are put side by side, where both have them."""
Verdict = Literal["better", "worse", "no_difference", "unknown"]
RecordPair = tuple[TrialRecord, TrialRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of both: what was recorded, or of pairs the medians."""

    metric: str
    a: float
    b: float
    ratio: Ratio | None
    """B ÷ A; None where a value is 0 or below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """A setting, a version or a piece of hardware in which the two differ; None where a side doesn't say."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was found. `rows` begin with the metric that decides."""

    a: Side
    b: Side
    metric: str
    rows: tuple[Row, ...]
    differing: tuple[Differing, ...]
    notes: tuple[str, ...]
    is_paired: bool

    @property
    def ratio(self) -> Ratio | None:
        """Of the metric that decides."""
        return self.rows[0].ratio

    @property
    def verdict(self) -> Verdict:
        """Whether B is shown to be better or worse, in the metric's direction; unknown where no spread is."""
        ratio = self.ratio
        if ratio is None or ratio.method in ("range", "single"):
            return "unknown"
        if not ratio.is_clear:
            return "no_difference"
        return "better" if (ratio.low > 1) == (metric_of(self.metric).direction == "maximize") else "worse"


def compare(a: Side, b: Side, metric: str | None = None, pairs: Sequence[RecordPair] | None = None) -> Comparison:
    """B against A by `metric` (None: the objective of A's run) and, beside it, every metric of `SHOWN`.

    `pairs`: records of A and B that were measured next to each other, in their order; None looks for them among the
    run's own. Raises UsageError with every reason why the two aren't comparable.
    """
    chosen = a.objective.metric if metric is None else metric
    why = refusals(a, b, chosen)
    if why:
        raise UsageError("these aren't comparable:\n" + "\n".join(f"  {one}" for one in why))
    found = repeats_in_turns(a, b) if pairs is None else list(pairs)
    names = [chosen, *(name for name in SHOWN if name != chosen and missing(a, b, name) is None)]
    quality = _quality_row(a.record, b.record)
    rows = [quality if name == NLL and quality is not None else _row(a.record, b.record, name, found) for name in names]
    return Comparison(
        a=a,
        b=b,
        metric=chosen,
        rows=(*rows, *([] if quality is None or chosen == NLL else [quality])),
        differing=tuple(differing(a, b)),
        notes=(*notes(a, b), *_turns_note(pairs, found)),
        is_paired=len(found) > 1,
    )


def repeats_in_turns(a: Side, b: Side) -> list[RecordPair]:
    """The repeats of two trials of one run that were measured in turns, in their order: those of a comparison, else the
    finals of each round. Empty unless there are two pairs; repeats in different runs took no turns."""
    if a.run != b.run:
        return []
    for origin in ("compare", "final"):
        sides = [
            [one for one in sorted(side.records, key=lambda one: one.trial)
             if one.origin == origin and one.repeat_of == side.record.trial]
            for side in (a, b)
        ]  # fmt: skip
        keyed = [{_turn(one, number): one for number, one in enumerate(side)} for side in sides]
        both = [(keyed[0][turn], keyed[1][turn]) for turn in keyed[0] if turn in keyed[1]]
        found = [pair for pair in both if all(one.outcome is Outcome.COMPLETED for one in pair)]
        if len(found) > 1:
            return found
    return []


def differing(a: Side, b: Side) -> list[Differing]:
    """Settings, versions and hardware in which the two differ; nothing that is the same."""
    found = [Differing(name="hardware", a=a.hardware, b=b.hardware)] if a.hardware != b.hardware else []
    facts = [_versions(side) for side in (a, b)]
    found += [
        Differing(name=name, a=facts[0].get(name), b=facts[1].get(name))
        for name in dict.fromkeys([*facts[0], *facts[1]])
        if facts[0].get(name) != facts[1].get(name)
    ]
    for one in differences(b.record, a.record):
        ours, theirs = one.best, one.baseline
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            inner = [key for key in dict.fromkeys([*theirs, *ours]) if theirs.get(key) != ours.get(key)]
            found += [Differing(name=f"{one.name}.{key}", a=theirs.get(key), b=ours.get(key)) for key in inner]
        else:
            found.append(Differing(name=one.name, a=theirs, b=ours))
    return found


def _turn(record: TrialRecord, number: int) -> int:
    """Which pair a repeat is of: as it says itself, else by its place."""
    own = (record.model_extra or {}).get("pair")
    return own if isinstance(own, int) else number


def _versions(side: Side) -> dict[str, Any]:
    engine = side.record.engine
    packages = side.record.environment.get("packages")
    return {
        "engine version": f"{engine.name} {engine.version}" if engine.version else engine.name,
        "python": engine.python,
        "driver": side.record.hardware.get("driver"),
        "vbench": side.machine.get("vbench_version"),
        **(dict(packages) if isinstance(packages, Mapping) else {}),
    }


def _row(a: TrialRecord, b: TrialRecord, metric: str, pairs: Sequence[RecordPair]) -> Row:
    measured = [(value_of(one.measurements, metric), value_of(other.measurements, metric)) for one, other in pairs]
    usable = [(one, other) for one, other in measured if one is not None and other is not None and min(one, other) > 0]
    if len(usable) > 1:
        middle = [statistics.median(values) for values in zip(*usable, strict=True)]
        return Row(metric=metric, a=middle[0], b=middle[1], ratio=ratio_of_pairs(usable))
    values = [value_of(one.measurements, metric) or 0.0 for one in (a, b)]
    sides = [pass_values(one, metric) or [value] for one, value in zip((a, b), values, strict=True)]
    ratio = ratio_of_passes(*sides) if min(map(min, sides)) > 0 else None
    return Row(metric=metric, a=values[0], b=values[1], ratio=ratio)


def _quality_row(a: TrialRecord, b: TrialRecord) -> Row | None:
    """The likelihood of the same texts, text by text; None where it wasn't measured, or of other texts."""
    one, two = a.quality, b.quality
    if one is None or two is None or one.texts_sha256 != two.texts_sha256 or one.tokens != two.tokens:
        return None
    tokens = sum(one.tokens)
    pairs = [pair for pair in zip(one.nll, two.nll, strict=True) if min(pair) > 0]  # a single token has no likelihood
    if not tokens or not pairs:
        return None
    ratio = ratio_of_pairs(pairs)
    return Row(metric=NLL, a=sum(one.nll) / tokens, b=sum(two.nll) / tokens, ratio=ratio)


def _turns_note(given: Sequence[RecordPair] | None, found: Sequence[RecordPair]) -> list[str]:
    if len(found) < 2:
        return [
            "A and B weren't measured in turns: what changed between them, and what differs from one start of the "
            "engine to the next, isn't in the intervals. `--again` measures both in turns."
        ]
    if given is None and found[0][0].origin == "final":
        return ["The pairs are finals, always in the same order: a steady drift isn't cancelled."]
    return []
