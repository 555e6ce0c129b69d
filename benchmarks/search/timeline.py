"""A trial played again from its record, on a virtual clock, with the rule that may stop it early.

The phases are those of the record, one after the other. Within a phase the pass's message comes when it came; a stopper
whose limit is earlier ends the trial there, and ending the process costs `KILL_S` (SIGTERM to a forked worker on this
machine). A probe may be left out of a trial that had one; what the engine's first pass takes beyond its work is then
paid in the pass that comes first.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Any

from vbench.execution.stopping import Stopper
from vbench.metrics import measure
from vbench.outcome import Outcome
from vbench.records.record import Origin, Pass, Phase, Stopped, TrialRecord

KILL_S = 0.05
_KINDS = {"probe": "probe", "warmup": "warmup", "pass": "timed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One phase: how long it takes, and where it holds a pass, how long until that pass begins."""

    name: str
    index: int
    duration_s: float
    lead_s: float = 0.0
    one: Pass | None = None
    peak_memory_bytes: int | None = None


def steps_of(record: TrialRecord) -> list[Step]:
    """The phases of a record as steps, each with its pass."""
    passes: dict[tuple[str | None, int], Pass] = {(one.kind, one.index): one for one in record.passes}
    steps = []
    for phase in record.phases:
        one = passes.get((_KINDS.get(phase.name), phase.index))
        lead_s = 0.0 if one is None else max(0.0, one.start_s - phase.start_s)
        duration_s = phase.end_s - phase.start_s
        steps.append(
            Step(
                name=phase.name, index=phase.index, duration_s=duration_s, lead_s=lead_s, one=one,
                peak_memory_bytes=phase.peak_memory_bytes,
            )
        )  # fmt: skip
    return steps


def with_noise(steps: list[Step], sigma: float, draw: random.Random) -> list[Step]:
    """Each pass longer or shorter by a log-normal factor, drawn for each by itself; the rest of a phase stays."""
    noisy = []
    for step in steps:
        if step.one is None or sigma == 0:
            noisy.append(step)
            continue
        pass_s = step.one.duration_s * math.exp(draw.gauss(0.0, sigma))
        noisy.append(longer(step, pass_s - step.one.duration_s))
    return noisy


def longer(step: Step, seconds: float) -> Step:
    """The step with a pass that takes so much longer."""
    assert step.one is not None
    if seconds == 0:
        return step
    one = step.one.model_copy(update={"duration_s": step.one.duration_s + seconds})
    return replace(step, duration_s=step.duration_s + seconds, one=one)


def play(
    record: TrialRecord, number: int, *, origin: Origin = "search", is_probed: bool, stopper: Stopper | None = None,
    steps: list[Step] | None = None, first_pass_s: float = 0.0,
) -> TrialRecord:  # fmt: skip
    """The record that this trial would have left; `duration_s` is what it would have cost, in engine-seconds.

    `steps` are the record's own unless given (with noise, say); `first_pass_s` is that of its cell. A stopped trial
    becomes `pruned`, with its `stopped`.
    """
    playing = _Playing(stopper)
    owed_s = 0.0
    for step in steps if steps is not None else steps_of(record):
        if step.name == "probe" and not is_probed:
            owed_s = first_pass_s
            continue
        playing.step(step if step.one is None else longer(step, owed_s))
        owed_s = 0.0 if step.one is not None else owed_s
        if playing.stopped is not None:
            break
    changes: dict[str, Any] = {
        "trial": number, "origin": origin, "passes": playing.passes, "phases": playing.phases,
        "duration_s": playing.clock_s, "stopped": playing.stopped,
        "measurements": measured_again(record, playing.passes, playing.phases),
    }  # fmt: skip
    if playing.stopped is not None:
        changes |= {"outcome": Outcome.PRUNED, "failure": None, "constraint_violations": {}}
    return record.model_copy(update=changes)


def refused(record: TrialRecord, number: int) -> TrialRecord:
    """The planner's refusal under another number; it cost nothing."""
    return record.model_copy(update={"trial": number})


def measured_again(record: TrialRecord, passes: list[Pass], phases: list[Phase]) -> dict[str, Any]:
    """The measurements of what is left of a trial."""
    return measure(passes, phases, record.config.get("goodput"))


class _Playing:
    """A trial in progress."""

    def __init__(self, stopper: Stopper | None) -> None:
        self.stopper = stopper
        self.clock_s = 0.0
        self.passes: list[Pass] = []
        self.phases: list[Phase] = []
        self.stopped: Stopped | None = None

    def step(self, step: Step) -> None:
        """Go through one phase, or into it until the stopper ends it."""
        begin_s = self.clock_s
        limit_s = None
        if self.stopper is not None and step.name in _KINDS:
            limit_s = self.stopper.limit_s(step.name, step.index)
        message_s = step.duration_s if step.one is None else step.lead_s + step.one.duration_s
        if limit_s is not None and message_s > limit_s and self.stopper is not None:
            self.stopped = self.stopper.stopped(step.name, step.index, limit_s)
            self.clock_s += max(0.0, limit_s) + KILL_S
        else:
            self.clock_s += step.duration_s
            if step.one is not None:
                self._passed(step.one.model_copy(update={"start_s": begin_s + step.lead_s}))
        self.phases.append(
            Phase(
                name=step.name, index=step.index, start_s=begin_s, end_s=self.clock_s,
                peak_memory_bytes=step.peak_memory_bytes,
            )
        )  # fmt: skip

    def _passed(self, one: Pass) -> None:
        self.passes.append(one)
        if self.stopper is not None:
            self.stopper.passed(message_of(one))


def message_of(one: Pass) -> dict[str, Any]:
    """What the worker said when the pass ended."""
    return {
        "event": "pass", "kind": one.kind, "index": one.index, "t": one.start_s, "duration_s": one.duration_s,
        "requests": one.requests.model_dump(), "output_sha256": one.output_sha256,
        "engine_metrics": dict(one.engine_metrics),
    }  # fmt: skip
