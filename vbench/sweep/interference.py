"""Whether trials side by side disturb each other: one trial alone, then the same configuration in all places at once.

The rule. Of each side-by-side trial's timed passes, the objective's values and the output throughputs are held against
those of the trial that ran alone, by the ratio of medians and its interval (`analysis.statistics.ratio_interval`). A
trial is disturbed where that ratio is below 0.97 and the whole interval below 1: more than 3 % worse, and not by the
passes' own scatter. The places are uneven where the worst of them stands so to the best. Either way trials are run one
at a time. It counts as undisturbed only if the timed passes were made at the same time: what all of them shared must be
80 % of the longest one's; else the check is made once more, with four times as many passes.

All of it follows from the records, so a run that is gone on with remembers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vbench.analysis.statistics import pass_values, ratio_interval
from vbench.outcome import Outcome
from vbench.records.record import TrialRecord
from vbench.spec.types import Objective
from vbench.sweep.ledger import gpus_of

BESIDE = "side_by_side"
"""Of a record's `environment`: `slot` (from 1), `of`, `place`, `began_s` (the trial's start, by a clock that all trials
of a session share), and of an interference trial `round`."""
MOST_WORSE = 0.03
LEAST_OVERLAP = 0.8
MORE_PASSES = 4
_MOST_ROUNDS = 2
_THROUGHPUT = "output_throughput_tok_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found, and a sentence for people."""

    decision: Literal["undisturbed", "disturbed", "unsure"]
    note: str


def beside_of(record: TrialRecord) -> dict[str, Any]:
    """Where and when beside others a trial ran; empty for one that ran alone."""
    return dict(record.environment.get(BESIDE) or {})


def is_measure(record: TrialRecord) -> bool:
    """Whether others can be held against this trial: it completed alone, on one GPU."""
    is_own = record.origin in ("baseline", "search") and record.outcome is Outcome.COMPLETED
    return is_own and not beside_of(record) and gpus_of(record.config) == 1


def judge(alone: TrialRecord, beside: Sequence[TrialRecord], objective: Objective) -> Finding:
    """What the trials of one round, one for each place, say; see the module."""
    failed = next((one for one in beside if one.outcome is not Outcome.COMPLETED), None)
    if failed is not None:
        return _disturbed(f"side by side trial {failed.trial} ended as {failed.outcome}")
    worst = min((_ratio(one, alone, objective) for one in beside), key=_by_worst)
    if worst.is_worse:
        return _disturbed(f"side by side each reached {worst} of alone")
    shares = [_ratio(one, other, objective) for one in beside for other in beside if one is not other]
    uneven = min(shares, key=_by_worst)
    if uneven.is_worse:
        return _disturbed(f"side by side one place reached {uneven} of another")
    shared = overlap(beside)
    if shared < LEAST_OVERLAP:
        return Finding(
            decision="unsure",
            note=f"side by side only {shared:.0%} of the timed passes were made at the same time, so whether trials "
            "disturb each other isn't known",
        )
    note = f"side by side each reached {worst} of alone, {shared:.0%} of it at the same time: trials run side by side"
    return Finding(decision="undisturbed", note=note)


def overlap(records: Sequence[TrialRecord]) -> float:
    """The time that all records' timed passes share, as a part of the longest one's; 0 where a record doesn't say."""
    windows = [_window(one) for one in records]
    known = [one for one in windows if one is not None]
    if len(known) < len(windows) or not known:
        return 0.0
    longest = max(end - start for start, end in known)
    shared = min(end for _, end in known) - max(start for start, _ in known)
    return max(0.0, shared / longest) if longest > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """What a run's records say of so many places."""

    finding: Finding | None
    """None: the check has to be made, for the first time or again."""
    rounds: int
    """That were begun, complete or not."""
    is_again: bool
    """Whether a complete one left it open."""


def known(records: Sequence[TrialRecord], objective: Objective, places: int) -> Known:
    """What these records say; a round that was cut short, or that the machine spoilt, says nothing."""
    alone = {one.trial: one for one in records if is_measure(one)}
    rounds: dict[int, list[TrialRecord]] = {}
    begun = 0
    for one in records:
        if one.origin == "interference":
            number = int(beside_of(one).get("round", 0))
            begun = max(begun, number + 1)
            if one.repeat_of in alone and beside_of(one).get("of") == places:
                rounds.setdefault(number, []).append(one)
    whole = [one for one in rounds.values() if len(one) == places and not any(map(_is_spoilt, one))]
    findings = [judge(alone[one[0].repeat_of or 0], one, objective) for one in whole]
    last = findings[-1] if findings else None
    if last is not None and last.decision == "unsure":
        last = _disturbed(last.note) if len(findings) >= _MOST_ROUNDS else None
    return Known(last, begun, is_again=bool(findings) and last is None)


def _is_spoilt(record: TrialRecord) -> bool:
    return record.outcome is Outcome.INTERRUPTED


@dataclass(frozen=True, slots=True)
class _Ratio:
    """Of one trial to another: below 1 is worse, whatever the metric's direction."""

    value: float
    low: float
    high: float

    @property
    def is_worse(self) -> bool:
        return self.value < 1 - MOST_WORSE and self.high < 1

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def _ratio(one: TrialRecord, other: TrialRecord, objective: Objective) -> _Ratio:
    """The worst of the metrics that both have, those first that are worse beyond their noise."""
    metrics = {_THROUGHPUT: "maximize", objective.metric: objective.direction}
    found = []
    for metric, direction in metrics.items():
        ours, theirs = pass_values(one, metric), pass_values(other, metric)
        above, below = (ours, theirs) if direction == "maximize" else (theirs, ours)
        interval = ratio_interval(above, below)
        if interval is not None:
            found.append(_Ratio(_median(above) / _median(below), interval.low, interval.high))
    return min(found, key=_by_worst, default=_Ratio(0.0, 0.0, 0.0))


def _by_worst(ratio: _Ratio) -> tuple[bool, float]:
    return not ratio.is_worse, ratio.value


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _window(record: TrialRecord) -> tuple[float, float] | None:
    """From the first timed pass's begin to the last one's end, by the clock that the session's trials share."""
    timed = [one for one in record.phases if one.name == "pass"]
    began_s = beside_of(record).get("began_s")
    return (began_s + timed[0].start_s, began_s + timed[-1].end_s) if timed and began_s is not None else None


def _disturbed(what: str) -> Finding:
    return Finding(decision="disturbed", note=f"{what}: trials run one at a time")
