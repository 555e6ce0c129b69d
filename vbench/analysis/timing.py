"""Where a trial's time went, from its phases and passes."""

from __future__ import annotations

from dataclasses import dataclass

from vbench.records.record import Phase, TrialRecord

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
    startup = sum(_length(phase) for phase in record.phases if phase.name in _STARTUP)
    closing = sum(_length(phase) for phase in record.phases if phase.name in _CLOSING)
    passes = dict.fromkeys(_PASS_KINDS.values(), 0.0)
    for one in record.passes:
        passes[_COUNTED_AS.get(one.kind, one.kind)] += one.duration_s
    whole = {(_COUNTED_AS.get(one.kind, one.kind), one.index) for one in record.passes}
    for phase in record.phases:
        kind = _PASS_KINDS.get(phase.name)
        if kind is not None and (kind, phase.index) not in whole:
            passes[kind] += _length(phase)
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


def _length(phase: Phase) -> float:
    return phase.end_s - phase.start_s
