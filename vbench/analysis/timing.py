"""Where a trial's time went, from its phases and passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vbench.records.packed import pass_lengths, phase_lengths
from vbench.records.record import TrialRecord

_STARTUP = ("start", "import", "load")
_CLOSING = ("close", "after_close")
_PASS_KINDS = {"probe": "probe", "warmup": "warmup", "pass": "timed"}
"""Of a phase, the kind of the pass that it holds."""
_COUNTED_AS = {"unsettled": "timed"}  # they were timed as well, and dropped later


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """Seconds of one trial. `other_s` is what is left of its duration: prompts, and what lies between passes."""

    trial: int
    startup_s: float
    probe_s: float = 0.0
    warmup_s: float
    timed_s: float
    closing_s: float = 0.0
    other_s: float

    @property
    def total_s(self) -> float:
        """The sum of the parts."""
        return self.startup_s + self.probe_s + self.warmup_s + self.timed_s + self.closing_s + self.other_s


def time_split(record: TrialRecord) -> TimeSplit:
    """Start-up is start + import + load (of a failed trial, as far as it came); probe, warm-up and timed are the
    passes, one that was cut off included as far as it came; closing is up to a clean machine."""
    passes = dict.fromkeys(_PASS_KINDS.values(), 0.0)
    whole: set[tuple[str, int]] = set()
    for name, index, seconds in pass_lengths(record.passes):
        kind = _COUNTED_AS.get(name, name)
        passes[kind] += seconds
        whole.add((kind, index))
    startup = closing = 0.0
    for name, index, seconds in phase_lengths(record.phases):
        held = _PASS_KINDS.get(name)
        if held is not None:
            if (held, index) not in whole:
                passes[held] += seconds
        elif name in _STARTUP:
            startup += seconds
        elif name in _CLOSING:
            closing += seconds
    known = startup + closing + sum(passes.values())
    return TimeSplit(
        trial=record.trial,
        startup_s=startup,
        probe_s=passes["probe"],
        warmup_s=passes["warmup"],
        timed_s=passes["timed"],
        closing_s=closing,
        other_s=max(0.0, (record.duration_s or 0.0) - known),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBin:
    """Trials that follow each other, and the mean of their times; of one trial its own."""

    first: int
    last: int
    count: int
    mean: TimeSplit


def binned(splits: Sequence[TimeSplit], most: int = 40) -> list[TimeBin]:
    """At most `most` bins of equally many trials (the last may have fewer), in the given order."""
    size = max(1, -(-len(splits) // most))
    return [_bin(splits[start : start + size]) for start in range(0, len(splits), size)]


def _bin(splits: Sequence[TimeSplit]) -> TimeBin:
    count = len(splits)
    mean = TimeSplit(
        trial=splits[0].trial,
        startup_s=sum(one.startup_s for one in splits) / count,
        probe_s=sum(one.probe_s for one in splits) / count,
        warmup_s=sum(one.warmup_s for one in splits) / count,
        timed_s=sum(one.timed_s for one in splits) / count,
        closing_s=sum(one.closing_s for one in splits) / count,
        other_s=sum(one.other_s for one in splits) / count,
    )
    return TimeBin(first=splits[0].trial, last=splits[-1].trial, count=count, mean=mean)
