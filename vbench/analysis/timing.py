"""Where a trial's time went, from its phases and passes."""

from __future__ import annotations

from dataclasses import dataclass

from vbench.records.record import TrialRecord

_STARTUP = ("start", "import", "load")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """Seconds of one trial. `other_s` is what is left of its duration: prompts, closing, waiting for free memory."""

    trial: int
    startup_s: float
    warmup_s: float
    timed_s: float
    other_s: float

    @property
    def total_s(self) -> float:
        """The sum of the parts."""
        return self.startup_s + self.warmup_s + self.timed_s + self.other_s


def time_split(record: TrialRecord) -> TimeSplit:
    """Start-up is start + import + load (of a failed trial, as far as it came); warm-up and timed are the passes."""
    startup = sum(phase.end_s - phase.start_s for phase in record.phases if phase.name in _STARTUP)
    warmup = sum(one.duration_s for one in record.passes if one.kind == "warmup")
    timed = sum(one.duration_s for one in record.passes if one.kind == "timed")
    known = startup + warmup + timed
    other = max(0.0, (record.duration_s or 0.0) - known)
    return TimeSplit(trial=record.trial, startup_s=startup, warmup_s=warmup, timed_s=timed, other_s=other)
